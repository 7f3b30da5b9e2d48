"""Tables of the documentation: python scripts/table.py [temporal] ..."""

from benchmarks.commands import run

KINDS = {
    "temporal": "tables.temporal",
}

if __name__ == "__main__":
    run(KINDS)
