"""Pages of an ablation with the results of its variants for every pair of a set."""

from pathlib import Path

from fusejax.data.folders import find_modalities
from fusejax.evaluation.ablation import Ablation, run_folder
from fusejax.evaluation.folder import evaluate_folders
from fusejax.evaluation.run import CONVENTION
from fusejax.inference.folder import fuse_folder
from fusejax.io.pairing import PairError
from fusejax.report.page import write_page

_NOTE = "Images and scores are those of the first seed; table.md lists the means over the seeds."


def write_ablation_pages(ablation: Ablation, *, data_root: Path, out: Path) -> list[Path]:
    """Writes OUT/pages/SET/index.html for every set on which an ablation is scored.

    Fuses the pairs with the runs of seed 0 and writes them to OUT/fused; existing images are kept.

    Args:
        ablation: ablation whose runs are below `out`.
        data_root: folder that holds the sets.
        out: folder of the ablation.

    Returns:
        The paths of the pages.

    Raises:
        PairError: if a set does not have folders of infrared and visible images.
    """
    pages = []
    for name in ablation.scored_on:
        folder = ablation.folder(name, data_root)
        if (sources := find_modalities(folder)) is None:
            raise PairError(f"{folder} has no folders of infrared and visible images, which a page needs.")
        flat = name.replace("/", "_")
        methods = []
        for variant in ablation.variants:
            run = run_folder(out, variant, 0)
            methods.append(out / "fused" / flat / variant.replace("/", "-"))
            fuse_folder(*sources, methods[-1], weights=run, skip_existing=True)
        result = evaluate_folders(methods, *sources, convention=CONVENTION)
        pages.append(write_page(out / "pages" / flat, result, title=f"{ablation.title}: {name}", note=_NOTE))
    return pages
