"""Public data sets through TensorFlow Datasets, as ArrayRecord files, built and read without
TensorFlow.

python -m fusejax.data.tfds roadscene [--data-dir DIR] [--manual-dir DIR]
"""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from fusejax.data.tfds.builders import BUILDERS
from fusejax.data.tfds.records import Records
from fusejax.typing import Pair


class TfdsPairs:
    """Random-access source of a prepared data set, with the same elements as `PairFolder`, and
    boxes if the set has them.

    `{"id": str, "ir": uint8 [h, w, 1], "vi": uint8 [h, w, 3]}`; with boxes also `boxes` float32 [n,
    4] (x1, y1, x2, y2) in pixels and `labels`, int32 [n], or n class names where `named_labels`.
    """

    def __init__(self, folder: Path, split: str, *, named_labels: bool = False):
        self._folder, self._split, self._named_labels = folder, split, named_labels
        self._source = self._open()

    def _open(self):
        builder = tfds.builder_from_directory(self._folder)
        features: Any = builder.info.features
        self._names = features["boxes"]["label"].names if self._named_labels and "boxes" in features else None
        return Records(builder.info, self._split)

    def __getstate__(self) -> dict:
        kept = ("_folder", "_split", "_named_labels")  # worker processes open the files themselves
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._source = self._open()

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Pair:
        record = self._source[index]
        ir, vi = record["ir"], record["vi"]
        if ir.shape[-1] != 1 or vi.shape[-1] != 3 or ir.shape[:2] != vi.shape[:2]:
            raise ValueError(f"{self._folder}, record {index}: ir {ir.shape}, vi {vi.shape}; prepare the set again.")
        pair: Pair = {"id": record["id"].decode(), "ir": ir, "vi": vi}
        if "boxes" in record:
            boxes = np.array(record["boxes"]["bbox"], np.float32).reshape(-1, 4)  # ymin xmin ymax xmax, relative
            h, w = ir.shape[:2]
            pair["boxes"] = boxes[:, [1, 0, 3, 2]] * np.array([w, h, w, h], np.float32)
            labels = np.array(record["boxes"]["label"], np.int32).reshape(-1)
            pair["labels"] = labels if self._names is None else tuple(self._names[n] for n in labels)
        return pair


def _builder(name: str, data_dir: str | None) -> tfds.core.DatasetBuilder:
    base, _, config = name.partition("/")
    if base not in BUILDERS:
        raise ValueError(f"Unknown data set {name!r}; known: {', '.join(BUILDERS)} (m3fd/detection, m3fd/fusion).")
    return BUILDERS[base](data_dir=data_dir, config=config or None, file_format="array_record")


def prepare(name: str, *, data_dir: str | None = None, manual_dir: str | None = None) -> Path:
    """Downloads (or reads from `manual_dir`) and writes the ArrayRecord files.

    Returns their folder.
    """
    builder = _builder(name, data_dir)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=manual_dir))
    return Path(builder.data_dir)


def open_tfds(name: str, *, data_dir: str | None = None, split: str = "train", named_labels: bool = False) -> TfdsPairs:
    """Opens a prepared set by name.

    Raises ValueError with the command that prepares it if it has not been prepared.
    """
    folder = Path(_builder(name, data_dir).data_dir)
    if not (folder / "dataset_info.json").is_file():
        where = f" --data-dir {data_dir}" if data_dir else ""
        raise ValueError(f"{name} is not prepared in {folder}; run: python -m fusejax.data.tfds {name}{where}")
    return TfdsPairs(folder, split, named_labels=named_labels)
