"""The README: its code runs, its command lines parse, its links and lists are correct."""

import importlib
import re
import shlex
from pathlib import Path

import pytest
import tyro

import fusejax
from fusejax.cli.main import main
from fusejax.data.synthetic import synthetic_pair

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def command_lines():
    """Every line of the README's shell blocks, without its comment."""
    lines = "".join(text for kind, text in BLOCKS if kind == "bash").replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def listed(name):
    """The keys of a list between the markers of that name."""
    block = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README, flags=re.DOTALL)
    return re.findall(r"^- `(\w+)`: ", block[1], flags=re.MULTILINE)


class Parsed(BaseException):
    """Ends a command after its arguments were parsed; no `except Exception` catches it."""


@pytest.fixture
def parse_only(monkeypatch):
    parse = tyro.cli

    def parse_and_stop(*args, **options):
        raise Parsed(parse(*args, **options))

    monkeypatch.setattr(tyro, "cli", parse_and_stop)


def test_every_block_says_what_it_is():
    assert {kind for kind, _ in BLOCKS} == {"bash", "python"}


@pytest.mark.parametrize("words", [w for w in command_lines() if w[0] == "fusejax"], ids=" ".join)
def test_command_lines_parse(words, parse_only):
    with pytest.raises(Parsed):
        main(words[1:])


def test_other_command_lines_name_what_is_there():
    for words in command_lines():
        if words[0] == "bash" or words[:2] == ["python", "scripts"]:
            assert (ROOT / words[1]).is_file(), words
        elif words[:2] == ["python", "-m"]:
            importlib.import_module(words[2])
        else:
            assert words[0] == "fusejax" or words[:2] == ["pip", "install"], words


@pytest.fixture
def own_terms():
    """Removes loss terms that a block has added."""
    before = dict(fusejax.losses.TERMS)
    yield
    fusejax.losses.TERMS.clear()
    fusejax.losses.TERMS.update(before)


@pytest.mark.slow
@pytest.mark.usefixtures("own_terms")
def test_python_blocks_run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    pair = synthetic_pair(1, size=(32, 48))
    namespace = {"ir": pair["ir"][None], "vi": pair["vi"][None]}
    for number, (kind, text) in enumerate(BLOCKS):
        if kind == "python":
            exec(compile(text, f"README.md, block {number}", "exec"), namespace)
    assert namespace["fused"].shape == (1, 32, 48, 3)
    assert {name: values.shape for name, values in namespace["scores"].items()} == dict.fromkeys(
        fusejax.metrics.USUAL, (1,)
    )


def test_links_lead_to_files():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    missing = [t for t in targets if not t.startswith("https://") and not (ROOT / t).is_file()]
    assert targets and missing == []


def test_mentioned_files_exist():
    paths = re.findall(r"`((?:scripts|configs|colabs|fusejax|docs)/[\w./]+)[ `]", README)
    assert paths and [p for p in paths if not (ROOT / p).exists()] == []


@pytest.mark.parametrize(
    ("name", "known"),
    [("terms", "losses.TERMS"), ("conventions", "metrics.CONVENTIONS")],
)
def test_lists_are_complete(name, known):
    room, attribute = known.split(".")
    assert listed(name) == list(getattr(getattr(fusejax, room), attribute))


def test_the_table_of_metrics_is_the_librarys(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    script = importlib.import_module("update_readme")
    assert script.with_metrics(README) == README, "run python scripts/update_readme.py"


def test_the_opening_image_is_small():
    first = re.search(r"!\[[^\]]+\]\(([^)]+)\)", README)[1]
    assert (ROOT / first).stat().st_size < 300_000
