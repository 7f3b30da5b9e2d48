"""Exporting networks to files that run without this library."""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.export.exporting import export_weights

__all__ = ["export_weights"]
