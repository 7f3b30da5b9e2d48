"""The rooms of the package: which may import which, read from the source with `ast`."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "fusejax"
# From low to high: a room imports rooms of lower floors only, or of its own floor without a circle.
FLOORS = (
    ("options", "typing", "serialize", "progress", "versions", "processes"),
    ("ops", "onednn"),
    ("models", "losses", "metrics"),
    ("io",),
    ("registration",),
    ("data",),
    ("config",),
    ("plugins",),
    ("weights",),
    ("training", "planning"),
    ("inference", "export"),
    ("evaluation",),
    ("report", "web", "live", "serve"),
    ("cli", "__main__"),
)
FLOOR = {room: n for n, rooms in enumerate(FLOORS) for room in rooms}


def modules():
    """The modules of the package by name, such as "io.images"; the package itself is "fusejax"."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__") or "fusejax", path


def imported(path, names):
    """Modules of the package that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for full in found:
            if not full.startswith("fusejax."):
                continue
            parts = full.split(".")[1:]
            while parts and ".".join(parts) not in names:  # a function of a module
                parts.pop()
            if parts:
                yield ".".join(parts)


# Still to be removed.
PENDING = set()


@pytest.fixture(scope="module")
def names():
    """The file of every module."""
    return dict(modules())


@pytest.fixture(scope="module")
def arrows(names):
    """The modules that each module imports."""
    return {name: sorted(set(imported(path, names)) - {name}) for name, path in names.items() if name != "fusejax"}


@pytest.fixture(scope="module")
def room_arrows(arrows):
    """Pairs of rooms of which one imports the other."""
    return {(room(a), room(b)) for a, found in arrows.items() for b in found if room(a) != room(b)}


def room(name):
    return name.split(".")[0]


def circles(arrows):
    """Nodes from which a walk along the arrows comes back."""
    following = {a: {y for x, y in arrows if x == a} for a, _ in arrows}

    def reached(start):
        seen, ahead = set(), list(following.get(start, ()))
        while ahead:
            if (node := ahead.pop()) not in seen:
                seen.add(node)
                ahead.extend(following.get(node, ()))
        return seen

    return sorted(node for node in following if node in reached(node))


def test_every_room_has_a_floor(arrows):
    assert {room(name) for name in arrows} <= FLOOR.keys()


def test_no_arrow_goes_up(room_arrows):
    assert {(a, b) for a, b in room_arrows - PENDING if FLOOR[a] < FLOOR[b]} == set()


def test_no_walk_from_room_to_room_comes_back(room_arrows):
    assert circles(room_arrows - PENDING) == []


def test_no_module_needs_itself(names, arrows):
    """Packages are left out: their lazy names import modules that import the package's others."""
    files = {name for name, path in names.items() if path.name != "__init__.py"}
    between = {(a, b) for a, found in arrows.items() for b in found if {a, b} <= files}
    assert circles({(a, b) for a, b in between if (room(a), room(b)) not in PENDING}) == []


def test_report_knows_results_and_no_study(arrows):
    known = {b for a, found in arrows.items() for b in found if room(a) == "report" and room(b) == "evaluation"}
    assert known <= {"evaluation.results", "evaluation.score_files", "evaluation.preferences"}  # plain data


@pytest.mark.parametrize("closed", [{("a", "b"), ("b", "c"), ("c", "a")}, {("a", "a")}])
def test_a_circle_is_found(closed):
    assert circles(closed)
    assert not circles({("a", "b"), ("b", "c"), ("a", "c")})
