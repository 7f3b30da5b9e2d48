"""Configuration of the training data: plain data, which does not import JAX."""

import dataclasses
import math
from typing import Literal

from fusejax.data.task import TaskName
from fusejax.options import check_at_least, check_choices

# The default object classes: FusionNet's classes, with LLVIP's "person".
OBJECT_CLASSES = ("people", "car", "bus", "motorcycle", "truck", "person")


@dataclasses.dataclass(frozen=True)
class ComMaskConfig:
    """Complementary masks. The numbers are ours; the paper gives the idea and names the patch size
    k.

    Attributes:
        probability: probability that a pair is masked, so that the network also sees clean pairs.
        patch_sizes: sides k of a square cell in pixels, one of which is drawn per pair.
        keep: probability rho that a cell shows infrared (`grid`) or stays visible in both
            (`random`).
        variant: `grid`: complementary masks, with every pixel visible in exactly one modality;
            `random`: a random subset of the cells is hidden, half of it in infrared and half in
            visible, while the rest stays visible in both.
        fill: value of hidden pixels: `zero`, or the `mean` of the image.
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
                raise ValueError(f"{name} is {getattr(self, name)}; it must be a probability, 0 to 1.")
        if not self.patch_sizes or min(self.patch_sizes) < 1:
            raise ValueError(f"patch_sizes is {self.patch_sizes}; give at least one side of 1 pixel or more.")


@dataclasses.dataclass(frozen=True)
class AugmentConfig:
    """Strength of the augmentation; the numbers are ours.

    Attributes:
        brightness: largest shift of either source, in units of the range; drawn separately for each
            source.
        contrast: largest relative change of either source's contrast about its mean.
        noise: largest standard deviation of Gaussian noise on the network's inputs, in units of the
            range; the objective sees the clean pair.
        glare: fraction of the visible images that get a round, saturated light, half of them in
            front of something warm.
        lamps: fraction of the pairs that get one to three street lamps, small and hot.
        pedestal: largest brightness below which nothing in the infrared image lies, in units of the
            range; half of the infrared images are compressed to the range above a random one, like
            those of cameras that map a wide range of temperatures to gray.
        dusk: fraction of the visible images that are darkened, by a random factor of 0.2 to 0.8.
        misalignment: largest shift of the network's infrared input along each axis, in pixels; the
            objective sees the registered pair.
        corners: largest displacement of each corner of the infrared crop along each axis by a
            random homography, in pixels.
        elastic: standard deviation of a smooth random displacement of the infrared crop along each
            axis, in pixels; its sigma is a quarter of the crop's side.
        deformed: what is deformed by `corners` and `elastic`: the network's infrared `input` alone,
            while the objective sees the registered pair; or the `pair`, as in data whose images do
            not line up.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0
    glare: float = 0.0
    lamps: float = 0.0
    pedestal: float = 0.0
    dusk: float = 0.0
    misalignment: int = 0
    corners: float = 0.0
    elastic: float = 0.0
    deformed: Literal["input", "pair"] = "input"

    def __post_init__(self):
        check_choices(self)
        for name in ("corners", "elastic"):
            if not 0 <= (value := getattr(self, name)) < math.inf:
                raise ValueError(f"data.augment.{name} is {value}; give pixels, 0 or more.")
        check_at_least(self, 0, "misalignment")
        for name in ("brightness", "contrast", "noise", "glare", "lamps", "pedestal", "dusk"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise ValueError(f"data.augment.{name} is {value}; it must be at least 0 and at most 1.")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Sources of the pairs and their processing.

    Attributes:
        root: folder of the data; it, or each of `folders` below it, contains the infrared and the
            visible folder.
        folders: pair folders relative to `root`; if empty, `root` itself, unless `tfds` is set.
        task: what the two sources are, which determines the names of their folders: infrared and
            visible; or mri-color, multi-focus or multi-exposure, see `fusejax.data.task`.
        split: subfolder to use if a training folder does not hold the images itself (MSRS's
            train/ir, train/vi).
        tfds: names of prepared TFDS data sets (`fusejax.data.tfds`), read from `root`; added to the
            folders.
        synthetic: number of synthetic pairs, added to the others.
        auxiliary: pair folder of a foreign set relative to `root`, including the split; its patches
            listed in `alignment` are added.
        alignment: plan written by `fusejax align`; if empty, the folder's pairs are added
            unchanged.
        shares: relative number of training samples from each source (folders, tfds, synthetic,
            auxiliary, in this order); if empty, all pairs count equally.
        validation: pair folders relative to `root`, including the split, that are scored during
            training; none if empty.
        ir_range: infrared values that map to black and white in `folders`, `validation` and
            `auxiliary`, for raw counts and temperatures: the numbers that `fusejax fuse` prints for
            them. None for display images.
        ir_pattern: names of the infrared files in `folders`, `validation` and `auxiliary`, such as
            "*_T.*"; with `vi_pattern`, files are paired whose wildcards match the same text. None
            for equal stems, or names that are recognized.
        vi_pattern: names of the visible files.
        register: how pairs of two cameras that do not line up are registered, in `folders`,
            `validation` and `auxiliary`: `auto`, `rig`, `pair`, the rig.json of `fusejax register
            --rig`, or a transforms.json with a transform per pair. Pairs are cut to their common
            field. Empty for pairs that line up.
        crop: side of the square training crop in pixels.
        patch_stride: distance in pixels between patches of `crop` pixels on a fixed grid from the
            top left corner, into which pairs are cut; each patch is a training sample (CrossFuse:
            200). With 0, a random crop of each pair is drawn. Aligned patches are already cut.
        flips: whether samples are mirrored randomly, along each axis with probability 1/2.
        max_boxes: maximum number of object boxes per sample, the largest ones of its crop; with 0,
            none are read.
        box_classes: names of the object classes that count, ignoring case; all if empty. The
            default is FusionNet's classes, with LLVIP's "person".
        box_share: fraction of the crops of pairs with boxes that are drawn around a box; 0.5 in
            FusionNet.
        box_keep: fraction of the boxes that are used, drawn once per box; for ablations.
        box_jitter: largest shift of each edge of a box as a fraction of its side, uniformly
            distributed and drawn once; for ablations.
        box_false: number of false boxes relative to that of true ones, of their sizes at random
            places; for ablations.
        com_mask: complementary masks on the network's inputs; None for none.
        augment: changes of brightness, contrast, glare and noise; None for none.
        skip_bad: skip unusable pairs and list them, instead of stopping.
        keep_decoded: keep every decoded pair in memory. This is for small sets and fast networks:
            decoding eight 640x480 pairs takes longer than a training step of the light network.
        workers: number of worker processes; 0 reads in threads of this process.
    """

    root: str = ""
    folders: tuple[str, ...] = ()
    task: TaskName = "infrared-visible"
    split: str = "train"
    tfds: tuple[str, ...] = ()
    synthetic: int = 0
    auxiliary: str = ""
    alignment: str = ""
    shares: tuple[float, ...] = ()
    validation: tuple[str, ...] = ()
    ir_range: tuple[float, float] | None = None
    ir_pattern: str | None = None
    vi_pattern: str | None = None
    register: str = ""
    crop: int = 128
    patch_stride: int = 0
    flips: bool = True
    max_boxes: int = 0
    box_classes: tuple[str, ...] = OBJECT_CLASSES
    box_share: float = 0.0
    box_keep: float = 1.0
    box_jitter: float = 0.0
    box_false: float = 0.0
    com_mask: ComMaskConfig | None = dataclasses.field(default_factory=ComMaskConfig)
    augment: AugmentConfig | None = None
    skip_bad: bool = False
    keep_decoded: bool = False
    workers: int = 0

    def __post_init__(self):
        check_choices(self)
        for name, least in (("crop", 1), ("patch_stride", 0), ("synthetic", 0), ("workers", 0), ("max_boxes", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"data.{name} is {getattr(self, name)}; it must be at least {least}.")
        if self.ir_range is not None and not -math.inf < self.ir_range[0] < self.ir_range[1] < math.inf:
            raise ValueError(f"data.ir_range is {self.ir_range}; give two numbers LOW HIGH, LOW below HIGH.")
        if self.alignment and not self.auxiliary:
            raise ValueError("data.alignment is set; set data.auxiliary to the folder from which its patches are cut.")
        for name in ("alignment", "max_boxes"):
            if self.register and getattr(self, name):
                raise ValueError(
                    f"data.register is {self.register!r} and data.{name} is {getattr(self, name)!r}, whose patches or "
                    "boxes are of the images as taken; write registered pairs with `fusejax register` first."
                )
        if any(share <= 0 for share in self.shares):
            raise ValueError(f"data.shares is {self.shares}; every share must be above 0; remove the folder instead.")
        for name in ("box_share", "box_keep", "box_false"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise ValueError(f"data.{name} is {value}; it must be a fraction, 0 to 1.")
        if not 0 <= self.box_jitter < 0.5:  # from 0.5 on, an edge could pass the opposite one
            raise ValueError(f"data.box_jitter is {self.box_jitter}; it must be at least 0 and below 0.5.")
        for name, unused in (("box_share", 0.0), ("box_keep", 1.0), ("box_jitter", 0.0), ("box_false", 0.0)):
            if not self.max_boxes and (value := getattr(self, name)) != unused:
                raise ValueError(f"data.{name} is {value} but no boxes are read; set data.max_boxes.")
