"""Top-K channel alignment of two folders; training takes its patches from the resulting files."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fusejax.data.alignment import AlignConfig, align
from fusejax.data.alignment_figure import plot_alignment
from fusejax.data.alignment_plan import AlignPlan, VisibleImages, make_plan, save_plan
from fusejax.data.folders import PairFolder
from fusejax.io.outputs import check_files, check_out, refuse_existing
from fusejax.progress import track


@dataclasses.dataclass(frozen=True)
class AlignedFolders:
    """Result of `align_folders`.

    Attributes:
        plan: the selected patches, their gammas and statistics for judging them.
        path: JSON file of the plan, for `data.alignment` of a configuration.
        figure: PNG file with histograms, and patches before and after.
        skipped: one line per skipped pair.
    """

    plan: AlignPlan
    path: Path
    figure: Path
    skipped: list[str]


@dataclasses.dataclass(frozen=True)
class _Watched(VisibleImages):
    """Reports the progress of each pass."""

    description: str

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        return track(super().__iter__(), len(self), description=self.description, unit="images")


def align_folders(
    target: str | Path,
    auxiliary: str | Path,
    out: str | Path,
    *,
    config: AlignConfig | None = None,
    target_split: str | None = "train",
    skip_bad: bool = False,
    overwrite: bool = False,
    ir_pattern: str | None = None,
    vi_pattern: str | None = None,
) -> AlignedFolders:
    """Selects the auxiliary patches closest in brightness to a target set, with one gamma per
    color.

    Top-K selective channel alignment (CrossFuse, arXiv 2502.14493), see `fusejax.data.align`. The
    images themselves are not changed. Progress is reported on standard error.

    Args:
        target: pair folder whose brightness the patches should match.
        auxiliary: pair folder to select patches from; the path includes the split.
        out: FILE.json (FILE.png is written next to it), or a folder for plan.json and plan.png.
        config: settings for cutting, selecting and fitting; by default `AlignConfig()`.
        target_split: subfolder to use if the target folder does not hold the images itself; keeps
            test images out.
        skip_bad: skip unusable pairs and list them, instead of stopping.
        overwrite: replace an existing plan.
        ir_pattern: names of the infrared files of both sets, see `PairFolder`.
        vi_pattern: names of the visible files of both sets.

    Returns:
        The plan, the files written and the pairs that were skipped.

    Raises:
        ValueError: if folders or images cannot be used, or no patch fits into an image.
        OSError: before any work, if the files exist or cannot be written.
    """
    config = config or AlignConfig()
    out = Path(out)
    path = out if out.suffix.lower() == ".json" else out / "plan.json"
    figure = path.with_suffix(".png")
    check_out(path.parent)
    given = [Path(target), Path(auxiliary)]
    existing = check_files([path, figure], sources=given, own=not path.exists())  # the plan is written last
    refuse_existing(existing, overwrite=overwrite)
    names: dict[str, Any] = {"ir_pattern": ir_pattern, "vi_pattern": vi_pattern}
    target_pairs = PairFolder(target, split=target_split, skip_bad=skip_bad, **names)
    auxiliary_pairs = PairFolder(auxiliary, skip_bad=skip_bad, **names)
    alignment = align(
        _Watched(target_pairs, "measuring the target"), _Watched(auxiliary_pairs, "ranking patches"), config
    )
    plan = make_plan(alignment, auxiliary_pairs, config)
    plot_alignment(figure, alignment, plan, auxiliary_pairs)
    save_plan(path, plan)
    return AlignedFolders(plan, path, figure, [*target_pairs.skipped, *auxiliary_pairs.skipped])
