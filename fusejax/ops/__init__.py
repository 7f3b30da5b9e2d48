"""Array operations shared by models, losses, metrics and data."""
