"""The study: every method under every condition, scored against the clean sources."""

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from fusejax.evaluation.attack import STEPS
from fusejax.evaluation.conditions import KINDS, SEED, Condition, choose_conditions
from fusejax.evaluation.loop import Sample, make_sample, score_samples
from fusejax.evaluation.methods import Given, GivenBackends, name_methods
from fusejax.evaluation.results import CLEAN, Group, Scores, printable
from fusejax.evaluation.sources import AS_STORED, choose_pairs, choose_reading
from fusejax.evaluation.tested import CleanPair, Sources, Tested, degraded_inputs, open_methods, read_clean
from fusejax.inference.thermal import RangeOption
from fusejax.io.align import Aligner
from fusejax.io.images import to_float
from fusejax.io.pair_images import SourceOptions
from fusejax.metrics.evaluation import chosen_metrics
from fusejax.ops.color import rgb_to_luma
from fusejax.progress import track

CHANGE = "change"
METRICS = ("MI", "VIF", "Qabf", "SSIM")
"""Metrics that compare with both sources and do not reward noise, unlike EN, SD, SF and AG."""

# Thumbnails show the first pair at this level, if a degradation has that many levels.
_SHOWN_LEVEL = 3

_EXPLAINED = (
    f"The noise has seed {SEED}. Scores are computed against the clean sources, so copying a degradation is not "
    "rewarded. `change` is the root mean squared difference of the fused luma from the same method's result for the "
    "clean pair, in levels of 255. MI and VIF are sums over the sources: if one is lost, a mere copy of the other can "
    "score higher than the clean pair."
)
_ATTACK = (
    f"Adversarial noise: {STEPS} steps of projected gradient ascent on the squared distance of the fused luma from "
    "that of the clean pair, with both sources changed by at most the strength (maximum norm), for each network; "
    "methods without gradient get the noise computed for the first network."
)


@dataclasses.dataclass(frozen=True)
class StressResult:
    """Scores of methods under conditions.

    Attributes:
        scores: scores of the methods; the first condition is that of clean pairs. The first metric,
            "change", is the root mean squared difference of the fused luma from the same method's
            result for the clean pair, in levels of 255.
        groups: the degradations with their strengths.
        examples: 8-bit images of the first pair by condition (clean first): degraded infrared and
            visible images, then the fused images by method.
        notes: sentences for the reader.
    """

    scores: Scores
    groups: list[Group]
    examples: dict[str, dict[str, np.ndarray]]
    notes: list[str]


def stress_folders(
    ir: str | Path,
    vi: str | Path | None,
    *,
    weights: GivenBackends = (),
    fused: Given = (),
    kinds: Sequence[str] | None = None,
    pairs: int | None = None,
    convention: str = "exact",
    metrics: Sequence[str] = METRICS,
    ir_range: RangeOption = "auto",
    align: Aligner | None = None,
    options: SourceOptions = AS_STORED,
) -> StressResult:
    """Degrades pairs in fixed ways, fuses them, and scores the results against the clean pairs.

    Progress is reported on standard error.

    Args:
        ir: folder of infrared images.
        vi: folder of visible images of the same sizes; see `fusejax.io.find_pairs` for names, lists
            and files of cameras.
        weights: what fuses, see `fusejax.load`; NAME=WEIGHTS gives another name.
        fused: folders of images fused elsewhere from the output of `write_inputs`, DIR or NAME=DIR.
        kinds: names of degradations (`fusejax.evaluation.conditions.KINDS`); by default all.
        pairs: number of pairs to use, spread evenly over the folder; by default all.
        convention: which toolkit's metric definitions to use.
        metrics: names of the metrics; the default ones compare with both sources.
        ir_range: values of the infrared images that map to black and white, see `fusejax.fuse`.
            Degradations are applied after that.
        align: the step before fusion, such as a registration; it comes before the degradations.
        options: how the sources are read.

    Returns:
        The scores.

    Raises:
        ValueError: if there is nothing to test, or folders, weights or names cannot be used.
    """
    conditions, chosen = choose_conditions(kinds), choose_pairs(ir, vi, count=pairs, align=align, options=options)
    named = name_methods(weights=weights, folders=fused)
    if not named or not metrics:
        raise ValueError("Nothing to test: give --weights or --fused, and at least one metric.")
    stems, asked = [pair.id for pair in chosen], chosen_metrics(convention, metrics)
    methods = open_methods(named, conditions, stems)
    shape = len(methods), 1 + len(conditions), len(chosen)
    values = np.full((*shape, 1 + len(asked)), np.nan)
    examples: dict[str, dict[str, np.ndarray]] = {}
    waiting: deque[_Fused] = deque()
    reading = choose_reading(chosen, ir_range, options=options, align=align)

    def samples() -> Iterator[Callable[[], Sample]]:
        steps = _fuse_all(methods, read_clean(chosen, reading), conditions)
        for step in track(steps, shape[1] * shape[2], description="stressing", unit="conditions"):
            if step.number[0] == 0 and step.sources and _is_shown(step.condition):
                examples[_title(step.condition)] = step.sources | step.images
            if step.images:
                waiting.append(step)
                ir, vi = to_float(step.pair.ir), to_float(step.pair.vi)
                yield partial(make_sample, list(step.images.values()), ir, vi)

    names = [method.name for method in methods]
    for found in score_samples(samples(), {convention: asked}):
        step = waiting.popleft()
        n, c = step.number
        rows = [names.index(name) for name in step.changes]
        values[rows, c, n, 0] = list(step.changes.values())
        values[rows, c, n, 1:] = np.stack([found.conventions[convention][metric] for metric in asked], axis=-1)
    labels = (CLEAN, *(condition.name for condition in conditions))
    scores = Scores(tuple(names), tuple(map(printable, stems)), (CHANGE, *asked), values, convention, labels)
    return StressResult(scores, _groups(conditions), examples, _notes(methods, conditions))


def _groups(conditions: Sequence[Condition]) -> list[Group]:
    by_title: dict[str, list[Condition]] = {}
    for condition in conditions:
        by_title.setdefault(condition.title, []).append(condition)
    return [
        Group(title, tuple(c.name for c in found), tuple(c.shown for c in found), KINDS[found[0].kind].unit)
        for title, found in by_title.items()
    ]


def _title(condition: Condition | None) -> str:
    return CLEAN if condition is None else ", ".join(filter(None, (condition.title, condition.amount)))


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
    methods: Sequence[Tested], pairs: Iterator[CleanPair], conditions: Sequence[Condition]
) -> Iterator[_Fused]:
    for n, pair in enumerate(pairs):
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


def _sources(methods: Sequence[Tested], pair: CleanPair, condition: Condition | None) -> dict[int, Sources]:
    """Degraded sources by the identity of the network for which they are made. They are all the
    same except for adversarial noise, which folders have received in advance.
    """
    networks = {id(method.attacked): method.attacked for method in methods}
    if condition is None or condition.source != "both":
        return dict.fromkeys(networks, degraded_inputs(pair, condition, None))
    return {key: degraded_inputs(pair, condition, fuser) for key, fuser in networks.items() if fuser is not None}


def _change(image: np.ndarray, clean: np.ndarray) -> float:
    """Root mean squared difference of the luma, in levels of 255."""
    lumas = [rgb_to_luma(x) if x.shape[-1] == 3 else x for x in (to_float(image), to_float(clean))]
    return float(255 * np.sqrt(np.square(lumas[0] - lumas[1]).mean()))


def _is_shown(condition: Condition | None) -> bool:
    return condition is None or condition.level == min(_SHOWN_LEVEL, len(KINDS[condition.kind].strengths))


def _notes(methods: Sequence[Tested], conditions: Sequence[Condition]) -> list[str]:
    notes = [_EXPLAINED, *([_ATTACK] if any(condition.source == "both" for condition in conditions) else [])]
    for method in methods:
        missing = [condition.name for condition in conditions if not method.can(condition)]
        if missing:
            more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
            notes.append(f"{method.name} has no images for {', '.join(missing[:4])}{more}.")
    return notes
