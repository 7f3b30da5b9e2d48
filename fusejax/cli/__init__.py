"""The `fusejax` command: one file per command, which parses and prints; the library does the work.

A new command is a module here with a function `run(arguments)` and a line in `main.COMMANDS`.
"""
