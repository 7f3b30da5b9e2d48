"""A fixed grid of patches instead of random crops, as CrossFuse's author cuts images."""

from collections.abc import Sequence

import numpy as np

from fusejax.data.alignment_plan import image_sizes
from fusejax.data.folders import PairFolder, Source
from fusejax.data.transforms import cut_pair
from fusejax.typing import Pair


class PatchGrid:
    """Random-access source of the patches of each pair of another source, pair after pair, row by
    row.

    Patches lie `stride` pixels apart from the top left corner; incomplete ones are dropped
    (CrossFuse, arXiv 2502.14493, `top_k_patch_dataprocessing.py`: 64 and 200). An id is
    name_top_left. Every patch reads its pair anew.

    Args:
        source: pairs of any sizes.
        sizes: (height, width) of each of them.
        size: side of the patches in pixels.
        stride: pixels between two patches.
    """

    def __init__(self, source: Source, sizes: Sequence[tuple[int, int]], *, size: int, stride: int):
        self.source, self.size = source, size
        self._corners = [
            (n, top, left)
            for n, (h, w) in enumerate(sizes)
            for top in range(0, h - size + 1, stride)
            for left in range(0, w - size + 1, stride)
        ]

    def __len__(self) -> int:
        return len(self._corners)

    def __getitem__(self, index: int) -> Pair:
        n, top, left = self._corners[index]
        pair = self.source[n]
        patch = Pair(**cut_pair(dict(pair), top=top, left=left, size=self.size))
        patch["id"] = f"{pair['id']}_{top}_{left}"
        return patch

    @property
    def skipped(self) -> Sequence[str]:
        """What the source left out, a line each."""
        return getattr(self.source, "skipped", ())


def pair_sizes(source: Source) -> list[tuple[int, int]]:
    """(height, width) of each pair: from headers in a folder, else by reading all pairs once."""
    if isinstance(source, PairFolder):
        return list(image_sizes(source).values())
    return [np.shape(source[n]["ir"])[:2] for n in range(len(source))]
