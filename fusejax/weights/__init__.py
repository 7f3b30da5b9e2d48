"""Released weights with their model cards; reading and writing weight files."""
