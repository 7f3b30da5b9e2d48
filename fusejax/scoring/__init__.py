"""Scoring folders of images with the metrics of `fusejax.metrics`."""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.report.scores import FolderScores
    from fusejax.scoring.folder import evaluate_folders
    from fusejax.scoring.video import evaluate_videos

__all__ = [
    "FolderScores",
    "evaluate_folders",
    "evaluate_videos",
]
