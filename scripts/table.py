"""Tables of the documentation: python scripts/table.py KIND ..., such as temporal."""

from benchmarks.commands import run

KINDS = {
    "cost": "tables.cost",
    "glare": "tables.glare",
    "path-spectra": "tables.path_spectra",
    "people-contrast": "tables.people_contrast",
    "registration": "tables.registration",
    "registration-residuals": "tables.registration_residuals",
    "robustness": "tables.robustness",
    "small-shifts": "tables.small_shifts",
    "temporal": "tables.temporal",
}

if __name__ == "__main__":
    run(KINDS)
