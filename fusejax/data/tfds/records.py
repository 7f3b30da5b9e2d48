"""Records of a prepared data set, read by index."""

import bisect
import itertools
from typing import Any

import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordReader

_RANDOM_ACCESS = "readahead_buffer_size:0,max_parallelism:0"
_BUFFER = 32_768  # bytes, as in TFDS


class Records:
    """Decoded records of a split; each file is opened when its first record is accessed.

    TFDS's own data source requests a list of positions from array_record, and version 0.8.6 then
    scans the whole index of the file for each record: 62 µs if the file has 50,000 records. A range
    is found directly, in 5 µs.
    """

    def __init__(self, info: tfds.core.DatasetInfo, split: str):
        self._features: Any = info.features
        self._files = info.splits[split].file_instructions
        self._ends = list(itertools.accumulate(file.take for file in self._files))
        self._readers: dict[int, ArrayRecordReader] = {}

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> dict:
        if not 0 <= index < len(self):
            raise IndexError(f"Record {index} is out of range for {len(self)} records.")
        n = bisect.bisect_right(self._ends, index)
        file = self._files[n]
        if n not in self._readers:  # two threads may both open it: harmless, reads of a range share nothing
            self._readers[n] = ArrayRecordReader(
                str(file.filename), options=_RANDOM_ACCESS, file_reader_buffer_size=_BUFFER
            )
        position = file.skip + index - (self._ends[n] - file.take)
        (record,) = self._readers[n].read(position, position + 1)
        return self._features.deserialize_example_np(record)
