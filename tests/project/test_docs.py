"""The documentation: what is generated is complete, links lead to files, commands parse."""

import ast
import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

import fusejax
from fusejax.losses import TERMS
from fusejax.metrics import METRICS, TEMPORAL_METRICS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if not {"generated", "_build"} & set(path.parts)]


def load(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / "make" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_formulas_are_of_terms_and_metrics_that_exist():
    """Newcomers without one are described by their docstrings."""
    formulas = load("formulas")
    assert len(formulas.LOSSES) >= 20 and formulas.LOSSES.keys() <= TERMS.keys()
    assert len(formulas.METRICS) >= 24 and formulas.METRICS.keys() <= METRICS.keys()
    assert formulas.TEMPORAL.keys() == TEMPORAL_METRICS.keys()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_links_lead_to_files(path):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
    inside = [t for t in targets if not re.match(r"\w+:", t) and "generated/" not in t]
    assert [t for t in inside if not (path.parent / t).exists()] == []


def test_the_rooms_are_those_of_the_package():
    rooms = load("rooms")
    graph = rooms.arrows()
    assert {room for room in fusejax.__all__ if room in graph} >= {"data", "inference", "losses", "metrics", "models"}
    assert "ops" in graph["losses"] and "losses" not in graph["ops"]
    levels = rooms.floors(graph)
    assert levels["ops"] < levels["losses"] < levels["training"]
    assert "losses" in rooms.direct(graph)["training"] or "losses" in graph["training"]


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    links = load("links")
    (tmp_path / "a.html").write_text('<a href="b.html#here"></a><a href="b.html#there"></a><a href="c.html"></a>')
    (tmp_path / "b.html").write_text('<h1 id="here"></h1>')
    assert links.broken(tmp_path) == ["a.html: b.html#there", "a.html: c.html"]


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "scripts").glob("*.sh")))
def test_shell_scripts_parse(name):
    subprocess.run(["bash", "-n", ROOT / "scripts" / name], check=True)


def test_python_of_the_builder_needs_no_other_python():
    for path in (DOCS / "make").glob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 11))
