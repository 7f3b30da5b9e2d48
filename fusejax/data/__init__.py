"""Pairs of images.

Sources (folders, TFDS data sets, synthetic scenes), transforms and batches.
"""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.data.alignment import AlignConfig, Alignment, align
    from fusejax.data.alignment_plan import AlignedPatches, AlignPlan, load_plan, make_plan, save_plan
    from fusejax.data.annotations import AnnotationError, Boxes, read_boxes
    from fusejax.data.config import ComMaskConfig, DataConfig
    from fusejax.data.folders import PairFolder, find_pair_folders
    from fusejax.data.images import ImageError, from_float, image_size, read_image, to_float, write_image
    from fusejax.data.masking import com_mask
    from fusejax.data.pairing import PairError, PairPaths, match_pairs
    from fusejax.data.pipeline import open_sources, open_validation, training_batches
    from fusejax.data.synthetic import SyntheticPairs, synthetic_pair, write_synthetic_folder
    from fusejax.data.transforms import MaskInputs, PadBoxes, RandomPairedCrop, RandomPairedFlip, SelectBoxes, ToLuma

__all__ = [
    "AlignConfig",
    "AlignPlan",
    "AlignedPatches",
    "Alignment",
    "AnnotationError",
    "Boxes",
    "ComMaskConfig",
    "DataConfig",
    "ImageError",
    "MaskInputs",
    "PadBoxes",
    "PairError",
    "PairFolder",
    "PairPaths",
    "RandomPairedCrop",
    "RandomPairedFlip",
    "SelectBoxes",
    "SyntheticPairs",
    "ToLuma",
    "align",
    "com_mask",
    "find_pair_folders",
    "from_float",
    "image_size",
    "load_plan",
    "make_plan",
    "match_pairs",
    "open_sources",
    "open_validation",
    "read_boxes",
    "read_image",
    "save_plan",
    "synthetic_pair",
    "to_float",
    "training_batches",
    "write_image",
    "write_synthetic_folder",
]
