"""Studies: alignment of data sets, comparisons, and ablations, whose variants get equal budgets.

`alignment` selects patches of other sets. `ablation` describes an ablation as data, `variants`
helps to define the variants, `preparation` lists what must exist first, `run` trains and scores,
and `tables` and `grids` present the results.
"""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.studies.alignment import AlignedFolders, align_folders

__all__ = [
    "AlignedFolders",
    "align_folders",
]
