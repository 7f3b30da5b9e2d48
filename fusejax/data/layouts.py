"""Folder layouts of the field's public data sets."""

from collections.abc import Mapping
from pathlib import Path

from fusejax.data.task import TASKS, TaskName
from fusejax.io.cameras import read_camera_layout
from fusejax.io.listing import images_of
from fusejax.io.matching import holds_pairs, with_patterns
from fusejax.io.pair_list import is_pair_list
from fusejax.io.pairing import PairError, check_folder

ANNOTATION_NAMES = ("boxes", "annotations", "annotation", "labels")
SPLIT_NAMES = ("train", "training", "val", "valid", "validation", "test", "test_dev", "testing", "eval")

_SHOWN = 8


def find_modalities(
    folder: Path, *, split: str | None = None, task: TaskName = "infrared-visible"
) -> tuple[Path, Path] | None:
    """Finds the infrared and the visible subfolder by the field's usual names, ignoring case.

    Args:
        folder: folder that contains the two.
        split: if both contain a folder of this name, it is used (LLVIP's infrared/train,
            visible/train).
        task: what the two sources are; determines the names.

    Returns:
        (infrared, visible), or the task's first and second; None if there is neither.

    Raises:
        PairError: if only one of the two exists.
    """
    subfolders = _subfolders(folder)
    names_of = TASKS[task]
    ir = next((subfolders[n] for n in names_of.first if n in subfolders), None)
    vi = next((subfolders[n] for n in names_of.second if n in subfolders), None)
    if not ir and not vi:
        return None
    if not ir or not vi:
        names = names_of.first if vi else names_of.second
        raise PairError(f"{ir or vi} has no partner: {folder} also needs one of the folders {', '.join(names)}.")
    inner_ir, inner_vi = (_subfolders(p).get((split or "").lower()) for p in (ir, vi))
    return (inner_ir, inner_vi) if inner_ir and inner_vi else (ir, vi)


def find_annotations(ir: Path) -> Path | None:
    """Finds the folder of annotations next to an infrared folder, by the field's usual names.

    For LLVIP's infrared/train it is Annotations/train, or Annotations if there is no such folder.

    Args:
        ir: folder of infrared images.

    Returns:
        The folder, or None if there is none.
    """
    split = None if ir.name.lower() in TASKS["infrared-visible"].first else ir.name.lower()
    siblings = _subfolders(ir.parent.parent if split else ir.parent)
    folder = next((siblings[n] for n in ANNOTATION_NAMES if n in siblings), None)
    return _subfolders(folder).get(split, folder) if folder and split else folder


def _subfolders(folder: Path) -> dict[str, Path]:
    """Subfolders by lower-case name, without hidden ones and archive leftovers (__MACOSX)."""
    return {p.name.lower(): p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith((".", "__"))}


def find_pair_folders(
    root: str | Path,
    *,
    split: str | None = None,
    task: TaskName = "infrared-visible",
    ir_pattern: str | None = None,
    vi_pattern: str | None = None,
) -> Mapping[str, tuple[Path, Path | None]]:
    """Finds the pair folders of a data set, as `find_pairs` takes them.

    Args:
        root: folder that contains the two folders (RoadScene, M3FD), a folder `split` that contains
            them (MSRS), one folder per sequence that contains them (video sets), a split with
            sequences, a folder of images whose names mark them as cameras do, a folder of camera
            files that hold both images, or a CSV file that lists pairs.
        split: name of the split, such as "train", if the root has several.
        task: what the two sources are, see `fusejax.data.task`.
        ir_pattern: names of the infrared files, such as "*_T.*"; `root` may then hold both kinds.
        vi_pattern: names of the visible files.

    Returns:
        {name of the sequence or "": (infrared folder, visible folder)}, with wildcards where
        patterns are given; None for the visible folder if the other path stands for both.

    Raises:
        PairError: if there are no such folders; lists what was found, or asks for a split.
    """
    root, patterns = Path(root), {"ir_pattern": ir_pattern, "vi_pattern": vi_pattern}
    if is_pair_list(root):
        return {"": with_patterns(root, None, **patterns)}
    check_folder(root)
    found = _find_pair_folders(root, split, task, flat=any(patterns.values()))
    return {name: with_patterns(ir, vi, **patterns) for name, (ir, vi) in found.items()}


def _find_pair_folders(
    root: Path, split: str | None, task: TaskName, *, flat: bool
) -> Mapping[str, tuple[Path, Path | None]]:
    if pair := find_modalities(root, split=split, task=task):
        return {"": pair}
    if flat and _images(root):
        return {"": (root, None)}
    if holds_pairs(root):
        return {"": (root, root)}
    if (images := _images(root)) and any(map(read_camera_layout, images)):
        return {"": (root, None)}
    subfolders = _subfolders(root)
    if split and split.lower() in subfolders:
        return _find_pair_folders(subfolders[split.lower()], None, task, flat=flat)
    sequences = {p.name: pair for p in subfolders.values() if (pair := find_modalities(p, task=task))}
    if splits := [n for n in subfolders if n in SPLIT_NAMES]:
        wanted = f"none is called {split!r}" if split else "no split was given"
        raise PairError(f"{root} contains splits ({', '.join(splits)}), but {wanted}; name one, or give its folder.")
    if sequences:
        return sequences
    found = ", ".join(sorted(p.name for p in root.iterdir())[:_SHOWN]) or "nothing"
    if task != "infrared-visible":
        names = [" or ".join(kinds) for kinds in (TASKS[task].first, TASKS[task].second)]
        raise PairError(f"{root} has no two folders called {' and '.join(names)} ({task}); found: {found}.")
    raise PairError(
        f"{root} has no infrared and visible folders (with names such as ir/vi, infrared/visible, Ir/Vis, "
        f"cropinfrared/crop_LR_visible); found: {found}. Give the folder that contains the two."
    )


def _images(folder: Path) -> list[Path]:
    """Image files of a folder; none if there are none."""
    try:
        return images_of(folder)
    except PairError:
        return []
