"""The study: every method under every condition, scored against the clean sources."""

import dataclasses
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from fusejax.evaluation.conditions import CLEAN, CONDITIONS, KINDS, SEED, Condition
from fusejax.evaluation.loop import Sample, score_samples
from fusejax.evaluation.methods import (
    CleanPair,
    Method,
    Sources,
    degraded_inputs,
    load_weights_methods,
    open_folder_method,
)
from fusejax.io.images import as_infrared, as_visible, from_float, read_image, to_float, write_image
from fusejax.io.outputs import check_out, write_complete
from fusejax.io.pairing import PairPaths, match_pairs
from fusejax.metrics.evaluation import chosen_metrics
from fusejax.ops.color import rgb_to_luma
from fusejax.progress import track

CHANGE = "change"
METRICS = ("MI", "VIF", "Qabf", "SSIM")
"""Metrics that compare with both sources and do not reward noise, unlike EN, SD, SF and AG."""

# Thumbnails show the first pair at this level, if a degradation has that many levels.
_SHOWN_LEVEL = 3


@dataclasses.dataclass(frozen=True)
class StressResult:
    """Scores of methods under conditions.

    Attributes:
        methods: names of the methods.
        pairs: file stems of the pairs.
        conditions: conditions that were tested.
        convention: convention of the metrics.
        values: arrays [methods, 1 + conditions, pairs] by metric; index 0 of the conditions is the
            clean pair. "change" is the root mean squared difference of the fused luma from the
            same method's result for the clean pair, in levels of 255. NaN where there is no image
            or no value.
        examples: 8-bit images of the first pair by condition (clean first): degraded infrared and
            visible images, then the fused images by method.
        notes: notes for the reader, one per line.
    """

    methods: list[str]
    pairs: list[str]
    conditions: tuple[Condition, ...]
    convention: str
    values: dict[str, Float[np.ndarray, "m c n"]]
    examples: dict[str, dict[str, np.ndarray]]
    notes: list[str]


def choose_conditions(kinds: Sequence[str] | None) -> tuple[Condition, ...]:
    """The conditions of the given degradations; all by default.

    Args:
        kinds: names of degradations in `KINDS`.

    Raises:
        ValueError: for unknown names, or if none is given.
    """
    if kinds is None:
        return CONDITIONS
    if not kinds or (unknown := [kind for kind in kinds if kind not in KINDS]):
        named = ", ".join(unknown) if kinds else "none"
        raise ValueError(f"degradations: {named}; known are {', '.join(KINDS)}.")
    return tuple(condition for condition in CONDITIONS if condition.kind in kinds)


def stress_folders(
    ir: str | Path,
    vi: str | Path | None,
    *,
    weights: Sequence[str | Path] = (),
    fused: Mapping[str, str | Path] | None = None,
    kinds: Sequence[str] | None = None,
    pairs: int | None = None,
    convention: str = "exact",
    metrics: Sequence[str] = METRICS,
) -> StressResult:
    """Degrades pairs in fixed ways, fuses them, and scores the results against the clean pairs.

    Progress is reported on standard error.

    Args:
        ir: folder of infrared images. Raw thermal counts must be mapped to 8 bits first (`fusejax
            fuse --keep-ir` writes such images).
        vi: folder of visible images of the same sizes; see `fusejax.io.match_pairs` for names.
        weights: shipped names, .safetensors files, folders of runs, or exported files.
        fused: folders of images fused elsewhere from the output of `write_inputs`, by method name.
        kinds: names of degradations (`fusejax.evaluation.conditions.KINDS`); by default all.
        pairs: number of pairs to use, spread evenly over the folder; by default all.
        convention: which toolkit's metric definitions to use.
        metrics: names of the metrics; the default ones compare with both sources.

    Returns:
        The scores.

    Raises:
        ValueError: if there is nothing to test, or folders, weights or names cannot be used.
    """
    conditions, chosen = choose_conditions(kinds), choose_pairs(ir, vi, count=pairs)
    stems = [pair.id for pair in chosen]
    methods: list[Method] = [*load_weights_methods(weights)]
    methods.extend(open_folder_method(k, Path(v), conditions, stems) for k, v in (fused or {}).items())
    if not methods or not metrics:
        raise ValueError("Nothing to test: give --weights or --fused, and at least one metric.")
    shape = len(methods), 1 + len(conditions), len(chosen)
    values = {name: np.full(shape, np.nan) for name in (CHANGE, *metrics)}
    examples: dict[str, dict[str, np.ndarray]] = {}
    waiting: deque[_Fused] = deque()

    def samples() -> Iterator[Callable[[], Sample]]:
        fused = _fuse_all(methods, chosen, conditions)
        for step in track(fused, shape[1] * shape[2], description="stressing", unit="conditions"):
            if step.number[0] == 0 and step.sources and _is_shown(step.condition):
                examples[CLEAN if step.condition is None else step.condition.name] = step.sources | step.images
            if step.images:
                waiting.append(step)
                yield partial(_sample, step)

    for found in score_samples(samples(), {convention: chosen_metrics(convention, metrics)}):
        step = waiting.popleft()
        n, c = step.number
        for place, (name, change) in enumerate(step.changes.items()):
            m = [method.name for method in methods].index(name)
            values[CHANGE][m, c, n] = change
            for metric, scores in found.conventions[convention].items():
                values[metric][m, c, n] = scores[place]
    notes = _notes(methods, conditions)
    return StressResult([m.name for m in methods], stems, conditions, convention, values, examples, notes)


@dataclasses.dataclass(frozen=True)
class _Fused:
    """One pair under one condition: its index in the values, its sources and the fused images."""

    number: tuple[int, int]
    pair: CleanPair
    condition: Condition | None
    sources: dict[str, np.ndarray]
    images: dict[str, np.ndarray]
    changes: dict[str, float]


def _fuse_all(
    methods: Sequence[Method], pairs: Sequence[PairPaths], conditions: Sequence[Condition]
) -> Iterator[_Fused]:
    for n, pair in enumerate(_read(pairs)):
        clean: dict[str, np.ndarray] = {}
        for c, condition in enumerate((None, *conditions)):
            able = [method for method in methods if method.can(condition)]
            sources = _sources(able, pair, condition)
            images = {method.name: method.fused(pair, condition, sources.get(id(method.attacked))) for method in able}
            clean = clean or images
            changes = {name: _change(image, clean[name]) for name, image in images.items()}
            shown: dict[str, np.ndarray] = {}
            for ir, vi in list(sources.values())[:1]:
                shown = {"infrared": ir, "visible": vi}
            yield _Fused((n, c), pair, condition, shown, images, changes)


def _sample(step: _Fused) -> Sample:
    planes = [to_float(image) for image in step.images.values()]
    colored = any(x.shape[-1] == 3 for x in planes)
    stack = np.stack([as_visible(x) if colored else x for x in planes])
    return Sample(fused=stack, ir=to_float(step.pair.ir), vi=to_float(step.pair.vi))


def _sources(methods: Sequence[Method], pair: CleanPair, condition: Condition | None) -> dict[int, Sources]:
    """Degraded sources by the identity of the network for which they are made. They are all the
    same except for adversarial noise, which folders have received in advance.
    """
    networks = {id(method.attacked): method.attacked for method in methods}
    if condition is None or condition.source != "both":
        return dict.fromkeys(networks, degraded_inputs(pair, condition, None))
    return {key: degraded_inputs(pair, condition, fuser) for key, fuser in networks.items() if fuser is not None}


def choose_pairs(ir: str | Path, vi: str | Path | None, *, count: int | None) -> list[PairPaths]:
    """Pairs of two folders, by name: `count` evenly spaced ones, or all if there are fewer.

    Raises:
        ValueError: if the folders do not match, or `count` is below 1.
    """
    found, _ = match_pairs(ir, vi)
    if count is None or count >= len(found):
        return found
    if count < 1:
        raise ValueError(f"pairs is {count}; it must be at least 1.")
    return [found[n * len(found) // count] for n in range(count)]


def write_inputs(
    ir: str | Path,
    vi: str | Path | None,
    out: str | Path,
    *,
    weights: str | Path | None = None,
    kinds: Sequence[str] | None = None,
    pairs: int | None = None,
) -> int:
    """Writes the degraded pairs, for methods that run elsewhere.

    OUT/clean and one folder per condition hold `ir` and `vi`; OUT/stress.json describes them.

    Args:
        ir: see `stress_folders`.
        vi: see `stress_folders`.
        out: folder that must not exist or must be empty.
        weights: weights of the network for which adversarial noise is computed; without weights
            there is none.
        kinds: see `stress_folders`.
        pairs: see `stress_folders`.

    Returns:
        Number of conditions written, including the clean one.

    Raises:
        ValueError: see `stress_folders`.
        FileExistsError: if `out` holds files.
    """
    out, conditions = Path(out), choose_conditions(kinds)
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty; give a new folder for the degraded inputs.")
    check_out(out, option="--write-inputs")
    attacked = load_weights_methods([weights])[0].attacked if weights is not None else None
    conditions = tuple(c for c in conditions if c.source != "both" or attacked is not None)
    chosen, every = choose_pairs(ir, vi, count=pairs), (None, *conditions)
    steps = ((pair, condition) for pair in _read(chosen) for condition in every)
    for pair, condition in track(steps, len(chosen) * len(every), description="writing", unit="pairs"):
        folder = out / (CLEAN if condition is None else condition.name)
        for kind, image in zip(("ir", "vi"), degraded_inputs(pair, condition, attacked), strict=True):
            write_image(folder / kind / f"{pair.name}.png", image)
    described = [{"folder": c.name, "degradation": c.title, "strength": c.amount} for c in conditions]
    document = {"seed": SEED, "attacked": None if attacked is None else str(weights), "conditions": described}
    write_complete(out / "stress.json", json.dumps(document, indent=1) + "\n")
    return len(every)


def _read(pairs: Sequence[PairPaths]) -> Iterator[CleanPair]:
    for pair in pairs:
        images = as_infrared(read_image(pair.ir)), read_image(pair.vi)
        eight = [x if x.dtype == np.uint8 else from_float(to_float(x), np.uint8) for x in images]
        yield CleanPair(pair.id, *eight)


def _change(image: np.ndarray, clean: np.ndarray) -> float:
    """Root mean squared difference of the luma, in levels of 255."""
    lumas = [rgb_to_luma(x) if x.shape[-1] == 3 else x for x in (to_float(image), to_float(clean))]
    return float(255 * np.sqrt(np.square(lumas[0] - lumas[1]).mean()))


def _is_shown(condition: Condition | None) -> bool:
    return condition is None or condition.level == min(_SHOWN_LEVEL, len(KINDS[condition.kind].strengths))


def _notes(methods: Sequence[Method], conditions: Sequence[Condition]) -> list[str]:
    notes = []
    for method in methods:
        missing = [condition.name for condition in conditions if not method.can(condition)]
        if missing:
            more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
            notes.append(f"{method.name} has no images for {', '.join(missing[:4])}{more}.")
    return notes
