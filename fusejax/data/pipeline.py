"""Builds batches from a data configuration, with grain's Dataset API.

Batch k of a run depends only on (configuration, seed, k): shuffling, crops, flips and masks are
derived from the global index of a sample, before the sequence is distributed to processes and
workers. Each process gets contiguous rows of every batch, so that the global batch is the same
array for any number of processes.
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grain
from absl import flags

from fusejax.data.alignment_plan import AlignedPatches, load_plan
from fusejax.data.augmentation import Augment
from fusejax.data.config import DataConfig
from fusejax.data.folders import JoinedSource, MappedSource, PairFolder, Source
from fusejax.data.grid import PatchGrid, pair_sizes
from fusejax.data.memory import KeptInMemory
from fusejax.data.synthetic import SyntheticPairs
from fusejax.data.transforms import MaskInputs, PadBoxes, RandomPairedCrop, RandomPairedFlip, SelectBoxes, ToLuma

_AHEAD = 64  # number of samples whose order a checkpoint records


def open_sources(config: DataConfig) -> list:
    """Opens the random-access sources of a configuration.

    Their order is: folders, TFDS sets, synthetic pairs, auxiliary pairs. They are cut into patches
    on a grid if configured.

    Args:
        config: where the pairs come from.

    Returns:
        The sources; `source[n]` reads one of `len(source)` pairs.

    Raises:
        ValueError: if there are none.
        PairError: if a folder has pairs that cannot be used for training, such as images smaller
            than the crop.

    Example:
        >>> from fusejax.data import DataConfig
        >>> [len(source) for source in open_sources(DataConfig(synthetic=8, crop=16))]
        [8]
    """
    sources, boxes = [], config.max_boxes > 0
    if config.folders or (config.root and not config.tfds):
        options = {"split": config.split, "min_side": config.crop, "boxes": boxes}
        sources += [_open_folder(config, folder, **options) for folder in config.folders or ("",)]
    if config.tfds:
        from fusejax.data.tfds import open_tfds  # slow to import, and few runs need it

        options = {"data_dir": config.root or None, "split": config.split, "named_labels": boxes}
        sources += [open_tfds(name, **options) for name in config.tfds]
    if config.synthetic:
        sources.append(SyntheticPairs(config.synthetic, size=(2 * config.crop, 2 * config.crop), seed=0))
    if config.auxiliary:
        sources.append(_open_auxiliary(config))
    if not sources:
        raise ValueError(
            "The configuration has no data: set data.root (with data.folders), data.tfds or data.synthetic."
        )
    if config.shares and len(config.shares) != len(sources):
        raise ValueError(f"data.shares has {len(config.shares)} values, but there are {len(sources)} sources.")
    return [_prepared(source, config) for source in sources]


def _open_folder(config: DataConfig, folder: str, **options: Any) -> Any:
    """A folder below the root, whose infrared values have gray levels; registered if asked for."""
    shared = {name: getattr(config, name) for name in ("skip_bad", "ir_range", "task", "ir_pattern", "vi_pattern")}
    opened = PairFolder(Path(config.root) / folder, **shared, **options, any_size=bool(config.register))
    opened.check_values()
    if not config.register:
        return opened
    from fusejax.data.registered import RegisteredPairs  # compiles programs, which few runs need

    return RegisteredPairs(opened, config.register, min_side=options.get("min_side", 1), skip_bad=config.skip_bad)


def _prepared(source: Source, config: DataConfig) -> Source:
    """The source, kept in memory and cut into patches if configured."""
    kept = KeptInMemory(source) if config.keep_decoded else source
    if not config.patch_stride or isinstance(source, AlignedPatches):
        return kept
    return PatchGrid(kept, pair_sizes(source), size=config.crop, stride=config.patch_stride)


def _open_auxiliary(config: DataConfig) -> PairFolder | AlignedPatches:
    if not config.alignment:
        return _open_folder(config, config.auxiliary, min_side=config.crop, boxes=config.max_boxes > 0)
    plan = load_plan(config.alignment)
    if plan.config.patch < config.crop:
        raise ValueError(
            f"{config.alignment} cuts patches of {plan.config.patch}, smaller than data.crop {config.crop}."
        )
    return AlignedPatches(_open_folder(config, config.auxiliary), plan)


def open_validation(config: DataConfig) -> JoinedSource | None:
    """Opens the validation pairs, in a fixed order and as whole images.

    Args:
        config: where the pairs come from.

    Returns:
        The pairs of all folders; None if no folder is configured.

    Raises:
        PairError: if a folder has pairs that cannot be used.
    """
    if not config.validation:
        return None
    return JoinedSource(_open_folder(config, folder) for folder in config.validation)


def training_batches(
    sources: Sequence,
    config: DataConfig,
    *,
    batch_size: int,
    seed: int,
    shard_index: int = 0,
    shard_count: int = 1,
    samples_seen: int = 0,
) -> grain.IterDataset:
    """Endless batches for one process; all processes together see the same sequence.

    Args:
        sources: from `open_sources`.
        config: configuration of crop, boxes, masks and workers.
        batch_size: number of pairs in a batch of this process; the global batch has `shard_count`
            times as many.
        seed: seed of the order and every random draw.
        shard_index: which rows of the global batch to return: the first `batch_size` for 0, the
            next for 1, ...
        shard_count: number of processes.
        samples_seen: position at which to continue the sequence, as the number of samples of all
            processes since the start. Unlike an iterator's state, it is valid for any number of
            processes and workers.

    Returns:
        Dicts of NumPy arrays: `id` [b] str; the clean pair `ir`, `vi_y` and the network's inputs
        `ir_input`, `vi_input`, all float32 [b, crop, crop, 1] in [0, 1]; with `max_boxes` also
        `boxes` float32 [b, max_boxes, 4], x1, y1, x2, y2 in pixels of the crop, and `boxes_valid`
        bool [b, max_boxes]. The iterator has `get_state` and `set_state`; a state can be used with
        iterators made with the same arguments and number of workers.

    Raises:
        ValueError: for a shard that does not exist.

    Example:
        >>> from fusejax.data import DataConfig, open_sources
        >>> config = DataConfig(synthetic=8, crop=16)
        >>> batches = training_batches(open_sources(config), config, batch_size=4, seed=0)
        >>> next(iter(batches))["ir"].shape
        (4, 16, 16, 1)
    """
    if not 0 <= shard_index < shard_count:
        raise ValueError(f"shard {shard_index} of {shard_count}: the index must be 0 to {shard_count - 1}.")
    rows = _RowsOfProcess(
        _samples(sources, config, seed),
        rows=batch_size,
        stride=batch_size * shard_count,
        first=samples_seen + batch_size * shard_index,
    )
    batches = rows.batch(batch_size, drop_remainder=True)
    if not config.workers:
        return batches.to_iter_dataset(grain.ReadOptions(num_threads=4, prefetch_buffer_size=8))
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # grain's worker pool reads absl flags, which are not parsed otherwise
    workers = grain.MultiprocessingOptions(num_workers=config.workers, per_worker_buffer_size=2)
    return batches.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)).mp_prefetch(workers)


class _RowsOfProcess(grain.MapDataset):
    """Takes `rows` samples out of every `stride`, starting at `first`."""

    def __init__(self, samples: grain.MapDataset, *, rows: int, stride: int, first: int):
        super().__init__(samples)
        self._rows, self._stride, self._first = rows, stride, first

    def __len__(self) -> int:
        return max(0, len(self.parents[0]) - self._first) // self._stride * self._rows

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.slice(index)
        batch, row = divmod(index, self._rows)
        return self.parents[0][self._first + batch * self._stride + row]


def _samples(sources: Sequence, config: DataConfig, seed: int) -> grain.MapDataset:
    """The endless sequence of single samples.

    Element i depends only on (sources, configuration, seed, i).
    """
    if config.max_boxes:
        # Not a separate step of the sequence: grain's draws depend on a step's position in it, and
        # boxes must not change them.
        select = SelectBoxes(config.box_classes, config.box_keep, config.box_jitter, config.box_false)
        sources = [MappedSource(source, select.map) for source in sources]
    pairs = _in_order(sources, config, seed).random_map(RandomPairedCrop(config.crop, config.box_share))
    if config.flips:
        pairs = pairs.random_map(RandomPairedFlip())
    pairs = pairs.map(ToLuma()).random_map(MaskInputs(config.com_mask)).map(PadBoxes(config.max_boxes))
    return pairs if config.augment is None else pairs.random_map(Augment(config.augment))


def _in_order(sources: Sequence, config: DataConfig, seed: int) -> grain.MapDataset:
    """The endless sequence of whole pairs, ready for random steps."""
    if config.shares:
        parts = [grain.MapDataset.source(s).seed(seed + n).shuffle().repeat() for n, s in enumerate(sources)]
        pairs = grain.MapDataset.mix(parts, weights=config.shares)
    else:
        pairs = grain.MapDataset.source(JoinedSource(sources)).seed(seed).shuffle().repeat()
    return pairs.seed(seed)


def order_ahead(sources: Sequence, config: DataConfig, *, seed: int, samples_seen: int) -> str:
    """Fingerprint of the next samples: which pairs come, and what is drawn for them.

    It reads no images. It changes if grain shuffles, mixes or seeds differently, and if the number
    of pairs of a source changes.

    Args:
        sources: from `open_sources`.
        config: configuration of the data.
        seed: seed of the run.
        samples_seen: number of samples of all processes before them.

    Returns:
        64 hexadecimal digits.
    """
    numbers = [_Numbers(source, len(pairs)) for source, pairs in enumerate(sources)]
    samples = _in_order(numbers, config, seed).random_map(_Draw())
    ahead = [samples[index] for index in range(samples_seen, samples_seen + _AHEAD)]
    return hashlib.sha256(json.dumps(ahead).encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class _Numbers:
    """Stands in for a source, without its images."""

    source: int
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index):
        return {"source": self.source, "pair": int(index)}


class _Draw(grain.transforms.RandomMap):
    """Adds the first number that a random step would draw for a sample."""

    def random_map(self, sample, rng):
        return sample | {"draw": int(rng.integers(2**32))}
