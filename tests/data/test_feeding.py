"""Feeding.

The global batch is the same array for any number of processes; prepared sets need only their index
to open.
"""

import dataclasses
import itertools
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordReader

from fusejax.data.config import ComMaskConfig, DataConfig
from fusejax.data.pipeline import open_sources, training_batches
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.data.tfds import TfdsPairs, prepare, records

BATCH = 4


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Folder pairs, whose number is not divisible by the batch size, mixed with synthetic ones;
    with masks.
    """
    root = tmp_path_factory.mktemp("pairs")
    write_synthetic_folder(root, count=5, size=(24, 28))
    masks = ComMaskConfig(probability=0.6, patch_sizes=(4,))
    return DataConfig(root=str(root), synthetic=2, shares=(2.0, 1.0), crop=16, com_mask=masks)


def joined(config, count, *, shards, **options):
    """`count` batches, with the rows of the processes concatenated."""
    options |= {"batch_size": BATCH // shards, "seed": 5, "shard_count": shards}
    parts = [
        list(itertools.islice(training_batches(open_sources(config), config, shard_index=n, **options), count))
        for n in range(shards)
    ]
    return [
        {name: np.concatenate([part[name] for part in batch]) for name in batch[0]}
        for batch in zip(*parts, strict=True)
    ]


def assert_same(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.parametrize("shares", [(), (2.0, 1.0)])
@pytest.mark.parametrize("shards", [2, 4])
@pytest.mark.slow
def test_processes_own_contiguous_rows_of_one_batch(config, shards, shares):
    config = dataclasses.replace(config, shares=shares)
    assert_same(joined(config, 5, shards=shards), joined(config, 5, shards=1))


@pytest.mark.slow
def test_worker_processes_read_the_same_rows(config):
    workers = dataclasses.replace(config, workers=2)
    assert_same(joined(workers, 3, shards=2), joined(config, 3, shards=1))


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 2), (2, 1)])
def test_a_position_goes_on_with_another_number_of_processes(config, before, after):
    whole = joined(config, 5, shards=1)
    assert_same(joined(config, 2, shards=before), whole[:2])
    assert_same(joined(config, 3, shards=after, samples_seen=2 * BATCH), whole[2:])


@pytest.mark.slow
def test_a_position_with_workers_and_another_number_of_processes(config):
    resumed = dataclasses.replace(config, workers=1)
    assert_same(joined(resumed, 2, shards=2, samples_seen=3 * BATCH), joined(config, 5, shards=1)[3:])


def test_a_position_need_not_be_a_whole_batch(config):
    """A run can be resumed with another batch size."""
    samples = np.concatenate([b["ir_input"] for b in joined(config, 4, shards=1)])
    (batch,) = joined(config, 1, shards=2, samples_seen=7)
    np.testing.assert_array_equal(batch["ir_input"], samples[7 : 7 + BATCH])


class Endless:
    """A source with as many pairs as an index can address, which counts accesses."""

    def __init__(self):
        self.read = 0

    def __len__(self):
        return 10**9

    def __getitem__(self, index):
        self.read += 1
        return {"id": str(index), "ir": np.zeros((16, 16, 1), np.uint8), "vi": np.zeros((16, 16, 3), np.uint8)}


@pytest.mark.parametrize("options", [{}, {"shares": (1.0,)}, {"max_boxes": 2}])
def test_starting_does_not_go_through_the_data(options):
    source, config = Endless(), DataConfig(crop=16, **options)
    batches = iter(training_batches([source], config, batch_size=BATCH, seed=0, samples_seen=10**8))
    assert source.read == 0
    next(batches)
    batches.close()
    assert source.read <= 20 * BATCH  # what the threads read ahead


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """An ArrayRecord set of six pairs."""
    root = tmp_path_factory.mktemp("prepared")
    write_synthetic_folder(root / "pairs", count=6, size=(16, 20))
    (root / "manual").mkdir()
    with zipfile.ZipFile(root / "manual" / "M3FD_Fusion.zip", "w") as archive:
        for kind, name in (("ir", "Ir"), ("vi", "Vis")):
            for path in (root / "pairs" / kind).iterdir():
                archive.write(path, f"{name}/{path.name}")
    return prepare("m3fd/fusion", data_dir=str(root), manual_dir=str(root / "manual"))


def test_a_prepared_set_opens_without_its_records(prepared, monkeypatch):
    opened = []

    def reader(path, **options):
        opened.append(path)
        return ArrayRecordReader(path, **options)

    monkeypatch.setattr(records, "ArrayRecordReader", reader)
    source = TfdsPairs(prepared, "train")
    assert (len(source), opened) == (6, [])
    assert len({source[n]["id"] for n in range(6)}) == 6
    assert len(opened) == 1


@pytest.mark.parametrize("split", ["train", "train[2:5]", "train[50%:]", "train[5:]+train[:2]"])
def test_records_are_those_of_tfds(prepared, split):
    expected = tfds.builder_from_directory(prepared).as_data_source(split=split)
    source = TfdsPairs(prepared, split)
    assert [source[n]["id"] for n in range(len(source))] == [expected[n]["id"].decode() for n in range(len(expected))]
    np.testing.assert_array_equal(source[1 % len(source)]["vi"], expected[1 % len(source)]["vi"])
    with pytest.raises(IndexError, match=f"Record {len(source)} is out of range for {len(source)}"):
        source[len(source)]


def test_a_record_is_asked_for_by_its_range_alone(prepared, monkeypatch):
    """For a list of positions, array_record scans the whole index.

    The cost of an epoch would be quadratic in the number of pairs.
    """
    asked = []

    class Reader:
        def __init__(self, path, **options):
            self.reader = ArrayRecordReader(path, **options)

        def read(self, *arguments):
            asked.append(arguments)
            return self.reader.read(*arguments)

    monkeypatch.setattr(records, "ArrayRecordReader", Reader)
    source = TfdsPairs(prepared, "train[1:]")
    for n in (2, 0):
        source[n]
    assert asked == [(3, 4), (1, 2)]
