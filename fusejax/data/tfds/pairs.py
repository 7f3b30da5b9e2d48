"""Code shared by the data set builders: features, encoding without TensorFlow, annotations."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow_datasets as tfds

from fusejax.io.annotations import AnnotationError, read_boxes
from fusejax.io.images import as_infrared, as_visible, read_image
from fusejax.io.pair_finding import find_pairs

__all__ = ["AnnotationError", "examples", "pair_info", "read_voc"]


def pair_info(
    builder: tfds.core.DatasetBuilder, *, description: str, homepage: str, citation: str, labels: Sequence[str] = ()
) -> tfds.core.DatasetInfo:
    """Features of a pair.

    They are `id`, `ir` [h, w, 1] uint8, `vi` RGB [h, w, 3] uint8 and, with labels, boxes.
    """
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
    ir: Path, vi: Path | None, *, annotations: Path | None = None, labels: Sequence[str] = ()
) -> Iterator[tuple[str, dict]]:
    """Yields (key, example) for every pair of two folders, matched by stem.

    Boxes are read from VOC files with the same stem.
    """
    pairs, _ = find_pairs(ir, vi, same_size=True)
    for pair in pairs:
        pixels = {"ir": as_infrared(_to_8_bit(read_image(pair.ir))), "vi": as_visible(_to_8_bit(read_image(pair.vi)))}
        example: dict[str, Any] = {"id": pair.id} | {k: _png(v) for k, v in pixels.items()}
        if annotations is not None:
            example["boxes"] = read_voc(annotations / f"{pair.id}.xml", pixels["ir"].shape[:2], labels)
        yield pair.id, example


def _to_8_bit(pixels: np.ndarray) -> np.ndarray:
    """Converts to 8 bits, because 16-bit values would be read back as their low byte."""
    return pixels if pixels.dtype == np.uint8 else np.round(pixels / 257).astype(np.uint8)


def _png(pixels: np.ndarray) -> bytes:
    """Encodes the image, because the Image feature would need TensorFlow to encode an array."""
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()


def read_voc(path: Path, size: tuple[int, int], labels: Sequence[str]) -> list[dict]:
    """Boxes of a Pascal VOC file, relative to an image of `size` (height, width).

    Raises AnnotationError, which names file and box, see `read_boxes`; every image of a set with
    boxes needs a file.
    """
    found, (h, w) = read_boxes(path, size=size, classes=labels), size
    return [
        {"bbox": tfds.features.BBox(ymin=y1 / h, xmin=x1 / w, ymax=y2 / h, xmax=x2 / w), "label": label}
        for label, (x1, y1, x2, y2) in zip(found.labels, found.xyxy.tolist(), strict=True)
    ]
