"""Annotation files and pairs for tests of boxes."""

import jax
import numpy as np

from fusejax.io.images import write_image
from fusejax.ops.boxes import rasterize

SIZE = (768, 1024)


def voc(xmin="1", name="<name>Car</name>", head=""):
    box = f"<bndbox><xmin>{xmin}</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    return f"{head}<annotation><object>{name}{box}</object></annotation>"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def write_pair(ir, vi, stem="a", size=(12, 16)):
    write_image(ir / f"{stem}.png", np.zeros((*size, 1), np.uint8))
    write_image(vi / f"{stem}.png", np.zeros((*size, 3), np.uint8))


draw = jax.jit(rasterize, static_argnames=("height", "width"))
