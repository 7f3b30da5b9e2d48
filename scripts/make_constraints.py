"""Writes constraints/pyXY.txt: the versions that pip resolves today for each Python given.

Nothing is installed: pip only resolves, in a temporary environment. Run the tests with the result.

Usage: python scripts/make_constraints.py python3.11 python3.12 python3.13
"""

import datetime
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
EXTRAS = "test,bench,docs,ray"
# PyTorch's own requirements for GPUs; it pins them itself, and its CPU builds do not have them.
_OF_TORCH = re.compile("nvidia-|cuda-|triton$")


def resolve(python: str) -> dict[str, Any]:
    """Pip's report about what it would install with all extras, by that interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/python", "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", "--upgrade", "pip"], check=True)  # older ones have no report
        report = Path(folder, "report.json")
        options = ["--quiet", "--dry-run", "--ignore-installed", "--report", str(report)]
        subprocess.run([*pip, "install", *options, f"{ROOT}[{EXTRAS}]"], check=True)
        return json.loads(report.read_text())


def pinned(report: dict[str, Any]) -> list[str]:
    """One line `name==version` per package, sorted; without this package and local suffixes."""
    packages = [entry["metadata"] for entry in report["install"]]
    pins = {entry["name"]: entry["version"].split("+")[0] for entry in packages if entry["name"] != "fusejax"}
    return sorted((f"{name}=={v}" for name, v in pins.items() if not _OF_TORCH.match(name)), key=str.lower)


def main(pythons: list[str]) -> None:
    """Writes one file per interpreter."""
    for python in pythons:
        report = resolve(python)
        version = ".".join(report["environment"]["python_version"].split(".")[:2])
        path = ROOT / "constraints" / f"py{version.replace('.', '')}.txt"
        today = datetime.datetime.now(datetime.UTC).date()
        head = f"# Python {version}, Linux, CPU: versions that scripts/make_constraints.py resolved on {today}."
        path.write_text("\n".join([head, *pinned(report), ""]), encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {len(report['install'])} packages")


if __name__ == "__main__":
    main(sys.argv[1:] or [sys.executable])
