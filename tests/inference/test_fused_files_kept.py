"""Fusing loses no file: sources under any name, panels, maps, kept infrared, previews."""

import shutil

import numpy as np
import pytest
from test_folder import stored

from fusejax.data.synthetic import synthetic_pair, write_synthetic_folder
from fusejax.inference import fuse_folder, fuse_video
from fusejax.inference.jobs import find_jobs
from fusejax.inference.options import FolderOptions
from fusejax.io.images import write_image


@pytest.fixture
def pairs(tmp_path):
    write_synthetic_folder(tmp_path / "set", count=2, size=(40, 48))
    return tmp_path / "set"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(("option", "kind", "renamed"), [("keep_ir", "ir", "ir"), ("panel", "panels", "vi")])
def test_files_beside_the_fused_images_never_replace_sources(pairs, weights, option, kind, renamed, overwrite):
    (pairs / renamed).rename(pairs / "moved")
    (pairs / "moved").rename(pairs / kind)
    folders = {"ir": pairs / "ir", "vi": pairs / "vi", renamed: pairs / kind}
    before = stored(pairs)
    with pytest.raises(ValueError, match="one of the sources, which are never overwritten"):
        fuse_folder(folders["ir"], folders["vi"], pairs, weights=weights, overwrite=overwrite, **{option: True})
    one = [folders[k] / "day_000000.png" for k in ("ir", "vi")]
    with pytest.raises(ValueError, match="one of the sources, which are never overwritten"):
        fuse_folder(*one, pairs / "day_000000.png", weights=weights, overwrite=overwrite, **{option: True})
    assert stored(pairs) == before


@pytest.mark.parametrize("link", ["symbolic", "hard", "folder"])
def test_a_source_behind_a_link_is_a_source(pairs, weights, tmp_path, link):
    out = tmp_path / "out"
    if link == "folder":
        out.symlink_to(pairs / "vi")
    else:
        out.mkdir()
        source = pairs / "vi" / "day_000000.png"
        place = out / "day_000000.png"
        _ = place.symlink_to(source) if link == "symbolic" else place.hardlink_to(source)
    before = stored(pairs)
    with pytest.raises(ValueError, match="one of the sources, which are never overwritten"):
        fuse_folder(pairs / "ir", pairs / "vi", out, weights=weights, overwrite=True)
    assert stored(pairs) == before


def test_panels_and_kept_infrared_of_others_are_kept(pairs, weights, tmp_path):
    out = tmp_path / "out"
    mine = [out / "panels" / "day_000000.png", out / "ir" / "day_000000.png"]
    for path in mine:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"mine")
    sources = pairs / "ir", pairs / "vi", out
    for option in ({"panel": True}, {"keep_ir": True}):
        with pytest.raises(FileExistsError, match="already exists; replace it with --overwrite"):
            fuse_folder(*sources, weights=weights, **option)
    fuse_folder(*sources, weights=weights, panel=True, keep_ir=True, skip_existing=True)
    assert all(path.read_bytes() == b"mine" for path in mine)
    assert (out / "panels" / "night_000001.png").is_file()
    fuse_folder(*sources, weights=weights, panel=True, overwrite=True)
    assert mine[0].read_bytes() != b"mine" and mine[1].read_bytes() == b"mine"


def test_two_results_never_share_a_name(pairs, tmp_path):
    """The panel of one pair, and the fused image of another in a subfolder called panels."""
    for kind in ("ir", "vi"):
        (pairs / kind / "panels").mkdir()
        shutil.copy(pairs / kind / "day_000000.png", pairs / kind / "panels" / "day_000000.png")
    with pytest.raises(ValueError, match=r"two results would be called .*panels.day_000000\.png"):
        find_jobs(pairs / "ir", pairs / "vi", tmp_path / "out", options=FolderOptions(recursive=True, panel=True))


def test_results_below_the_folder_of_sources_can_be_continued(pairs, weights):
    out = pairs / "vi" / "fused"
    assert len(fuse_folder(pairs / "ir", pairs / "vi", out, weights=weights).written) == 2
    assert len(fuse_folder(pairs / "ir", pairs / "vi", out, weights=weights, skip_existing=True).existing) == 2
    assert len(fuse_folder(pairs / "ir", pairs / "vi", out, weights=weights, overwrite=True).written) == 2


def test_previews_and_frames_never_replace_sources(weights, tmp_path):
    pytest.importorskip("av")
    from video_making import encode

    frames = [synthetic_pair(n, size=(32, 48)) for n in range(2)]
    for kind in ("ir", "vi"):
        for n, pair in enumerate(frames):
            write_image(tmp_path / kind / f"{n}.png", pair[kind])
    ir = encode(tmp_path / "b_preview.mp4", [np.repeat(p["ir"], 3, -1) for p in frames], "libx264", "yuv420p")
    vi = encode(tmp_path / "b.mkv", [p["vi"] for p in frames], "ffv1", "bgr0")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "1.png").hardlink_to(tmp_path / "vi" / "1.png")
    before = stored(tmp_path)
    with pytest.raises(ValueError, match="one of the sources, which are never overwritten"):
        fuse_video(ir, vi, tmp_path, weights=weights, preview=True, overwrite=True, codec="h264")
    for out in ("vi", "ir", "out"):
        with pytest.raises(ValueError, match="one of the sources, which are never overwritten"):
            fuse_video(tmp_path / "ir", tmp_path / "vi", tmp_path / out, weights=weights, rate=10, overwrite=True)
    assert stored(tmp_path) == before
