"""Damaged image files."""

import io
import itertools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image

from fusejax.io.image_headers import image_size
from fusejax.io.images import ImageError, ImageWarning, read_image, read_thermal
from fuzzing.cases import Cases, damage


def intact_images() -> dict[str, bytes]:
    """Small files of every format by name."""
    rng, found = np.random.default_rng(0), {}
    y, x = np.mgrid[:40, :56]
    color = np.stack([128 + 90 * np.sin(x / 7), 128 + 80 * np.cos(y / 5), 90 + x + y], -1).clip(0, 255).astype(np.uint8)
    gray, deep = color[..., 0], (color[..., 0].astype(np.uint16) * 40 + rng.integers(0, 40, gray_size(color)))
    for name, pixels in {"gray": gray, "color": color, "deep": deep.astype(np.uint16)}.items():
        for suffix in (".png", ".tif", *((".jpg", ".bmp") if name != "deep" else ())):
            found[f"{name}{suffix}"] = cv2.imencode(suffix, pixels)[1].tobytes()
    for mode, suffix in (("P", "png"), ("RGBA", "png"), ("LA", "png"), ("1", "png"), ("CMYK", "jpg"), ("P", "bmp")):
        found[f"{mode}.{suffix}"] = saved(Image.fromarray(color).convert(mode), suffix)
    frames = [Image.fromarray(np.roll(color, 5 * n, 1)) for n in range(3)]
    found["moving.png"] = saved(frames[0], "png", save_all=True, append_images=frames[1:], default_image=True)
    found["progressive.jpg"] = saved(frames[0], "jpeg", progressive=True, quality=80)
    values = {
        "u1": gray,
        "u2": deep.astype("u2"),
        "i2": deep.astype("i2"),
        "f4": (deep / 50).astype("f4"),
        "rgb": color,
    }
    kinds = itertools.product(
        values, "<>", (None, "lzw", "zlib", "packbits", "lzma"), (False, True), ({}, {"tile": (16, 16)})
    )
    for n, (name, order, compression, big, how) in enumerate(kinds):
        if n % 3 and compression is not None:
            continue
        file = io.BytesIO()
        options: dict[str, Any] = how | {"predictor": compression in ("lzw", "zlib")}
        options |= {} if how else {"rowsperstrip": 8}
        turned = [(274, "H", 1, 1 + n % 8, True)]
        tifffile.imwrite(
            file,
            values[name],
            compression=compression,
            bigtiff=big,
            metadata=None,
            extratags=turned,
            **{"byteorder": order, **options},
        )
        found[f"{n}_{name}.tif"] = file.getvalue()
    found["jpeg.tif"] = saved(frames[0], "tiff", compression="jpeg")
    found["fax.tif"] = saved(frames[0].convert("1"), "tiff", compression="group4")
    return found


def gray_size(color: np.ndarray) -> tuple[int, int]:
    """Height and width."""
    return color.shape[:2]


def saved(image: Image.Image, kind: str, **options) -> bytes:
    """The file that Pillow writes."""
    file = io.BytesIO()
    image.save(file, {"jpg": "jpeg"}.get(kind, kind), **options)
    return file.getvalue()


def is_refused(path: Path) -> bool:
    """Whether a decoder that the library does not use refuses the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if path.suffix == ".tif":
                with tifffile.TiffFile(path) as file:
                    file.pages[0].asarray()
            else:
                with Image.open(path) as image:
                    image.load()
    except Exception:  # whatever it calls it
        return True
    return False


class ImageCases(Cases):
    """Damaged images."""

    expected = (ImageError,)

    def __init__(self, folder: Path, seed: int):
        """Writes nothing yet."""
        super().__init__(folder, seed)
        self.intact = list(intact_images().items())
        self.pixels = {}
        for name, data in self.intact:
            (folder / "intact").write_bytes(data)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.pixels[name] = read_thermal(folder / "intact")

    def prepare(self, number: int, rng: np.random.Generator) -> tuple[Path, Callable[[], str | None]]:
        """See `Cases.prepare`."""
        name, data = self.intact[rng.integers(len(self.intact))]
        path = self.folder / f"{number}{Path(name).suffix}"
        path.write_bytes(damage(data, rng))

        def attempt() -> str | None:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                size = image_size(path)
                found = (read_image if rng.random() < 0.5 else read_thermal)(path)
            warned = any(issubclass(w.category, ImageWarning) for w in caught)
            if found.shape[:2] != size or found.shape[-1] not in (1, 3):
                return f"the header says {size}, the pixels are {found.shape}"
            if warned or not is_refused(path):
                return None
            before = self.pixels[name]
            same = found.shape == before.shape and bool((found == before).all())
            return None if same else f"made from {name}, read without a word, but another decoder refuses it"

        return path, attempt
