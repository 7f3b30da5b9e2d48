"""Writes docs/generated: pages from registries, docstrings, `--help`, imports and model cards.

docs/conf.py calls `main` before Sphinx reads the pages. FUSEJAX_DOCS_KEEP=1 keeps existing figures
and notebooks.
"""

import contextlib
import importlib
import inspect
import io
import os
import re
import shutil
import subprocess
import sys
import types
import typing
from pathlib import Path
from typing import Any

import figures
import formulas
import gallery
import rooms
from latex2mathml.converter import convert

import fusejax
from fusejax.cli.main import COMMANDS
from fusejax.cli.main import main as run_command
from fusejax.losses.objective import TERMS, term_needs
from fusejax.metrics import CONVENTIONS, METRICS, TEMPORAL_METRICS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
OUT = DOCS / "generated"

# Files of the repository that are pages of the site.
FOREIGN = {
    "CHANGELOG.md": "changelog",
    "configs/ablations/README.md": "ablations",
    "configs/crossfuse.md": "crossfuse_foreign_pairs",
    **{f"fusejax/weights/{path.name}": f"cards/{path.stem}" for path in (ROOT / "fusejax/weights").glob("*.md")},
}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def with_links(text: str, source: Path, page: Path) -> str:
    """The text of a file of the repository, with its links fit for the page that holds it.

    A link to a file that has no page becomes its text.
    """

    def replace(match: re.Match[str]) -> str:
        picture, shown, target = match[1], match[2], match[3]
        if re.match(r"\w+:", target) or target.startswith("#"):
            return match[0]
        path, _, anchor = target.partition("#")
        file = (source.parent / path).resolve()
        if not file.is_relative_to(ROOT):
            return shown
        name = file.relative_to(ROOT).as_posix()
        if name in FOREIGN:
            file = OUT / f"{FOREIGN[name]}.md"
        elif not (file.is_relative_to(DOCS) and file.is_file()):
            return shown
        relative = os.path.relpath(file, page.parent)
        return f"{picture}[{shown}]({relative}{f'#{anchor}' if anchor else ''})"

    return _LINK.sub(replace, text)


def write(name: str, text: str) -> None:
    """Writes a page if it has changed, so that Sphinx reads only what is new."""
    path = OUT / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def write_foreign() -> None:
    """Pages of files that are kept elsewhere in the repository."""
    for name, page in FOREIGN.items():
        source = ROOT / name
        write(page, with_links(source.read_text(encoding="utf-8"), source, OUT / f"{page}.md"))


def summary_of(public: Any) -> str:
    """First paragraph of a docstring, on one line and fit for a table."""
    text = inspect.cleandoc(public.__doc__ or "").split("\n\n")[0]
    return " ".join(text.split()).replace("|", r"\|").replace("*", r"\*")


def formula(known: dict[str, str], name: str) -> list[str]:
    """The formula as MathML, which needs no script, in a box that scrolls.

    None for a newcomer, whose docstring has it.
    """
    return [f"<div class=\"formula\">{convert(known[name], display='block')}</div>\n"] if name in known else []


def drawn(path: Path) -> bool:
    """Whether a figure is there and may be kept."""
    return bool(os.environ.get("FUSEJAX_DOCS_KEEP")) and path.is_file()


def write_losses() -> None:
    """One page for all loss terms, with a figure each."""
    folder = OUT / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    parts = [
        "# Losses\n",
        "An objective is a weighted list of terms: `TermConfig(name, weight, options)`. *F* is the fused luma, *I* "
        "the infrared image, *V* the visible luma, *R* the fine-grained reference, *S* either source; *G* with an "
        "index is the Sobel gradient of that image, *g* its L1 norm and *n* its smooth norm; angle brackets are the "
        "mean over pixels. Every term takes `[b, h, w, 1]` in [0, 1], also for one image (`x[None]`), and returns one "
        "value per image.\n",
        f"Each figure shows a made-up pair, the average of its sources with its loss, the image after {figures.STEPS} "
        "steps of Adam on its pixels with this term alone (what the term rewards), and the descent direction at the "
        "average: red pixels should become brighter. [How to add a term](../guides/extend.md#a-loss).\n",
    ]
    for name, term in TERMS.items():
        figure = folder / f"loss_{name}.png"
        why_not = None if drawn(figure) else figures.draw_loss(name, figure)
        needs = ", ".join(f"`{need}`" for need in term_needs(name))
        name_of, public = term.__name__, set(fusejax.losses.__all__)
        function = f"`{name_of}`" if name_of not in public else f"[`{name_of}`](api/losses.{name_of}.md)"
        parts += [
            f"(loss-{name})=\n## {name}\n",
            f"{summary_of(term)}\n",
            *formula(formulas.LOSSES, name),
            why_not + "\n" if why_not else f"![What {name} rewards](figures/{figure.name})\n",
            f"Function: {function}; it needs {needs}.\n",
        ]
    write("losses", "\n".join(parts))


def write_metrics() -> None:
    """One page for all metrics, with a figure each."""
    folder, public = OUT / "figures", set(fusejax.metrics.__all__)
    parts = [
        "# Metrics\n",
        "Definitions of the convention `exact`; [what the other conventions change](notebooks/conventions.ipynb). "
        "Levels are gray levels of 255. *p* are histograms, *H* entropies, *r* Pearson correlations, *Δ* differences "
        "of neighbors; the other symbols are those of [the losses](losses.md).\n",
        "Each figure shows six images of a made-up pair in the order of the metric, and the direction in which the "
        "metric would change the average (red: brighter). [How to add a metric](../guides/extend.md#a-metric).\n",
    ]
    for name, info in METRICS.items():
        parts += [
            f"(metric-{name})=\n## {name}: {info.title}\n",
            *formula(formulas.METRICS, name),
            f"{info.values}; {info.better} is better; undefined: {info.undefined}. Source: {info.source}.\n",
        ]
        known = CONVENTIONS["exact"].metrics | CONVENTIONS["exact"].color
        others = [c for c, given in CONVENTIONS.items() if name in given.metrics or name in given.color]
        if name in CONVENTIONS["exact"].metrics:
            figure, note = folder / f"metric_{name}.png", folder / f"metric_{name}.txt"
            if not (drawn(figure) and note.is_file()):
                note.write_text(figures.draw_metric(name, figure), encoding="utf-8")
            parts += [f"![What {name} rewards](figures/{figure.name})\n", note.read_text(encoding="utf-8") + "\n"]
        if name in known and (function := getattr(known[name], "func", known[name])).__name__ in public:
            parts.append(f"Function: [`fusejax.metrics.{function.__name__}`](api/metrics.{function.__name__}.md).\n")
        parts.append(f"Conventions: {', '.join(f'`{c}`' for c in others) or 'a table of its own'}.\n")
    parts.append("## Metrics of videos\n")
    for name, info in TEMPORAL_METRICS.items():
        parts += [
            f"### {name}\n\n{info.title[0].upper()}{info.title[1:]}.\n",
            *formula(formulas.TEMPORAL, name),
            f"{info.values}; {info.better} is better; undefined: {info.undefined}. Source: {info.source}.\n",
        ]
    parts += ["## Conventions\n", *(f"- `{name}`: {c.summary}." for name, c in CONVENTIONS.items()), ""]
    write("metrics", "\n".join(parts))


def public_names() -> dict[str, list[str]]:
    """The names that each room of the package exports."""
    return {
        room: list(importlib.import_module(f"fusejax.{room}").__all__)
        for room in fusejax.__all__
        if inspect.ismodule(getattr(fusejax, room))
    }


def write_api() -> None:
    """A page per public name, an overview per room."""
    verbs = [name for name in fusejax.__all__ if not inspect.ismodule(getattr(fusejax, name))]
    tops = [*(f"fusejax.{name}" for name in verbs)]
    index = ["# API\n", "Everything is loaded at first use: `import fusejax` takes no time and touches no device.\n"]
    index += ["```{toctree}\n:maxdepth: 1\n", *(f"{name}" for name in tops), *public_names(), "```\n"]
    write("api/index", "\n".join(index))
    for name in verbs:
        write(f"api/fusejax.{name}", api_page("fusejax", name))
    for room, names in public_names().items():
        module = importlib.import_module(f"fusejax.{room}")
        rows = [f"| [`{name}`]({room}.{name}.md) | {one_line(getattr(module, name))} |" for name in names]
        text = ["| name | what it is |", "|---|---|", *rows, ""]
        tree = ["```{toctree}\n:hidden:\n", *(f"{room}.{name}" for name in names), "```\n"]
        head = [f"# fusejax.{room}\n", inspect.cleandoc(module.__doc__ or ""), ""]
        write(f"api/{room}", "\n".join([*head, *text, *tree]))
        for name in names:
            write(f"api/{room}.{name}", api_page(f"fusejax.{room}", name))


def one_line(public: Any) -> str:
    """What a public name is, for a table."""
    if isinstance(public, types.UnionType):
        return "One of " + ", ".join(f"`{kind.__name__}`" for kind in typing.get_args(public)) + "."
    documented = inspect.isclass(public) or callable(public)
    return summary_of(public) if documented else f"A `{type(public).__name__}` of {len(public)} entries."


def api_page(module: str, name: str) -> str:
    """The page of one public name."""
    public = getattr(importlib.import_module(module), name)
    title = f"# {name}\n"
    if isinstance(public, types.UnionType):
        return f"{title}\n{one_line(public)}\n"
    if not (inspect.isclass(public) or callable(public)):
        listed = "\n".join(f"- `{key}`" for key in public)
        return f"{title}\nA `{type(public).__name__}` with these entries:\n\n{listed}\n"
    again = "   :no-index:\n" if module == "fusejax" else ""  # the room has the entry of the index
    if inspect.isclass(public):
        options = f"   :members:\n   :show-inheritance:\n{again}"
        return f"{title}\n```{{eval-rst}}\n.. autoclass:: {module}.{name}\n{options}```\n"
    if not getattr(public, "__doc__", None) or not inspect.getmodule(public):
        return f"{title}\n{summary_of(public)}\n"
    return f"{title}\n```{{eval-rst}}\n.. autofunction:: {module}.{name}\n{again}```\n"


def help_of(command: str) -> str:
    """What `fusejax COMMAND --help` prints, at 100 columns."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        run_command([command, "--help"])
    return re.sub(r"\x1b\[[0-9;]*m", "", printed.getvalue()).rstrip()


def write_commands() -> None:
    """A page per command."""
    os.environ |= {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    rows = [f"| [`fusejax {name}`]({name}.md) | {text} |" for name, (_, text) in COMMANDS.items()]
    tree = ["```{toctree}\n:hidden:\n", *COMMANDS, "```\n"]
    write("cli/index", "\n".join(["# Command line\n", "| command | what it does |", "|---|---|", *rows, "", *tree]))
    for name, (_, text) in COMMANDS.items():
        write(f"cli/{name}", f"# fusejax {name}\n\n{text[0].upper()}{text[1:]}\n\n```text\n{help_of(name)}\n```\n")


def write_architecture() -> None:
    """The drawing and the table of rooms."""
    (OUT / "figures").mkdir(parents=True, exist_ok=True)
    rooms.draw(OUT / "figures" / "rooms.svg")
    write("rooms", f"# Rooms and arrows\n\n{rooms.table()}\n")


def write_gallery() -> None:
    """Made-up pairs, fused in every way."""
    write("gallery", gallery.page(OUT / "figures", keep=bool(os.environ.get("FUSEJAX_DOCS_KEEP"))))


def start_notebooks() -> subprocess.Popen | None:
    """Runs the notebooks of colabs/ in a process beside this one."""
    names = {path.name for path in (ROOT / "colabs").glob("*.ipynb")}
    if os.environ.get("FUSEJAX_DOCS_KEEP") and names <= {path.name for path in (OUT / "notebooks").glob("*.ipynb")}:
        return None
    return subprocess.Popen([sys.executable, Path(__file__).parent / "notebooks.py"])


def main() -> None:
    """Writes everything; removes pages of names that no longer exist."""
    for folder in ("api", "cli", "cards"):
        shutil.rmtree(OUT / folder, ignore_errors=True)
    OUT.mkdir(exist_ok=True)
    running = start_notebooks()
    steps = (write_foreign, write_api, write_commands, write_architecture, write_losses, write_metrics, write_gallery)
    for step in steps:
        step()
    if running and running.wait():
        raise RuntimeError("A notebook failed; its error is printed above.")


if __name__ == "__main__":
    main()
