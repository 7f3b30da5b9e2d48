"""The plan of a channel alignment, a small JSON file, and the patches cut on the fly from it."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8

from fusejax.data.alignment import AlignConfig, Alignment, Rgb3, channel_means, eight_bit, gamma_tables
from fusejax.data.folders import PairFolder
from fusejax.io.json_text import read_json
from fusejax.io.outputs import write_complete
from fusejax.serialize import from_dict, to_dict
from fusejax.typing import Pair

VERSION = 1
_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class AlignPlan:
    """Everything needed to cut the aligned patches again, and to judge them.

    Colors are R, G, B in 0..255.

    Attributes:
        config: settings of the alignment.
        target_mean: mean of the target's patches.
        mean_before: mean of the selected patches.
        mean_after: mean of the selected patches after correction by the tables.
        gammas: one per channel.
        last_distance: distance of the last selected patch in gray levels, summed over the channels
            (for `fit_then_choose`, of the corrected patch).
        seen: auxiliary patches that were compared.
        warnings: one line per reason to doubt the result.
        pictures: (height, width) of every auxiliary pair by name; a folder with different pairs is
            rejected.
        patches: (name, top, left) of the selected patches, closest first.
    """

    config: AlignConfig
    target_mean: Rgb3
    mean_before: Rgb3
    mean_after: Rgb3
    gammas: Rgb3
    last_distance: float
    seen: int
    warnings: tuple[str, ...]
    pictures: dict[str, tuple[int, int]]
    patches: tuple[tuple[str, int, int], ...]

    def __post_init__(self):
        for name in ("target_mean", "mean_before", "mean_after", "gammas"):
            if len(values := getattr(self, name)) != 3:
                raise ValueError(f"{name} has {len(values)} values; expected one each for red, green and blue.")
        if not all(1 / self.config.gamma_cap <= gamma <= self.config.gamma_cap for gamma in self.gammas):
            raise ValueError(f"gammas are {self.gammas}; they must not exceed the cap {self.config.gamma_cap}.")
        for name, top, left in self.patches:
            h, w = self.pictures.get(name, (0, 0))
            if not (0 <= top <= h - self.config.patch and 0 <= left <= w - self.config.patch):
                raise ValueError(f"the patch at {top}, {left} of {name!r} lies outside the listed images.")

    @property
    def summary(self) -> str:
        """One line on how many patches were kept."""
        fewer = f", fewer than the {self.config.k} requested" if len(self.patches) < self.config.k else ""
        return f"{len(self.patches)} of {self.seen} patches kept{fewer}"


def make_plan(alignment: Alignment, auxiliary: PairFolder, config: AlignConfig) -> AlignPlan:
    """The plan of an alignment.

    Args:
        alignment: from `align`.
        auxiliary: folder from which the auxiliary images were read.
        config: settings of the alignment.

    Returns:
        The plan, for `save_plan`.
    """
    target, before, after = (
        tuple(channel_means(h).tolist()) for h in (alignment.target, alignment.before, alignment.after)
    )
    return AlignPlan(
        config=config,
        target_mean=target,
        mean_before=before,
        mean_after=after,
        gammas=alignment.gammas,
        last_distance=alignment.patches[-1].distance,
        seen=alignment.seen,
        warnings=alignment.warnings,
        pictures=image_sizes(auxiliary),
        patches=tuple((p.name, p.top, p.left) for p in alignment.patches),
    )


def save_plan(path: str | Path, plan: AlignPlan) -> None:
    """Writes JSON with one line per field; an existing file is replaced.

    Args:
        path: file to write; its folder is created.
        plan: plan to write.
    """
    document = {"version": VERSION} | to_dict(plan)
    lines = (f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in document.items())
    write_complete(path, "{\n" + ",\n".join(lines) + "\n}\n")


def load_plan(path: str | Path) -> AlignPlan:
    """Reads a plan.

    Args:
        path: file written by `save_plan`.

    Returns:
        The plan.

    Raises:
        ValueError: if it is not JSON, has another version, lacks a key or has an unknown one; the
            message names the file.
    """
    try:
        document = read_json(path)
        if not isinstance(document, dict) or document.get("version") != VERSION:
            version = document.get("version") if isinstance(document, dict) else None
            raise ValueError(f"version is {version!r}, but this program reads version {VERSION}")
        values = {key: value for key, value in document.items() if key != "version"}
        _check_complete(AlignPlan, values)
        _check_complete(AlignConfig, values["config"])
        values["pictures"] = {name: tuple(size) for name, size in values["pictures"].items()}
        values["patches"] = [tuple(patch) for patch in values["patches"]]
        return from_dict(AlignPlan, values)
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        raise ValueError(f"{path} is not a usable alignment plan: {error}") from error


def _check_complete(cls: type, values: dict) -> None:
    if missing := [f.name for f in dataclasses.fields(cls) if f.name not in values]:
        raise ValueError(f"{cls.__name__} lacks {', '.join(missing)}")


def image_sizes(folder: PairFolder) -> dict[str, tuple[int, int]]:
    """(height, width) of every pair by name, from the headers."""
    return {pair.id: header.vi for pair, header in zip(folder.pairs, folder.headers, strict=True)}


def _folder_problems(expected: dict[str, tuple[int, int]], found: dict[str, tuple[int, int]]) -> list[str]:
    def listed(names: list[str]) -> str:
        return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")

    missing = [name for name in expected if name not in found]
    new = [name for name in found if name not in expected]
    sizes = [
        f"{name} is {found[name][0]}x{found[name][1]} and was {h}x{w}"
        for name, (h, w) in expected.items()
        if name in found and found[name] != (h, w)
    ]
    named = {"missing": missing, "new": new, "of another size": sizes}
    return [f"{len(names)} {what} ({listed(names)})" for what, names in named.items() if names]


@dataclasses.dataclass(frozen=True)
class VisibleImages:
    """Visible images of a folder as input for `align`, read one at a time; can be iterated
    repeatedly.
    """

    folder: PairFolder

    def __len__(self) -> int:
        return len(self.folder)

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        for n, pair in enumerate(self.folder.pairs):
            yield pair.id, eight_bit(self.folder.visible(n))


class AlignedPatches:
    """Random-access source of a plan's patches, closest first.

    Elements are `{"id": str, "ir": [p, p, 1], "vi": [p, p, 3]}`; an id is name_top_left. Visible
    patches are corrected by the gamma tables; infrared patches are not changed. The tables have 256
    entries, so 16-bit visible images become 8-bit. Every access decodes the pair again.

    Args:
        auxiliary: folder from which the plan was made.
        plan: from `load_plan`.

    Raises:
        ValueError: if names or sizes in the folder are not those of the plan; the message lists the
            differences. Pixels are not compared.
    """

    def __init__(self, auxiliary: PairFolder, plan: AlignPlan):
        if problems := _folder_problems(plan.pictures, image_sizes(auxiliary)):
            raise ValueError(
                f"The alignment plan was made from different auxiliary images: {'; '.join(problems)}. "
                "Give the folder from which it was made, or run `fusejax align` again."
            )
        self.auxiliary, self.plan = auxiliary, plan
        self._tables = gamma_tables(plan.gammas)
        self._index = {pair.id: n for n, pair in enumerate(auxiliary.pairs)}

    def __len__(self) -> int:
        return len(self.plan.patches)

    def __getitem__(self, index: int) -> Pair:
        name, top, left = self.plan.patches[index]
        pair = self.auxiliary[self._index[name]]
        ir = pair["ir"][self._window(index)]
        return {"id": f"{name}_{top}_{left}", "ir": ir, "vi": self._corrected(index, pair["vi"])}

    def visible(self, index: int) -> UInt8[np.ndarray, "p p 3"]:
        """The visible patch alone, for which infrared values need no meaning.

        Args:
            index: number of the patch.

        Returns:
            The patch [p, p, 3] as the network sees it, with its colors corrected.
        """
        return self._corrected(index, self.auxiliary.visible(self._index[self.plan.patches[index][0]]))

    def _window(self, index: int) -> tuple[slice, slice]:
        _, top, left = self.plan.patches[index]
        side = self.plan.config.patch
        return np.s_[top : top + side, left : left + side]

    def _corrected(self, index: int, vi: Shaped[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "p p 3"]:
        return self._tables[np.arange(3), eight_bit(vi[self._window(index)])]
