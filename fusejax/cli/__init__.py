"""The `fusejax` command: one file per command, which parses and prints; the library does the work."""
