"""What a release promises: one version everywhere, a dated entry, workflows of real scripts."""

import re
from pathlib import Path

import fusejax

ROOT = Path(__file__).parents[2]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_version_and_date_are_the_same_everywhere():
    version = fusejax.__version__
    date = re.search(r'date-released: "(\d{4}-\d\d-\d\d)"', read("CITATION.cff"))[1]
    assert f"version: {version}\n" in read("CITATION.cff")
    assert f"## [{version}] - {date}\n" in read("CHANGELOG.md")
    for page in ("README.md", "docs/reference/cite.md"):
        assert f"version = {{{version}}}" in read(page)


def test_every_supported_python_has_its_constraints():
    matrix = set(re.findall(r'"3\.(\d+)"', read(".github/workflows/tests.yml")))
    assert matrix == {"11", "12", "13"}
    for minor in matrix:
        pins = read(f"constraints/py3{minor}.txt")
        assert pins.startswith("#") and f"Python 3.{minor}" in pins.splitlines()[0]
        assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in pins.splitlines()[1:])


def test_workflows_run_scripts_that_exist():
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        scripts = re.findall(r"bash (scripts/\w+\.sh)", text)
        assert [name for name in scripts if not (ROOT / name).is_file()] == []
        pinned = re.findall(r"uses: (\S+)", text)
        assert pinned and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) for action in pinned)
