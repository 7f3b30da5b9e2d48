"""Folders in object stores give the files of local folders, or an error that names the store."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from fusejax.cli.main import main
from fusejax.inference.folder import fuse_folder
from fusejax.inference.options import FolderOptions
from fusejax.inference.remote import fuse_remote
from fusejax.inference.remote_plan import Places, plan_remote
from fusejax.io.images import write_image
from fusejax.io.pairing import PairError
from fusejax.io.remote import RemoteFolder, is_remote, remote_address

fsspec = pytest.importorskip("fsspec")
pytestmark = pytest.mark.slow
from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402

PAIRS = 35  # two chunks


class Unwell(MemoryFileSystem):
    """A store in memory that fails or is silent as often as it is told."""

    protocol = "hdfs"  # one of the addresses that are known
    store, pseudo_dirs, cachable = {}, [""], False  # codespell:ignore cachable
    failures, silence, reads, lock = 0, 0.0, [], threading.Lock()

    @classmethod
    def _strip_protocol(cls, path):
        return "/" + path.removeprefix("hdfs://").strip("/")

    def cat_file(self, path, *args, **kwargs):
        with Unwell.lock:
            Unwell.reads.append(path)
            fails, Unwell.failures = Unwell.failures > 0, max(0, Unwell.failures - 1)
        time.sleep(Unwell.silence)
        if fails:
            raise ConnectionResetError("connection reset")
        return super().cat_file(path, *args, **kwargs)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, weights):
    """Local pairs, and what a call on them writes."""
    root, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    for k in range(PAIRS):
        write_image(root / "ir" / f"{k:03d}.png", rng.integers(0, 256, (24, 32), np.uint8))
        write_image(root / "vi" / f"{k:03d}.jpg", rng.integers(0, 256, (24, 32, 3), np.uint8))
    fuse_folder(root / "ir", root / "vi", root / "out", weights=weights, panel=True)
    return root


@pytest.fixture
def memory(pairs):
    """The same pairs in memory://."""
    files = fsspec.filesystem("memory")
    files.put(str(pairs / "ir"), "/store/ir", recursive=True)
    files.put(str(pairs / "vi"), "/store/vi", recursive=True)
    yield files
    files.rm("/store", recursive=True)


def local(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def stored(files, root):
    return {path.removeprefix(f"{root}/"): files.cat_file(path) for path in files.find(root)}


def fuse(*words):
    main(["fuse", *words])


def test_a_remote_call_writes_the_bytes_of_a_local_one(memory, pairs, weights, capsys):
    fuse("--ir", "memory://store/ir", "--vi", "memory://store/vi", "--out", "memory://store/out", "--panel",
         "--weights", weights)  # fmt: skip
    assert stored(memory, "/store/out") == local(pairs / "out")
    assert f"{PAIRS} fused images in memory://store/out" in capsys.readouterr().out


def test_warnings_name_addresses(memory, weights):
    memory.pipe_file("/store/vi/000.jpg", memory.cat_file("/store/vi/001.jpg"))
    places = {name: f"memory://store/{name}" for name in ("ir", "vi", "out")}
    with pytest.warns(match=r"memory://store/ir/013.png shows nothing"):
        fuse_remote(**places, weights=weights)


def test_shards_share_the_chunks_and_skip_existing_keeps_files(memory, pairs, weights):
    given = {"ir": "memory://store/ir", "vi": "memory://store/vi", "out": "memory://store/out", "weights": weights}
    first = fuse_remote(**given, panel=True, shard=(1, 2))
    assert 16 <= len(first.written) < 32
    memory.rm_file("/store/out/003.png")
    memory.pipe_file("/store/out/004.png", b"kept as it is")
    with pytest.raises(FileExistsError, match=r"memory://store/out/000.png"):
        fuse_remote(**given)
    rest = fuse_remote(**given, panel=True, skip_existing=True)
    assert len(rest.written) == PAIRS - len(first.written) + 1
    assert sorted(rest.written + rest.existing) == [f"memory://store/out/{k:03d}.png" for k in range(PAIRS)]
    found, whole = stored(memory, "/store/out"), local(pairs / "out")
    assert found.pop("004.png") == b"kept as it is" and whole.pop("004.png")
    assert found == whole


def test_marked_names_in_subfolders_give_the_files_of_a_local_call(memory, weights, tmp_path):
    rng = np.random.default_rng(1)
    for name in ("a/DJI_0001_T.png", "a/DJI_0001_V.png", "b/c/DJI_0002_T.png", "b/c/DJI_0002_V.png"):
        write_image(tmp_path / "both" / name, rng.integers(0, 256, (24, 32, 3), np.uint8))
        memory.pipe_file(f"/store/both/{name}", (tmp_path / "both" / name).read_bytes())
    given = {"weights": weights, "recursive": True, "panel": True, "format": "tif"}
    fuse_folder(tmp_path / "both", None, tmp_path / "out", **given)
    result = fuse_remote("memory://store/both", None, "memory://store/out", **given)
    assert result.written == ["memory://store/out/a/DJI_0001_V.tif", "memory://store/out/b/c/DJI_0002_V.tif"]
    assert stored(memory, "/store/out") == local(tmp_path / "out")


def test_patterns_choose_files_of_one_folder(memory):
    for name in ("a_hot.png", "b_hot.png", "a_seen.png", "b_seen.png", "other.png"):
        memory.pipe_file(f"/store/both/{name}", b"")
    both = Places("memory://store/both", None, "memory://store/out")
    work = plan_remote(both, FolderOptions(ir_pattern="*_hot.*", vi_pattern="*_seen.*"))
    assert [(p.ir, p.vi) for p in work.chunks[0]] == [("a_hot.png", "a_seen.png"), ("b_hot.png", "b_seen.png")]
    work = plan_remote(both, FolderOptions(ir_pattern="*_hot.*"))
    assert [(p.ir, p.vi) for p in work.chunks[0]] == [("a_hot.png", "a_hot.png"), ("b_hot.png", "b_hot.png")]


def test_names_that_do_not_pair_are_an_error_with_addresses(memory):
    memory.pipe_file("/store/other/x.png", b"")
    with pytest.raises(PairError, match=r"memory://store/ir and memory://store/other have no file stem in common"):
        plan_remote(Places("memory://store/ir", "memory://store/other", "memory://store/out"), FolderOptions())


def test_a_file_without_partner_is_an_error_that_names_its_address(memory, weights):
    memory.pipe_file("/store/vi/lonely.png", memory.cat_file("/store/vi/000.jpg"))
    places = Places("memory://store/ir", "memory://store/vi", "memory://store/out")
    with pytest.raises(PairError, match=r"memory://store/vi/lonely.png has no partner"):
        plan_remote(places, FolderOptions())
    assert plan_remote(places, FolderOptions(skip_bad=True)).skipped


def test_a_damaged_file_is_named_by_its_address(memory, weights):
    memory.pipe_file("/store/vi/001.jpg", b"no image")
    given = {"ir": "memory://store/ir", "vi": "memory://store/vi", "out": "memory://store/out", "weights": weights}
    with pytest.raises(ValueError, match=r"memory://store/vi/001.jpg"):
        fuse_remote(**given)
    result = fuse_remote(**given, skip_bad=True, overwrite=True)
    assert len(result.written) == PAIRS - 1
    assert len(result.skipped) == 1 and "memory://store/vi/001.jpg" in result.skipped[0]


def test_raw_thermal_values_need_a_range(memory, weights, tmp_path):
    deep = np.random.default_rng(2).integers(7000, 8000, (24, 32), np.uint16)
    for k in range(PAIRS):
        write_image(tmp_path / "deep.png", deep + np.uint16(k))
        memory.pipe_file(f"/store/ir/{k:03d}.png", (tmp_path / "deep.png").read_bytes())
    given = {"ir": "memory://store/ir", "vi": "memory://store/vi", "out": "memory://store/out", "weights": weights}
    with pytest.raises(PairError, match="give --ir-range LOW HIGH"):
        fuse_remote(**given)
    assert len(fuse_remote(**given, ir_range=(7000.0, 8100.0)).written) == PAIRS


@pytest.fixture
def unwell(pairs):
    fsspec.register_implementation("hdfs", Unwell, clobber=True)
    files = Unwell()
    files.put(str(pairs / "ir"), "/store/ir", recursive=True)
    files.put(str(pairs / "vi"), "/store/vi", recursive=True)
    Unwell.failures, Unwell.silence = 0, 0.0
    Unwell.reads.clear()
    yield files
    Unwell.failures, Unwell.silence = 0, 0.0
    files.rm("/store", recursive=True)


def test_two_failures_of_a_store_are_tried_again(unwell, pairs, weights, tmp_path):
    Unwell.failures = 2
    result = fuse_remote("hdfs://store/ir", "hdfs://store/vi", tmp_path / "out", weights=weights, panel=True)
    assert len(result.written) == PAIRS and len(Unwell.reads) == 2 * PAIRS + 2
    assert local(tmp_path / "out") == local(pairs / "out")


def test_a_store_that_keeps_failing_ends_the_call(unwell, weights, tmp_path):
    Unwell.failures = 10**6
    with pytest.raises(OSError, match=r"failed 3 times .*connection reset.*hdfs://store/"):
        fuse_remote("hdfs://store/ir", "hdfs://store/vi", tmp_path / "out", weights=weights)
    assert not list(tmp_path.rglob("*.png"))


def test_a_silent_store_ends_within_the_stated_time(unwell, tmp_path):
    Unwell.silence = 5.0
    began = time.monotonic()
    with pytest.raises(OSError, match=r"no answer within 0.1 s"):
        RemoteFolder("hdfs://store/ir", seconds=0.1).fetch("000.png", tmp_path / "0.png")
    assert time.monotonic() - began < 3


def test_missing_folders_and_packages_are_said(memory, monkeypatch):
    with pytest.raises(PairError, match=r"memory://nothing/here has no images"):
        plan_remote(
            Places(str(Path("memory://nothing/here")), "memory://store/vi", "memory://store/out"), FolderOptions()
        )
    with pytest.raises(PairError, match="one of the sources"):
        plan_remote(Places("memory://store/ir", "memory://store/vi", "memory://store/vi"), FolderOptions())
    monkeypatch.setattr("fsspec.core.url_to_fs", lambda url: (_ for _ in ()).throw(ImportError("Install s3fs")))
    with pytest.raises(ValueError, match=r"pip install 'fusejax\[s3\]'"):
        RemoteFolder("s3://bucket/ir")


def test_addresses_survive_the_paths_of_the_standard_library():
    for text in ("gs://bucket/a/b", "s3://b", "memory://store/ir", "file:///data/ir"):
        assert remote_address(Path(text)) == remote_address(text) == text
    assert not is_remote("data/ir", Path("C:/data"), None) and is_remote(None, "gs://b")
