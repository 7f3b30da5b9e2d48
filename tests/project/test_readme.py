"""The README and the guides: code runs, command lines parse, links and lists are correct."""

import importlib
import importlib.util
import re
import shlex
import shutil
from pathlib import Path

import pytest
import tyro

import fusejax
from fusejax.cli.main import main
from fusejax.data.synthetic import synthetic_pair

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "docs" / "index.md",
    *sorted(path for folder in ("guides", "methods", "reference") for path in (ROOT / "docs" / folder).glob("*.md")),
]
PROGRAM = ROOT / "tests" / "compatibility" / "files" / "program.onnx"


def blocks(path):
    """(language, text) of the code blocks of a page."""
    text = path.read_text(encoding="utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def command_lines():
    """Every line of the shell blocks, without its comment, with its page."""
    for path in PAGES:
        lines = "".join(text for kind, text in blocks(path) if kind == "bash").replace("\\\n", " ").splitlines()
        for line in lines:
            if words := shlex.split(line, comments=True):
                yield path, words


COMMANDS = {" ".join(words): words for _, words in command_lines() if words[0] == "fusejax"}


class Parsed(BaseException):
    """Ends a command after its arguments were parsed; no `except Exception` catches it."""


@pytest.fixture
def parse_only(monkeypatch):
    parse = tyro.cli

    def parse_and_stop(*args, **options):
        raise Parsed(parse(*args, **options))

    monkeypatch.setattr(tyro, "cli", parse_and_stop)


def test_every_block_says_what_it_is():
    kinds = {kind for path in PAGES for kind, _ in blocks(path)}
    assert kinds == {"bash", "python", "bibtex", "cpp", "js", ""}  # without a language: directives of the site
    assert {kind for kind, _ in blocks(ROOT / "README.md")} == {"bash", "python", "bibtex"}


def test_the_readme_is_read_in_two_minutes():
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("words", COMMANDS.values(), ids=" ".join)
def test_command_lines_parse(words, parse_only):
    with pytest.raises(Parsed):
        main(words[1:])


def test_other_command_lines_name_what_is_there():
    for _, words in command_lines():
        if words[0] == "bash" or (words[0] == "python" and words[1].startswith("scripts/")):
            assert (ROOT / words[1]).is_file(), words
        elif words[:2] == ["python", "-m"]:
            importlib.import_module(words[2])
        elif words[0] == "pip":
            assert words[1] == "install", words


@pytest.fixture
def own_terms():
    """Removes loss terms that a block has added."""
    before = dict(fusejax.losses.TERMS)
    yield
    fusejax.losses.TERMS.clear()
    fusejax.losses.TERMS.update(before)


def with_python():
    for path in PAGES:
        if any(kind == "python" for kind, _ in blocks(path)):
            yield pytest.param(path, id=path.name)


@pytest.mark.slow
@pytest.mark.usefixtures("own_terms")
@pytest.mark.parametrize("path", list(with_python()))
def test_python_blocks_run(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    shutil.copy(PROGRAM, tmp_path / "angularfuse.onnx")  # any program will do
    pair = synthetic_pair(1, size=(32, 48))
    namespace = {"ir": pair["ir"], "vi": pair["vi"], "fused": pair["vi"], "fusejax": fusejax}
    for number, (kind, text) in enumerate(blocks(path)):
        needs = set(re.findall(r"^(?:import|from) (onnxruntime|openvino|ai_edge_litert)", text, flags=re.MULTILINE))
        if kind == "python" and all(importlib.util.find_spec(name) for name in needs):
            exec(compile(text, f"{path.name}, block {number}", "exec"), namespace)
    if "scores" in namespace:
        scores = {name: values.shape for name, values in namespace["scores"].items()}
        assert scores == dict.fromkeys(fusejax.metrics.USUAL, ())


def test_links_lead_to_files():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    missing = [t for t in targets if not t.startswith("https://") and not (ROOT / t).is_file()]
    assert targets and missing == []


def test_mentioned_files_exist():
    text = "".join(path.read_text(encoding="utf-8") for path in PAGES)
    paths = re.findall(r"`((?:scripts|configs|colabs|fusejax|docs)/[\w./]+)[ `]", text)
    assert paths and [p for p in paths if not (ROOT / p).exists()] == []


def test_the_opening_image_is_small():
    first = re.search(r"!\[[^\]]+\]\(([^)]+)\)", README)[1]
    assert (ROOT / first).stat().st_size < 300_000
