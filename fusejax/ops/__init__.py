"""Array operations that models, losses, metrics and data share."""
