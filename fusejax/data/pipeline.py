"""From a data configuration to batches, with grain's Dataset API.

Batch k of a run is a function of (configuration, seed, k) alone: shuffling, crops, flips and masks are drawn from the
global index of a sample, before the sequence is dealt out to processes and workers.
"""

import dataclasses
from pathlib import Path

import grain
from absl import flags

from fusejax.data.folders import JoinedSource, PairFolder
from fusejax.data.masking import ComMaskConfig
from fusejax.data.synthetic import SyntheticPairs
from fusejax.data.transforms import MaskInputs, RandomPairedCrop, RandomPairedFlip, ToLuma


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where pairs come from and what is done to them.

    Attributes:
      root: folder of the data; holds the infrared and the visible folder, or `folders` below it do.
      folders: pair folders relative to `root`; empty: `root` itself.
      split: looked for below a folder that does not hold the two modalities itself (MSRS's train/ir, train/vi).
      tfds: names of prepared TFDS data sets (`fusejax.data.tfds`), read from `root`; added to the folders.
      synthetic: number of made-up pairs, added to the others.
      shares: how much of the training samples each source gives (folders, then tfds, then synthetic), relative; empty:
        every pair alike.
      validation: pair folders relative to `root` that are scored during training; empty: none.
      crop: side of the square training crop in pixels.
      com_mask: complementary masks on the network's inputs; None for none.
      skip_bad: leave out unusable pairs and list them, instead of stopping.
      workers: worker processes; 0 reads in threads of this process.
    """

    root: str = ""
    folders: tuple[str, ...] = ()
    split: str = "train"
    tfds: tuple[str, ...] = ()
    synthetic: int = 0
    shares: tuple[float, ...] = ()
    validation: tuple[str, ...] = ()
    crop: int = 128
    com_mask: ComMaskConfig | None = dataclasses.field(default_factory=ComMaskConfig)
    skip_bad: bool = False
    workers: int = 0


def open_sources(config: DataConfig) -> list:
    """The random-access sources that a configuration names, in order. Raises ValueError where it names none."""
    sources = []
    if config.root and (config.folders or not config.tfds):
        for folder in config.folders or ("",):
            sources.append(PairFolder(Path(config.root) / folder, split=config.split, skip_bad=config.skip_bad))
    if config.tfds:
        from fusejax.data.tfds import open_tfds  # slow to import, and few runs need it

        sources += [open_tfds(name, data_dir=config.root or None, split=config.split) for name in config.tfds]
    if config.synthetic:
        sources.append(SyntheticPairs(config.synthetic, size=(2 * config.crop, 2 * config.crop), seed=0))
    if not sources:
        raise ValueError(
            "The configuration names no data: set data.root (with data.folders), data.tfds or data.synthetic."
        )
    if config.shares and len(config.shares) != len(sources):
        raise ValueError(f"data.shares names {len(config.shares)} shares but there are {len(sources)} sources.")
    return sources


def open_validation(config: DataConfig) -> JoinedSource | None:
    """Validation pairs in fixed order, whole pictures as stored; None where the configuration names no folder."""
    if not config.validation:
        return None
    folders = [Path(config.root) / folder for folder in config.validation]
    return JoinedSource(PairFolder(f, split=config.split, skip_bad=config.skip_bad) for f in folders)


def training_batches(
    sources: list, config: DataConfig, *, batch_size: int, seed: int, shard_index: int = 0, shard_count: int = 1
) -> grain.IterDataset:
    """Endless batches for one process of `shard_count`; all processes together see one and the same sequence.

    Args:
      sources: from `open_sources`.
      batch_size: pairs in a batch of this process.
    Returns: dicts of NumPy arrays: `id` [b] str; `ir`, `vi_y` the clean pair, `ir_input`, `vi_input` what the network
      is given, all float32 [b, crop, crop, 1] in [0, 1]. The iterator's state can be saved and restored.
    """
    if config.shares:
        parts = [grain.MapDataset.source(s).seed(seed + n).shuffle().repeat() for n, s in enumerate(sources)]
        pairs = grain.MapDataset.mix(parts, weights=config.shares)
    else:
        pairs = grain.MapDataset.source(JoinedSource(sources)).seed(seed).shuffle().repeat()
    pairs = (
        pairs.seed(seed)
        .random_map(RandomPairedCrop(config.crop))
        .random_map(RandomPairedFlip())
        .map(ToLuma())
        .random_map(MaskInputs(config.com_mask))
    )
    batches = pairs[shard_index::shard_count].batch(batch_size, drop_remainder=True)
    if not config.workers:
        return batches.to_iter_dataset(grain.ReadOptions(num_threads=4, prefetch_buffer_size=8))
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # grain's worker pool reads absl flags, which nobody else parses here
    workers = grain.MultiprocessingOptions(num_workers=config.workers, per_worker_buffer_size=2)
    return batches.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)).mp_prefetch(workers)
