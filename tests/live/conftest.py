"""A network and the videos of two cameras."""

import pytest
from video_making import encode, gray, visible

from fusejax.inference.fuser import Fuser


@pytest.fixture(scope="module")
def fuser(weights):
    return Fuser.load(weights)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two seconds of both sources, infrared also at 9 frames per second and in another size."""
    root = tmp_path_factory.mktemp("live")
    encode(root / "ir.mkv", gray(60), "ffv1", "gray", rate=30)
    encode(root / "ir9.mkv", gray(18), "ffv1", "gray", rate=9)
    encode(root / "small.mkv", [x[:32, :32] for x in gray(60)], "ffv1", "gray", rate=30)
    encode(root / "vi.mkv", visible(60), "ffv1", "yuv422p", rate=30)
    return root
