"""Released weights with their model cards, and reading and writing of weight files."""
