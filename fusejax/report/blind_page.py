"""A page for blind viewing: two fused images of one scene at a time, without names."""

import dataclasses
import itertools
import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from fusejax.evaluation.preferences import Choice
from fusejax.io.images import read_image
from fusejax.io.outputs import check_files, check_out, refuse_existing, write_complete
from fusejax.report.page import write_html
from fusejax.report.page_images import data_uri

PAGE, KEY = "blind.html", "blind_key.json"
Pair = tuple[Shaped[np.ndarray, "h w 1"], Shaped[np.ndarray, "h w c"]]

_SIDES = ("left", "right", "equal")


@dataclasses.dataclass(frozen=True)
class Trial:
    """One comparison.

    Attributes:
        image: name of the pair of sources.
        left: method shown on the left.
        right: method shown on the right.
    """

    image: str
    left: str
    right: str


def check_count(count: int | None, name: str) -> None:
    """Raises ValueError, which names the option, unless a number of comparisons is positive."""
    if count is not None and count < 1:
        raise ValueError(f"{name} is {count}; it must be at least 1.")


def plan_trials(
    methods: Sequence[str], images: Sequence[str], *, count: int | None = None, focus: str | None = None, seed: int = 0
) -> list[Trial]:
    """Draws which methods are compared on which image, in random order and on random sides.

    Args:
        methods: names of at least two methods.
        images: names of the pairs of sources.
        count: number of comparisons; all of them by default. Images and pairs of methods are used
            equally often.
        focus: only compare this method with the others.
        seed: seed of the order and the sides.

    Returns:
        The comparisons in the order in which they are shown.

    Raises:
        ValueError: if there are fewer than two methods, no images, or `focus` is none of them.
    """
    if len(methods) < 2 or not images:
        raise ValueError(f"A blind comparison needs two methods and an image; got {len(methods)} and {len(images)}.")
    if focus is not None and focus not in methods:
        raise ValueError(f"{focus!r} is none of the methods: {', '.join(methods)}.")
    rng = random.Random(seed)
    rivals = [pair for pair in itertools.combinations(methods, 2) if focus is None or focus in pair]
    scenes = rng.sample(list(images), len(images))
    # Each round shows every image once, with another pair of methods.
    rounds = [
        (image, rivals[(n + shift) % len(rivals)]) for shift in range(len(rivals)) for n, image in enumerate(scenes)
    ]
    chosen = rounds[:count]
    rng.shuffle(chosen)
    return [Trial(image, *rng.sample(pair, 2)) for image, pair in chosen]


def write_blind_page(
    methods: Mapping[str, Mapping[str, Path]],
    sources: Mapping[str, Callable[[], Pair]],
    out: Path,
    *,
    count: int | None = None,
    focus: str | None = None,
    gray: bool = False,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Writes `blind.html`, which holds all of its images, and `blind_key.json`, which tells them.

    Args:
        methods: by name, the fused image of each pair.
        sources: by image, what reads infrared and visible pixels, see `data_uri`.
        out: folder for both files.
        count: number of comparisons, see `plan_trials`.
        focus: see `plan_trials`.
        gray: show all images in gray, for methods that give no color.
        seed: see `plan_trials`.
        overwrite: replace files of an earlier call.

    Returns:
        The path of the page.

    Raises:
        ValueError: if a method lacks an image; see also `plan_trials`.
        FileExistsError: if one of the files exists and `overwrite` is not set.
    """
    images = sorted(sources)
    for name, fused in methods.items():
        if missing := [image for image in images if image not in fused]:
            raise ValueError(f"{name} has no image for {missing[0]} ({len(missing)} of {len(images)} are missing).")
    trials = plan_trials(list(methods), images, count=count, focus=focus, seed=seed)
    check_out(out)
    refuse_existing(check_files([out / PAGE, out / KEY]), overwrite=overwrite)
    shown, encoded = [], []
    places: dict[tuple[str, str], int] = {}
    for trial in trials:
        row = []
        for kind in ("ir", "vi", trial.left, trial.right):
            key = (kind, trial.image)
            if key not in places:
                if kind in ("ir", "vi"):
                    pixels = sources[trial.image]()[("ir", "vi").index(kind)]
                else:
                    pixels = read_image(methods[kind][trial.image])
                places[key] = len(encoded)
                encoded.append(data_uri(pixels, gray=gray, lossless=True))
            row.append(places[key])
        shown.append(row)
    study = f"{random.Random(json.dumps([dataclasses.astuple(t) for t in trials])).getrandbits(48):012x}"
    key = {"study": study, "trials": [dataclasses.asdict(trial) for trial in trials]}
    write_complete(out / KEY, json.dumps(key, indent=1) + "\n")
    return write_html(out / PAGE, "blind.html", study=study, images=encoded, trials=shown)


def read_answers(key: Path, answers: Sequence[Path]) -> list[Choice]:
    """Reads the answers that viewers have saved.

    Args:
        key: the file `blind_key.json` of the page.
        answers: files of answers, one or more per viewer.

    Returns:
        One choice per answer.

    Raises:
        ValueError: if a file is damaged, or belongs to another page; names the file.
    """
    known = _read(key, {"study": str, "trials": list})
    trials = [_trial(row, key) for row in known["trials"]]
    choices = []
    for path in answers:
        given = _read(path, {"study": str, "viewer": str, "answers": list})
        if given["study"] != known["study"]:
            raise ValueError(f"{path} holds answers to another page than that of {key}.")
        for answer in given["answers"]:
            number = answer.get("trial") if isinstance(answer, dict) else None
            if type(number) is not int or not 0 <= number < len(trials) or answer.get("choice") not in _SIDES:
                raise ValueError(f"{path}: {json.dumps(answer)[:80]} is no answer to a comparison of {key}.")
            trial = trials[number]
            choices.append(Choice(given["viewer"], trial.image, trial.left, trial.right, answer["choice"]))
    return choices


def _trial(row: object, key: Path) -> Trial:
    fields = ("image", "left", "right")
    if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in fields):
        raise ValueError(f"{key} is damaged: {json.dumps(row)[:80]} is no comparison.")
    return Trial(*(row[name] for name in fields))


def _read(path: Path, fields: Mapping[str, type]) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a JSON file.") from error
    for name, kind in fields.items():
        if not isinstance(found, dict) or not isinstance(found.get(name), kind):
            raise ValueError(f"{path} has no {name!r}; give the files that the page and its command have written.")
    return found
