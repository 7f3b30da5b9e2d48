"""Running an exported file in place of the library's own network."""

from pathlib import Path

import numpy as np

from fusejax.export import standalone
from fusejax.inference.fuser import Fuser
from fusejax.inference.pair_arrays import Sources


class ExportedFuser(Fuser):
    """A `Fuser` that runs an exported file in the same way as users without this library would.

    Args:
        path: file written by `fusejax export`.

    Raises:
        ValueError: if the file is damaged or was not written by `fusejax export`.
    """

    def __init__(self, path: Path):
        self.path, self.metadata = path, standalone.verify(path)
        self._run = standalone.open_program(path, self.metadata)

    def tile_side(self, sources: Sources) -> None:
        """Exported files take whole images.

        Args:
            sources: any pairs.

        Returns:
            None.
        """

    def _fuse_whole(self, ir: np.ndarray, vi_y: np.ndarray, *, exact_size: bool) -> np.ndarray:
        """Raises ValueError if the file is for another size; `exact_size` has no effect here."""
        del exact_size
        size = self.metadata["size"]
        if size and list(ir.shape[1:3]) != size:
            raise ValueError(f"{self.path} is for {size[1]}x{size[0]}; the images are {ir.shape[2]}x{ir.shape[1]}.")
        # Passes gray as RGB, so each channel of the result is the fused luma.
        vi = np.repeat(vi_y, 3, axis=-1) if self.metadata["color"] else vi_y
        return self._run(ir.astype(np.float32), vi.astype(np.float32))[..., :1]

    def check_maps(self) -> None:
        """Refuses maps: exported files return only the fused image.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"{self.path} has no maps; use the weights from which it was exported.")
