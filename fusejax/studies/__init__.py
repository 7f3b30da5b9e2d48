"""Studies: alignment of data sets, and ablations, whose variants train with equal budgets.

`alignment` chooses patches of other sets. `ablation` describes an ablation as data, `variants`
helps to write the variants down, `preparation` says what has to exist first, `run` trains and
scores, `tables` and `grids` present the result.
"""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.studies.alignment import AlignedFolders, align_folders

__all__ = [
    "AlignedFolders",
    "align_folders",
]
