"""`python -m fusejax`: the same as the program `fusejax`."""

from fusejax.cli.main import main

if __name__ == "__main__":
    main()
