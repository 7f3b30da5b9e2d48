"""Pairs of images.

Sources (folders, TFDS data sets, synthetic scenes), transforms and batches.
"""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.data.alignment import AlignConfig, Alignment, align
    from fusejax.data.alignment_folders import AlignedFolders, align_folders
    from fusejax.data.alignment_plan import AlignedPatches, AlignPlan, load_plan, make_plan, save_plan
    from fusejax.data.config import ComMaskConfig, DataConfig
    from fusejax.data.folders import PairFolder
    from fusejax.data.layouts import find_pair_folders
    from fusejax.data.masking import com_mask
    from fusejax.data.pipeline import open_sources, open_validation, training_batches
    from fusejax.data.synthetic import SyntheticPairs, synthetic_pair, write_synthetic_folder
    from fusejax.data.transforms import MaskInputs, PadBoxes, RandomPairedCrop, RandomPairedFlip, SelectBoxes, ToLuma

__all__ = [
    "AlignConfig",
    "AlignPlan",
    "AlignedFolders",
    "AlignedPatches",
    "Alignment",
    "ComMaskConfig",
    "DataConfig",
    "MaskInputs",
    "PadBoxes",
    "PairFolder",
    "RandomPairedCrop",
    "RandomPairedFlip",
    "SelectBoxes",
    "SyntheticPairs",
    "ToLuma",
    "align",
    "align_folders",
    "com_mask",
    "find_pair_folders",
    "load_plan",
    "make_plan",
    "open_sources",
    "open_validation",
    "save_plan",
    "synthetic_pair",
    "training_batches",
    "write_synthetic_folder",
]
