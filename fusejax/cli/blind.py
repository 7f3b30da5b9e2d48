"""`fusejax blind`: which of two images looks better, without knowing the methods."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tyro

from fusejax.cli.pairs import SourceFlags
from fusejax.cli.parsing import parse
from fusejax.evaluation.preferences import Preference, agreement, merits, predictions, preferences
from fusejax.evaluation.score_files import read_scores
from fusejax.evaluation.sources import choose_reading
from fusejax.io.outputs import check_files, check_out, refuse_existing, write_complete
from fusejax.io.pair_finding import find_pairs
from fusejax.io.pairing import list_images
from fusejax.report.blind_page import KEY, check_count, read_answers, write_blind_page


@dataclasses.dataclass(frozen=True)
class BlindOptions(SourceFlags):
    """Writes a page for blind viewing, or counts the answers that viewers gave on it.

    Attributes:
        fused: NAME=DIR, folders of fused images with the stems of the sources; at least two.
        pairs: number of comparisons on the page; by default every pair of methods on every image.
        focus: name of a method; only it is compared with the others.
        gray: show all images in gray, for methods that give no color.
        seed: seed of the order and the sides.
        answers: files that viewers have saved; counts them instead of writing a page.
        scores: metrics.csv files of `fusejax compare` or `fusejax evaluate` on the same images;
            prints how often each metric prefers the image that the viewers preferred.
        out: folder for blind.html, which holds all images, and blind_key.json, which names the
            methods; with `answers` the folder that holds the key, where preferences.json is
            written.
        overwrite: replace existing files.
    """

    ir: Path | None = None  # of the page; answers are counted without it
    out: Path = tyro.MISSING
    fused: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    pairs: int | None = None
    focus: str | None = None
    gray: bool = False
    seed: int = 0
    answers: tuple[Path, ...] = ()
    scores: tuple[Path, ...] = ()
    overwrite: bool = False


def run(arguments: list[str]) -> None:
    """Writes the page, or prints the table of preferences.

    Raises:
        ValueError: if the folders do not match, or a file of answers cannot be used.
        OSError: if a file exists and `overwrite` is not set, or cannot be written.
    """
    options = parse(BlindOptions, "blind", arguments)
    if options.answers:
        _count(options)
        return
    if options.scores:
        raise ValueError("--scores is for counting answers; also give --answers.")
    if options.ir is None or len(options.fused) < 2:
        raise ValueError("A page needs --ir, --vi, and --fused NAME=DIR for two or more methods.")
    check_count(options.pairs, "--pairs")
    methods = dict(_named(word) for word in options.fused)
    if len(methods) < len(options.fused):
        raise ValueError("Two --fused have the same name; give each method a name of its own.")
    pairs, _ = find_pairs(*options.sources, sources=options.reading)
    reading = choose_reading(pairs, "auto", options=options.reading)
    page = write_blind_page(
        {name: dict(list_images(folder)) for name, folder in methods.items()},
        {pair.id: functools.partial(reading.read, pair) for pair in pairs},
        options.out,
        count=options.pairs,
        focus=options.focus,
        gray=options.gray,
        seed=options.seed,
        overwrite=options.overwrite,
    )
    print(f"{page}: open it in a browser; then fusejax blind --out {options.out} --answers FILE ...")


def _named(word: str) -> tuple[str, Path]:
    name, equals, folder = word.partition("=")
    if not (name and equals and folder):
        raise ValueError(f"--fused is {word!r}; give NAME=DIR.")
    return name, Path(folder)


def _count(options: BlindOptions) -> None:
    file = options.out / "preferences.json"
    check_out(options.out)
    refuse_existing(check_files([file], sources=options.answers), overwrite=options.overwrite)
    choices = read_answers(options.out / KEY, options.answers)
    rows, viewers, agreed = preferences(choices), {c.viewer for c in choices}, agreement(choices)
    print(f"{len(choices)} answers of {len(viewers)} viewer(s) on {len({c.image for c in choices})} images")
    print(table(rows))
    if agreed is not None:
        print(f"viewers agree in {100 * agreed:.0f} % of the comparisons that two of them saw")
    found: dict[str, Any] = {"viewers": sorted(viewers), "answers": len(choices), "agreement": agreed}
    if options.scores:
        predicted = predictions(choices, merits([t for path in options.scores for t in read_scores(path)]))
        print(prediction_table(predicted))
        found["predictions"] = {name: {"share": share, "choices": n} for name, (share, n) in predicted.items() if n}
    write_complete(file, json.dumps(found | {"methods": [dataclasses.asdict(row) for row in rows]}, indent=1) + "\n")


def table(rows: list[Preference]) -> str:
    """The preferences as a Markdown table, the most preferred method first."""
    lines = ["| method | wins | ties | losses | ability (95 % interval) |", "|---|---|---|---|---|"]
    for row in rows:
        interval = f"{row.ability:+.2f} ({row.low:+.2f} to {row.high:+.2f})"
        lines.append(f"| {row.method} | {row.wins} | {row.ties} | {row.losses} | {interval} |")
    return "\n".join(lines)


def prediction_table(predicted: Mapping[str, tuple[float, int]]) -> str:
    """How well metrics predict the choices, as a Markdown table, the best first.

    Raises:
        ValueError: if no metric has scores for the images of the choices.
    """
    known = {name: found for name, found in predicted.items() if found[1]}
    if not known:
        raise ValueError("--scores has no scores of these methods on these images; give those of the same comparison.")
    lines = ["| metric | predicts | decided choices |", "|---|---|---|"]
    for name, (share, count) in sorted(known.items(), key=lambda item: -item[1][0]):
        lines.append(f"| {name} | {100 * share:.0f} % | {count} |")
    return "\n".join(lines)
