"""FusionNet's parts: attention, alpha, blending, target term, channel gate, and worse boxes.

fusejax ablate fusionnet_parts --data-root DIR --out OUT [--full-size]

Trains on synthetic streets with exact boxes; variants that each change one thing. "Cars only" gives
the term no box of a person, which is what wrong labels do: the term reads the labels only to choose
the boxes. Scored with all true boxes on other streets, and on real pairs. Tables:
configs/ablations/README.md ("FusionNet's parts").
"""

import dataclasses
from pathlib import Path

from fusejax.config import load_config
from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.preparation import BoxedPairs
from fusejax.evaluation.variants import with_data, without_term

HELD_OUT = "synthetic"
SETS = {HELD_OUT: "synthetic streets with all their boxes", "msrs/test_dev": "day and night streets without boxes"}
NETWORKS = {
    "no attention": {"attention": False},
    "alpha of 1/2": {"fixed_alpha": 0.5},
    "neither": {"attention": False, "fixed_alpha": 0.5},
    "image-space blending": {"image_space_alpha": True},
    "channel gate": {"channel_gate": True},
}
BOXES = {
    "no boxes": {"box_keep": 0.0},
    "1 % of the boxes": {"box_keep": 0.01},
    "10 % of the boxes": {"box_keep": 0.1},
    "20 % false boxes": {"box_false": 0.2},
    "cars only": {"box_classes": ("car",)},
}


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:  # noqa: ARG001
    pairs, scored, size, workers = (2000, 24, (256, 320), 8) if full_size else (200, 12, (128, 160), 0)
    held_out = BoxedPairs((out / f"{HELD_OUT}_{size[0]}x{size[1]}").absolute(), scored, size)
    base = load_config("fusionnet" if full_size else "fusionnet_small")
    base = with_data(base, synthetic=pairs, box_share=0.0, workers=workers)
    variants = {"recipe": base, "no target term": without_term(base, "target_aware")}
    variants |= {
        name: dataclasses.replace(base, model=dataclasses.replace(base.model, **options))
        for name, options in NETWORKS.items()
    }
    variants |= {name: with_data(base, **options) for name, options in BOXES.items()}
    return Ablation(
        "FusionNet's parts", variants, SETS, boxed={HELD_OUT: held_out.folder}, preparations=(held_out,)
    )
