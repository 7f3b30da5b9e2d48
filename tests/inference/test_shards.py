"""Shards of a folder, on as many machines, give the files of one call."""

import numpy as np
import pytest

from fusejax.cli.main import main
from fusejax.inference.folder import fuse_folder
from fusejax.inference.jobs import parse_shard
from fusejax.io.images import write_image


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Seven pairs with raw thermal counts, whose range depends on all of them."""
    root, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    for k in range(7):
        write_image(root / "ir" / f"{k}.png", (7000 + 300 * k + 200 * rng.random((24, 32))).astype(np.uint16))
        write_image(root / "vi" / f"{k}.png", rng.integers(0, 256, (24, 32, 3), np.uint8))
    return root


@pytest.mark.filterwarnings("ignore:infrared values")
@pytest.mark.parametrize("count", [3, 10])
def test_shards_together_are_the_bytes_of_one_call(pairs, weights, tmp_path, count):
    given = {"weights": weights, "keep_ir": True}
    whole = fuse_folder(pairs / "ir", pairs / "vi", tmp_path / "whole", **given)
    parts = [
        fuse_folder(pairs / "ir", pairs / "vi", tmp_path / "parts", shard=(k, count), **given)
        for k in range(1, count + 1)
    ]
    assert sum(len(part.written) for part in parts) == len(whole.written) == 7
    assert max(len(part.written) for part in parts) == -(-7 // count)
    for name in ("", "ir"):
        folders = [tmp_path / each / name for each in ("whole", "parts")]
        files = [{p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} for folder in folders]
        assert files[0] == files[1]


@pytest.mark.filterwarnings("ignore:infrared values")
def test_a_shard_that_was_stopped_is_completed(pairs, weights, tmp_path):
    options = {"weights": weights, "shard": (1, 2)}
    done = fuse_folder(pairs / "ir", pairs / "vi", tmp_path, **options)
    lost = done.written[1]
    before = lost.read_bytes()
    lost.unlink()
    again = fuse_folder(pairs / "ir", pairs / "vi", tmp_path, skip_existing=True, **options)
    assert (again.written, len(again.existing)) == ([lost], 3)
    assert lost.read_bytes() == before


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "a/b", "-1/4", "1/0", "1/2/3"])
def test_wrong_shards_are_named(pairs, tmp_path, capsys, text):
    with pytest.raises(ValueError, match=r"give I/N with I from 1 to N"):
        parse_shard(text)
    with pytest.raises(SystemExit):
        main(["fuse", "--ir", str(pairs / "ir"), "--vi", str(pairs / "vi"), "--out", str(tmp_path), f"--shard={text}"])
    assert "--shard is" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
