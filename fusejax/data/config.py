"""Configuration of the training data: plain data, which loads without JAX."""

import dataclasses
from typing import Literal

from fusejax.options import check_choices

# What counts as an object unless a setting says otherwise: FusionNet's classes, with LLVIP's
# "person".
OBJECT_CLASSES = ("people", "car", "bus", "motorcycle", "truck", "person")


@dataclasses.dataclass(frozen=True)
class ComMaskConfig:
    """Numbers are ours; the paper gives the idea and names the patch size k.

    Attributes:
      probability: share of pairs that are masked at all, so that the network also sees clean pairs.
      patch_sizes: side k of a square cell in pixels, drawn per pair.
      keep: probability rho that a cell shows infrared (`grid`) or stays visible in both (`random`).
      variant: `grid`, complementary matrices: every pixel is seen in exactly one modality;
        `random`, a random subset of the cells is hidden, half of it in infrared and half in
        visible, the rest stays visible in both.
      fill: what hidden pixels hold: `zero`, or `mean` of that image.
    """

    probability: float = 0.5
    patch_sizes: tuple[int, ...] = (8, 16, 32)
    keep: float = 0.5
    variant: Literal["grid", "random"] = "grid"
    fill: Literal["zero", "mean"] = "zero"

    def __post_init__(self):
        check_choices(self)
        for name in ("probability", "keep"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it is a probability, 0 to 1.")
        if not self.patch_sizes or min(self.patch_sizes) < 1:
            raise ValueError(f"patch_sizes is {self.patch_sizes}; name at least one side of 1 pixel or more.")


@dataclasses.dataclass(frozen=True)
class AugmentConfig:
    """How much each pair is changed; the numbers are ours.

    Attributes:
      brightness: largest shift of either source, in units of the range; drawn for each source by
        itself.
      contrast: largest relative change of either source's contrast about its mean.
      noise: largest standard deviation of Gaussian noise on the network's inputs, in units of the
        range; the pair that the objective sees stays clean.
      glare: share of the visible images that get a round, saturated light, half of them in front of
        something warm.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0
    glare: float = 0.0

    def __post_init__(self):
        for name in ("brightness", "contrast", "noise", "glare"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise ValueError(f"data.augment.{name} is {value}; it must be at least 0 and at most 1.")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where pairs come from and what is done to them.

    Attributes:
      root: folder of the data; holds the infrared and the visible folder, or `folders` below it do.
      folders: pair folders relative to `root`; empty: `root` itself, unless `tfds` names something.
      split: looked for in a training folder that does not hold the images itself (MSRS's train/ir,
        train/vi).
      tfds: names of prepared TFDS data sets (`fusejax.data.tfds`), read from `root`; added to the
        folders.
      synthetic: number of made-up pairs, added to the others.
      auxiliary: pair folder of a foreign set relative to `root`, named down to the split, of which
        the patches that `alignment` names are added.
      alignment: plan written by `fusejax align`; empty: the folder's pairs are added as they are.
      shares: how much of the training samples each source gives (folders, tfds, synthetic,
        auxiliary, in this order), relative; empty: every pair alike.
      validation: pair folders relative to `root` that are scored during training, named down to the
        split; empty: none.
      crop: side of the square training crop in pixels.
      patch_stride: pairs are cut into patches of `crop` pixels that lie so many pixels apart on a
        fixed grid from the top left corner, each a training sample of its own (CrossFuse: 200);
        0: a crop of each pair is drawn at random. Aligned patches are such patches already.
      flips: whether samples are mirrored at random, along each axis with probability 1/2.
      max_boxes: object boxes that a sample brings along, the largest of its crop; 0: none are read.
      box_classes: names of the objects that count, in any case; empty: all. The default is
        FusionNet's, with LLVIP's "person".
      box_share: share of the crops, of pairs with boxes, that are drawn around a box; FusionNet's
        is 0.5.
      box_keep: share of the boxes that is used; drawn once per box, for ablations.
      box_jitter: shift of each edge of a box, uniform up to this share of its side; drawn once, for
        ablations.
      com_mask: complementary masks on the network's inputs; None for none.
      augment: changes of brightness, contrast, glare and noise; None for none.
      skip_bad: leave out unusable pairs and list them, instead of stopping.
      keep_decoded: keep every pair that has been read in memory, decoded. For small sets and fast
        networks: decoding eight 640x480 pairs takes longer than a training step of the light
        network.
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
    patch_stride: int = 0
    flips: bool = True
    max_boxes: int = 0
    box_classes: tuple[str, ...] = OBJECT_CLASSES
    box_share: float = 0.0
    box_keep: float = 1.0
    box_jitter: float = 0.0
    com_mask: ComMaskConfig | None = dataclasses.field(default_factory=ComMaskConfig)
    augment: AugmentConfig | None = None
    skip_bad: bool = False
    keep_decoded: bool = False
    workers: int = 0

    def __post_init__(self):
        for name, least in (("crop", 1), ("patch_stride", 0), ("synthetic", 0), ("workers", 0), ("max_boxes", 0)):
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
