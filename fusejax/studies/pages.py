"""Pages of an ablation: what the variants make of every pair of a set."""

from pathlib import Path

from fusejax.data.folders import find_modalities
from fusejax.data.pairing import PairError
from fusejax.inference.folder import fuse_folder
from fusejax.report.page import write_page
from fusejax.scoring.folder import evaluate_folders
from fusejax.studies.ablation import Ablation, run_folder
from fusejax.studies.run import CONVENTION

_NOTE = "Images and scores are those of the first seed; table.md holds the means over the seeds."


def write_ablation_pages(ablation: Ablation, *, data_root: Path, out: Path) -> list[Path]:
    """Writes OUT/pages/SET/index.html for every set that an ablation is scored on.

    Fuses the pairs with the runs of seed 0 to OUT/fused; images that are there are kept.

    Args:
        ablation: whose runs lie below `out`.
        data_root: folder that holds the sets.
        out: folder of the ablation.

    Returns:
        The pages.

    Raises:
        PairError: if a set has no folders of infrared and visible images.
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
