"""From a data configuration to batches, with grain's Dataset API.

Batch k of a run is a function of (configuration, seed, k) alone: shuffling, crops, flips and masks are drawn from the
global index of a sample, before the sequence is dealt out to processes and workers. A process gets contiguous rows of
each batch, so that the batch put together from all processes is the same array whatever their number.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import grain
from absl import flags

from fusejax.data.alignment_plan import AlignedPatches, load_plan
from fusejax.data.annotations import OBJECT_CLASSES
from fusejax.data.folders import JoinedSource, MappedSource, PairFolder
from fusejax.data.masking import ComMaskConfig
from fusejax.data.synthetic import SyntheticPairs
from fusejax.data.transforms import MaskInputs, PadBoxes, RandomPairedCrop, RandomPairedFlip, SelectBoxes, ToLuma


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where pairs come from and what is done to them.

    Attributes:
      root: folder of the data; holds the infrared and the visible folder, or `folders` below it do.
      folders: pair folders relative to `root`; empty: `root` itself, unless `tfds` names something.
      split: looked for in a training folder that does not hold the pictures itself (MSRS's train/ir, train/vi).
      tfds: names of prepared TFDS data sets (`fusejax.data.tfds`), read from `root`; added to the folders.
      synthetic: number of made-up pairs, added to the others.
      auxiliary: pair folder of a foreign set relative to `root`, named down to the split, of which the patches that
        `alignment` names are added.
      alignment: plan written by `fusejax align`; empty: the folder's pairs are added as they are.
      shares: how much of the training samples each source gives (folders, tfds, synthetic, auxiliary, in this order),
        relative; empty: every pair alike.
      validation: pair folders relative to `root` that are scored during training, named down to the split; empty: none.
      crop: side of the square training crop in pixels.
      max_boxes: object boxes that a sample brings along, the largest of its crop; 0: none are read.
      box_classes: names of the objects that count, in any case; empty: all. The default is FusionNet's, with LLVIP's
        "person".
      box_share: share of the crops, of pairs with boxes, that are drawn around a box; FusionNet's is 0.5.
      box_keep: share of the boxes that is used; drawn once per box, for ablations.
      box_jitter: shift of each edge of a box, uniform up to this share of its side; drawn once, for ablations.
      com_mask: complementary masks on the network's inputs; None for none.
      skip_bad: leave out unusable pairs and list them, instead of stopping.
      workers: worker processes; 0 reads in threads of this process.
    """

    root: str = ""
    folders: tuple[str, ...] = ()
    split: str = "train"
    tfds: tuple[str, ...] = ()
    synthetic: int = 0
    auxiliary: str = ""
    alignment: str = ""
    shares: tuple[float, ...] = ()
    validation: tuple[str, ...] = ()
    crop: int = 128
    max_boxes: int = 0
    box_classes: tuple[str, ...] = OBJECT_CLASSES
    box_share: float = 0.0
    box_keep: float = 1.0
    box_jitter: float = 0.0
    com_mask: ComMaskConfig | None = dataclasses.field(default_factory=ComMaskConfig)
    skip_bad: bool = False
    workers: int = 0

    def __post_init__(self):
        for name, least in (("crop", 1), ("synthetic", 0), ("workers", 0), ("max_boxes", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"data.{name} is {getattr(self, name)}; it must be at least {least}.")
        if self.alignment and not self.auxiliary:
            raise ValueError("data.alignment is set; name the folder that its patches are cut from in data.auxiliary.")
        if any(share <= 0 for share in self.shares):
            raise ValueError(f"data.shares is {self.shares}; every share must be above 0, drop the folder instead.")
        for name in ("box_share", "box_keep"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise ValueError(f"data.{name} is {value}; it is a share, 0 to 1.")
        if not 0 <= self.box_jitter < 0.5:  # from 0.5 on an edge could pass the opposite one
            raise ValueError(f"data.box_jitter is {self.box_jitter}; it must be at least 0 and below 0.5.")
        for name, unused in (("box_share", 0.0), ("box_keep", 1.0), ("box_jitter", 0.0)):
            if not self.max_boxes and (value := getattr(self, name)) != unused:
                raise ValueError(f"data.{name} is {value} but no boxes are read; set data.max_boxes.")


def open_sources(config: DataConfig) -> list:
    """The random-access sources that a configuration names, in order: folders, TFDS sets, made-up pairs.

    Raises ValueError where it names none, and PairError where a folder holds pairs that cannot be trained on, pictures
    smaller than the crop included.
    """
    sources, boxes = [], config.max_boxes > 0
    if config.folders or (config.root and not config.tfds):
        options = {"split": config.split, "skip_bad": config.skip_bad, "min_side": config.crop, "boxes": boxes}
        sources += [PairFolder(Path(config.root) / folder, **options) for folder in config.folders or ("",)]
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
            "The configuration names no data: set data.root (with data.folders), data.tfds or data.synthetic."
        )
    if config.shares and len(config.shares) != len(sources):
        raise ValueError(f"data.shares names {len(config.shares)} shares but there are {len(sources)} sources.")
    return sources


def _open_auxiliary(config: DataConfig) -> PairFolder | AlignedPatches:
    folder = Path(config.root) / config.auxiliary
    if not config.alignment:
        return PairFolder(folder, skip_bad=config.skip_bad, min_side=config.crop, boxes=config.max_boxes > 0)
    plan = load_plan(config.alignment)
    if plan.config.patch < config.crop:
        raise ValueError(
            f"{config.alignment} cuts patches of {plan.config.patch}, smaller than data.crop {config.crop}."
        )
    return AlignedPatches(PairFolder(folder, skip_bad=config.skip_bad), plan)


def open_validation(config: DataConfig) -> JoinedSource | None:
    """Validation pairs in fixed order, whole pictures as stored; None where the configuration names no folder."""
    if not config.validation:
        return None
    return JoinedSource(PairFolder(Path(config.root) / f, skip_bad=config.skip_bad) for f in config.validation)


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
    """Endless batches for one process of `shard_count`; all processes together see one and the same sequence.

    Args:
      sources: from `open_sources`.
      batch_size: pairs in a batch of this process; the batch of all has `shard_count` times as many.
      shard_index: which rows of it: the first `batch_size` for 0, the next for 1, ...
      samples_seen: where the sequence is taken up, counted in samples of all processes since the start. Unlike an
        iterator's state it holds for any number of processes and workers.
    Returns: dicts of NumPy arrays: `id` [b] str; `ir`, `vi_y` the clean pair, `ir_input`, `vi_input` what the network
      is given, all float32 [b, crop, crop, 1] in [0, 1]; with `max_boxes` also `boxes` float32 [b, max_boxes, 4], x1,
      y1, x2, y2 in pixels of the crop, and `boxes_valid` bool [b, max_boxes]. The iterator has `get_state` and
      `set_state`; a state fits iterators made with the same arguments and number of workers.
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
        flags.FLAGS.mark_as_parsed()  # grain's worker pool reads absl flags, which nobody else parses here
    workers = grain.MultiprocessingOptions(num_workers=config.workers, per_worker_buffer_size=2)
    return batches.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)).mp_prefetch(workers)


class _RowsOfProcess(grain.MapDataset):
    """Of every `stride` samples, from the sample `first` on, so many `rows` in their order."""

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
    """The endless sequence of single samples. Element i depends on (sources, configuration, seed, i) alone."""
    if config.max_boxes:
        # Not a step of the sequence: grain's draws follow from a step's place in it, and boxes must not move them.
        select = SelectBoxes(config.box_classes, config.box_keep, config.box_jitter)
        sources = [MappedSource(source, select.map) for source in sources]
    if config.shares:
        parts = [grain.MapDataset.source(s).seed(seed + n).shuffle().repeat() for n, s in enumerate(sources)]
        pairs = grain.MapDataset.mix(parts, weights=config.shares)
    else:
        pairs = grain.MapDataset.source(JoinedSource(sources)).seed(seed).shuffle().repeat()
    return (
        pairs.seed(seed)
        .random_map(RandomPairedCrop(config.crop, config.box_share))
        .random_map(RandomPairedFlip())
        .map(ToLuma())
        .random_map(MaskInputs(config.com_mask))
        .map(PadBoxes(config.max_boxes))
    )
