"""The kinds of annotation files: Pascal VOC XML, YOLO text, COCO JSON and JSON lists."""

import functools
import math
import os
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from fusejax.io.json_text import read_json

CLASSES_FILE = "classes.txt"

# YOLO files contain rounded fractions of the sides: edges may lie this far outside the image, in
# pixels, without a word.
_YOLO_ROUNDING = 0.5
# Boxes that count from 1, or end behind the last pixel, lie this far outside.
_FORGIVEN = 1.0

Size = tuple[int, int]
# What a reader returns for each box: its location in the file, its label, x1, y1, x2, y2 in pixels.
Found = tuple[str, str, Sequence[float]]
Reader = Callable[[Path, Size, Sequence[str] | None, Sequence[str]], Iterator[Found]]


class AnnotationError(ValueError):
    """An annotation file that cannot be used; the message names file and line or box."""


class AnnotationWarning(UserWarning):
    """Boxes were changed to fit the image; the message names the file."""


def _inside(xyxy: Sequence[float], where: str, size: Size) -> Sequence[float]:
    """The box, clipped if it lies up to a pixel outside."""
    (x1, y1, x2, y2), (h, w) = xyxy, size
    shown = f"({x1:g}, {y1:g}, {x2:g}, {y2:g})"
    if not all(math.isfinite(value) for value in xyxy):
        raise AnnotationError(f"{where}: {shown} has values that are not finite.")
    if x2 <= x1 or y2 <= y1:
        raise AnnotationError(f"{where}: {shown} has no area; x1, y1, x2, y2 need x1 < x2 and y1 < y2.")
    if x1 >= 0 and y1 >= 0 and x2 <= w and y2 <= h:
        return xyxy
    clipped = max(x1, 0), max(y1, 0), min(x2, w), min(y2, h)
    outside = max(abs(a - b) for a, b in zip(xyxy, clipped, strict=True))
    if outside > _FORGIVEN or clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        raise AnnotationError(f"{where}: {shown} is not inside the {w}x{h} image.")
    text = f"{where}: {shown} reaches {outside:g} pixel out of the {w}x{h} image; it is clipped."
    warnings.warn(text, AnnotationWarning, stacklevel=4)
    return clipped


def _scale(stated: Size, size: Size, path: Path) -> tuple[float, float]:
    """Factors for x and y from the size stated in a file to that of the image."""
    (own_h, own_w), (h, w) = stated, size
    if stated == size or min(stated) <= 0:  # 0: not stated, as several tools write
        return 1.0, 1.0
    texts = f"made for an image of {own_w}x{own_h}, but the image is {w}x{h}"
    if abs(own_h * w / own_w - h) > 1 and abs(own_w * h / own_h - w) > 1:
        raise AnnotationError(f"{path}: {texts}, which has another shape; annotate this image, or crop it likewise.")
    warnings.warn(f"{path}: {texts}; the boxes are scaled.", AnnotationWarning, stacklevel=4)
    return w / own_w, h / own_h


def _place(xyxy: Sequence[float], where: str, stated: Size, factors: tuple[float, float]) -> Sequence[float]:
    """A box of the stated image in the actual one."""
    x1, y1, x2, y2 = _inside(xyxy, where, stated)
    return x1 * factors[0], y1 * factors[1], x2 * factors[0], y2 * factors[1]


class _NoDoctype(ElementTree.TreeBuilder):
    def doctype(self, name: str, public: str | None, system: str | None) -> None:  # noqa: ARG002
        # Entities, including external ones, can only be declared here.
        raise AnnotationError("it declares a document type, which annotations do not need; remove it")


def _read_voc(path: Path, size: Size, classes: Sequence[str] | None, stems: Sequence[str]) -> Iterator[Found]:  # noqa: ARG001
    try:
        root = ElementTree.parse(path, ElementTree.XMLParser(target=_NoDoctype())).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        raise AnnotationError(f"{path}: malformed XML ({error}).") from error
    try:
        height, width = (int(float(root.findtext(f"size/{k}") or 0)) for k in ("height", "width"))
    except (ValueError, OverflowError) as error:
        raise AnnotationError(f"{path}: its size is not two numbers.") from error
    stated = height, width
    factors = _scale(stated, size, path)
    for n, found in enumerate(root.findall("object"), start=1):
        where = f"{path}, box {n}"
        texts = {k: found.findtext(f"bndbox/{k}") for k in ("xmin", "ymin", "xmax", "ymax")}
        try:
            xyxy = [float(text or "") for text in texts.values()]
        except ValueError as error:
            raise AnnotationError(f"{where}: bndbox {texts} is not four numbers.") from error
        if not (label := (found.findtext("name") or "").strip()):
            raise AnnotationError(f"{where}: no name.")
        yield where, label, _place(xyxy, where, stated if min(stated) > 0 else size, factors)


def _read_yolo(path: Path, size: Size, classes: Sequence[str] | None, stems: Sequence[str]) -> Iterator[Found]:  # noqa: ARG001
    names = _class_names(path) if classes is None else classes
    h, w = size
    for n, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {n}"
        try:
            number, *values = (float(word) for word in line.split())
            index = int(number)
            if index != number:
                raise ValueError("the class is no whole number")
            center_and_sides = _bounds(values)
        except (ValueError, OverflowError) as error:
            raise AnnotationError(f"{where}: {line.strip()[:80]!r} is not `class cx cy w h`.") from error
        if not 0 <= index < len(names):
            raise AnnotationError(f"{where}: class {index} is unknown; there are {len(names)}: {', '.join(names)}.")
        cx, cy, bw, bh = center_and_sides
        xyxy = np.array([(cx - bw / 2) * w, (cy - bh / 2) * h, (cx + bw / 2) * w, (cy + bh / 2) * h])
        inside = np.clip(xyxy, 0, [w, h, w, h])
        rounded = np.abs(inside - xyxy).max() <= _YOLO_ROUNDING
        yield where, names[index], _inside((inside if rounded else xyxy).tolist(), where, size)


def _bounds(values: list[float]) -> list[float]:
    """Center and sides: as written, with a confidence behind them, or of a polygon."""
    if len(values) in (4, 5):
        return values[:4]
    if len(values) < 6 or len(values) % 2:
        raise ValueError("neither a box nor a polygon")
    x, y = values[::2], values[1::2]
    return [(min(x) + max(x)) / 2, (min(y) + max(y)) / 2, max(x) - min(x), max(y) - min(y)]


def _class_names(path: Path) -> list[str]:
    """Class names for the numbers in a YOLO file, from the classes.txt next to it."""
    if not (file := path.with_name(CLASSES_FILE)).is_file():
        raise AnnotationError(f"{path}: its classes are numbers; put their names, one a line, into {file}.")
    return [line.strip() for line in _text(file).splitlines() if line.strip()]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path}: not a text file ({error.reason}).") from error


def _read_json(path: Path, size: Size, classes: Sequence[str] | None, stems: Sequence[str]) -> Iterator[Found]:  # noqa: ARG001
    document = _document(path)
    if isinstance(document, dict) and "annotations" in document:
        yield from _read_coco(path, size, stems)
        return
    if not isinstance(document, list):
        kind = type(document).__name__
        raise AnnotationError(f"{path}: expected a list of {{label, xyxy}} or a COCO file, found {kind}.")
    for n, entry in enumerate(document, start=1):
        label, xyxy = (entry.get(k) if isinstance(entry, dict) else None for k in ("label", "xyxy"))
        where, numbers = f"{path}, box {n}", _four_numbers(xyxy)
        if numbers is None or not (isinstance(label, str) and label):
            raise AnnotationError(f"{where}: {_shown(entry)} is not a label and xyxy, four numbers.")
        yield where, label, _inside(numbers, where, size)


def _document(path: Path) -> Any:
    try:
        return read_json(path)
    except ValueError as error:
        raise AnnotationError(f"{path}: {error}.") from error


def _four_numbers(values: Any) -> list[float] | None:
    if not isinstance(values, list) or len(values) != 4 or not all(type(v) in (int, float) for v in values):
        return None
    try:
        return [float(value) for value in values]
    except OverflowError:  # an integer of hundreds of digits
        return None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:120]}..."


def _read_coco(path: Path, size: Size, stems: Sequence[str]) -> Iterator[Found]:
    images = coco_images(path)
    keys = [key for stem in stems if (key := unicodedata.normalize("NFC", stem)) in images]
    if not keys and len(images) != 1:
        raise AnnotationError(f"{path}: none of its {len(images)} images is called {' or '.join(stems)}.")
    stated, boxes = images[keys[0]] if keys else next(iter(images.values()))
    factors = _scale(stated, size, path)
    for where, label, (x, y, width, height) in boxes:
        xyxy = (x, y, x + width, y + height)
        yield where, label, _place(xyxy, where, stated if min(stated) > 0 else size, factors)


_CocoImages = dict[str, tuple[Size, list[Found]]]


def coco_images(path: Path) -> _CocoImages:
    """The images of a COCO file by stem.

    Args:
        path: JSON file.

    Returns:
        Size (0, 0 if it is not stated) and boxes x, y, width, height in pixels for every image;
        empty if it is a JSON file of another kind.

    Raises:
        AnnotationError: if it is a COCO file with malformed entries; names the file and the box.
    """
    return _coco_images(os.fspath(path), path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _coco_images(path: str, changed: int) -> _CocoImages:  # noqa: ARG001 - part of the key
    try:
        document = read_json(path)
    except ValueError:  # `read_boxes` says what is wrong, if the file is that of an image
        return {}
    if not isinstance(document, dict) or not isinstance(document.get("annotations"), list):
        return {}
    names, keys = _coco_names(path, document), {}
    images: _CocoImages = {}
    for n, image in enumerate(_listed(document, "images"), start=1):
        try:
            key = unicodedata.normalize("NFC", Path(image["file_name"]).stem)
            if key in images:
                raise AnnotationError(f"{path}: two of its images are called {key}; keep one file per folder.")
            keys[image["id"]] = key
            images[key] = (int(image.get("height") or 0), int(image.get("width") or 0)), []
        except AnnotationError:
            raise
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise AnnotationError(f"{path}, image {n}: {_shown(image)} is not an image of COCO.") from error
    for n, entry in enumerate(document["annotations"], start=1):
        where = f"{path}, box {n}"
        try:
            image, label, box = keys[entry["image_id"]], names[entry["category_id"]], _four_numbers(entry["bbox"])
        except (KeyError, TypeError) as error:
            raise AnnotationError(f"{where}: {_shown(entry)} has an unknown image, category or no bbox.") from error
        if box is None:
            raise AnnotationError(f"{where}: bbox {_shown(entry['bbox'])} is not x, y, width, height.")
        images[image][1].append((where, label, box))
    return images


def _coco_names(path: str, document: dict) -> dict[Any, str]:
    try:
        return {entry["id"]: str(entry["name"]) for entry in _listed(document, "categories")}
    except (KeyError, TypeError) as error:
        raise AnnotationError(f"{path}: its categories are not pairs of id and name.") from error


def _listed(document: dict, name: str) -> list:
    found = document.get(name)
    return found if isinstance(found, list) else []


READERS: dict[str, Reader] = {".xml": _read_voc, ".txt": _read_yolo, ".json": _read_json}
