"""A fixed grid of patches instead of random crops, as in the CrossFuse author's code."""

from collections.abc import Sequence

import numpy as np

from fusejax.data.alignment_plan import image_sizes
from fusejax.data.folders import PairFolder, Source
from fusejax.data.transforms import cut_pair
from fusejax.typing import Pair


class PatchGrid:
    """Random-access source of the patches of another source's pairs, pair by pair and row by row.

    Patches lie `stride` pixels apart from the top left corner; incomplete ones are dropped
    (CrossFuse, arXiv 2502.14493, `top_k_patch_dataprocessing.py`: 64 and 200). An id is
    name_top_left. Every patch reads its pair again.

    Args:
        source: source of pairs of any size.
        sizes: (height, width) of each pair.
        size: side of the patches in pixels.
        stride: distance between patches in pixels.
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
        """One line per pair that the source skipped."""
        return getattr(self.source, "skipped", ())


def pair_sizes(source: Source) -> list[tuple[int, int]]:
    """(height, width) of each pair: from the headers for folders, else by reading all pairs
    once.
    """
    if isinstance(source, PairFolder):
        return list(image_sizes(source).values())
    if sizes := getattr(source, "sizes", None):  # registered, and cut to the common field
        return list(sizes)
    return [np.shape(source[n]["ir"])[:2] for n in range(len(source))]
