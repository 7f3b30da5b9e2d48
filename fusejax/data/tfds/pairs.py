"""What the data set builders share: features, encoding without TensorFlow, annotations."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import tensorflow_datasets as tfds

from fusejax.data.folders import match_pairs
from fusejax.data.images import as_infrared, as_visible, read_image


class AnnotationError(ValueError):
    """An annotation file that cannot be used; the message names file and box."""


def pair_info(
    builder: tfds.core.DatasetBuilder, *, description: str, homepage: str, citation: str, labels: Sequence[str] = ()
) -> tfds.core.DatasetInfo:
    """Features of a pair: `id`, `ir` [h, w, 1] uint8, `vi` RGB [h, w, 3] uint8 and, with labels, boxes."""
    features = {
        "id": tfds.features.Text(),
        "ir": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
        "vi": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
    }
    if labels:
        features["boxes"] = tfds.features.Sequence(
            {"bbox": tfds.features.BBoxFeature(), "label": tfds.features.ClassLabel(names=list(labels))}
        )
    return tfds.core.DatasetInfo(
        builder=builder,
        description=description,
        homepage=homepage,
        citation=citation,
        features=tfds.features.FeaturesDict(features),
    )


def examples(
    ir: Path, vi: Path, *, annotations: Path | None = None, labels: Sequence[str] = ()
) -> Iterator[tuple[str, dict]]:
    """(key, example) of every pair of two folders, matched by stem; boxes from VOC files of the same stem."""
    pairs, _ = match_pairs(ir, vi)
    for pair in pairs:
        pixels = {"ir": as_infrared(_to_8_bit(read_image(pair.ir))), "vi": as_visible(_to_8_bit(read_image(pair.vi)))}
        example = {"id": pair.id} | {k: _png(v) for k, v in pixels.items()}
        if annotations is not None:
            example["boxes"] = read_voc(annotations / f"{pair.id}.xml", pixels["ir"].shape[:2], labels)
        yield pair.id, example


def _to_8_bit(pixels: np.ndarray) -> np.ndarray:
    """16 bit would come back from the record wrapped to its low byte."""
    return pixels if pixels.dtype == np.uint8 else np.round(pixels / 257).astype(np.uint8)


def _png(pixels: np.ndarray) -> bytes:
    """Encoded here: handed an array, the Image feature would ask TensorFlow to encode it."""
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()


def read_voc(path: Path, size: tuple[int, int], labels: Sequence[str]) -> list[dict]:
    """Boxes of a Pascal VOC file, relative to a picture of `size` (height, width).

    Raises: AnnotationError naming file and box where it is missing, malformed, of an unknown class or outside.
    """
    if not path.is_file():
        raise AnnotationError(f"{path}: no such annotation; every picture of this set has one.")
    try:
        objects = ElementTree.parse(path).getroot().findall("object")
    except ElementTree.ParseError as error:
        raise AnnotationError(f"{path}: malformed XML ({error}).") from error
    return [_voc_box(obj, f"{path}, box {n}", size, labels) for n, obj in enumerate(objects, start=1)]


def _voc_box(obj: ElementTree.Element, where: str, size: tuple[int, int], labels: Sequence[str]) -> dict:
    h, w = size
    label = (obj.findtext("name") or "").strip()
    if label not in labels:
        raise AnnotationError(f"{where}: class {label!r} is unknown; expected one of {', '.join(labels)}.")
    texts = {k: obj.findtext(f"bndbox/{k}") for k in ("xmin", "ymin", "xmax", "ymax")}
    try:
        x1, y1, x2, y2 = (float(text) for text in texts.values())
    except (TypeError, ValueError) as error:
        raise AnnotationError(f"{where}: bndbox {texts} does not hold four numbers.") from error
    if not (0 <= x1 < x2 <= w and 0 <= y1 < y2 <= h):
        raise AnnotationError(f"{where}: ({x1:g}, {y1:g}, {x2:g}, {y2:g}) is not a box inside a {h}x{w} picture.")
    return {"bbox": tfds.features.BBox(ymin=y1 / h, xmin=x1 / w, ymax=y2 / h, xmax=x2 / w), "label": label}
