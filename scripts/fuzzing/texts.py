"""Damaged annotations, plans, logs, tables and configurations."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fusejax.config import load_config
from fusejax.data.alignment_plan import load_plan
from fusejax.io.annotations import read_boxes
from fusejax.report.known_rows import read_rows
from fusejax.report.run_history import read_history
from fuzzing.cases import Cases, damage

_VOC = """<annotation><size><width>56</width><height>40</height></size>
<object><name>person</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox></object>
</annotation>"""
_COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 56, "height": 40}],
    "annotations": [{"image_id": 1, "category_id": 3, "bbox": [1, 2, 20, 10], "id": 9}],
    "categories": [{"id": 3, "name": "person"}],
}
_PLAN = {
    "version": 1,
    "config": {"patch": 8, "stride": 8, "top_k": 2, "bins": 256},
    "pictures": {"a": [40, 56]},
    "patches": [["a", 0, 0], ["a", 8, 8]],
    "gammas": [1.0, 1.1, 0.9],
    "target_mean": [10.0, 20.0, 30.0],
    "warnings": [],
}
_LOG = [
    {"event": "start", "step": 0, "stages": [["all", 4]], "name": "x"},
    *({"step": n, "loss": 1 / (1 + n), "terms": {"a": 0.1}, "seconds": 0.5} for n in range(4)),
    {"event": "end", "step": 4},
]
_CONFIG = """from fusejax.config import TrainConfig


def get_config():
    return TrainConfig(name="x")
"""
_TABLE = "set,method,images,EN,SSIM\nval,one,3,7.1,0.6\nval,two,3,6.9,0.7\n"
_HOSTILE = (b"[" * 200_000, b"9" * 5000, b"1e400", b"NaN", b"null", b"\xff\xfe", b"", b"\0", b'{"a":' * 9999, b"-1")


class TextCases(Cases):
    """Damaged texts; a configuration is Python code, so only its numbers and structure break."""

    def __init__(self, folder: Path, seed: int):
        """Names the texts and the functions that read them."""
        super().__init__(folder, seed)
        size = (40, 56)
        self.kinds: dict[str, tuple[bytes, Callable]] = {
            "a.xml": (_VOC.encode(), lambda p: read_boxes(p, size=size)),
            "a.txt": (b"0 .5 .5 .2 .2\n1 .1 .1 .1 .1 .9\n", lambda p: read_boxes(p, size=size, classes=("a", "b"))),
            "a.json": (b'[{"label": "car", "xyxy": [1, 2, 30, 20]}]', lambda p: read_boxes(p, size=size)),
            "coco.json": (json.dumps(_COCO).encode(), lambda p: read_boxes(p, size=size, stems=("a",))),
            "plan.json": (json.dumps(_PLAN).encode(), load_plan),
            "log.jsonl": ("\n".join(map(json.dumps, _LOG)).encode(), lambda p: read_history(p.parent)),
            "rows.csv": (_TABLE.encode(), read_rows),
            "config.py": (_CONFIG.encode(), lambda p: load_config(str(p))),
        }

    def prepare(self, number: int, rng: np.random.Generator) -> tuple[Path, Callable[[], str | None]]:
        """See `Cases.prepare`."""
        name = list(self.kinds)[rng.integers(len(self.kinds))]
        data, read = self.kinds[name]
        if rng.random() < 0.2:
            at = int(rng.integers(len(data)))
            data = data[:at] + _HOSTILE[rng.integers(len(_HOSTILE))] + data[at + int(rng.integers(3)) :]
        else:
            data = damage(data, rng)
        place = self.folder / (str(number) if name == "log.jsonl" else "")
        place.mkdir(exist_ok=True)
        path = place / (name if name == "log.jsonl" else f"{number}{name}")
        path.write_bytes(data)
        return path, lambda: (read(path), None)[1]
