"""Running a file that `fusejax export` wrote in place of the library's own network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fusejax.inference import standalone
from fusejax.inference.backend import Backend, Planes

SUFFIXES = (".onnx", ".stablehlo")


class ExportedFile(Backend):
    """A program with weights, run as users without this library would run it.

    Whole images only. Pickling stores the path of the file, not its content.
    """

    def __init__(self, path: Path):
        """Verifies and opens the file.

        Args:
            path: .onnx or .stablehlo file written by `fusejax export`.

        Raises:
            ValueError: if the file is damaged or was not written by `fusejax export`.
        """
        self.path, self.metadata = path, standalone.verify(path)
        self._run = standalone.open_program(path, self.metadata)

    def __reduce__(self):
        return type(self), (self.path,)

    @property
    def name(self) -> str:
        """The stem of the file."""
        return self.path.stem

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Path and metadata of the file."""
        return {"path": str(self.path), **self.metadata}

    def check_size(self, size: tuple[int, int]) -> None:
        """Refuses sizes other than the one for which the file was exported.

        Args:
            size: height and width in pixels.

        Raises:
            ValueError: for another size; names both.
        """
        fixed = self.metadata["size"]
        if fixed and list(size) != fixed:
            raise ValueError(
                f"{self.path} is for {fixed[1]}x{fixed[0]}; the images are {size[1]}x{size[0]}. "
                "Export it with --size dynamic, or give the weights themselves."
            )

    def fuse_luma(self, ir: Planes, vi_y: Planes) -> Planes:
        """See `Backend`.

        Args:
            ir: see `Backend`.
            vi_y: see `Backend`.

        Returns:
            See `Backend`.

        Raises:
            ValueError: for a size that the file does not support.
        """
        self.check_size((ir.shape[1], ir.shape[2]))
        # Gray as RGB, so that every channel of the result is the fused luma.
        vi = np.repeat(vi_y, 3, axis=-1) if self.metadata["color"] else vi_y
        return self._run(np.asarray(ir, np.float32), np.asarray(vi, np.float32))[..., :1]

    def check_maps(self) -> None:
        """Refuses maps: exported files return only the fused image.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"{self.path} has no maps; use the weights from which it was exported.")
