"""Tables of the documentation; started by scripts/table.py."""
