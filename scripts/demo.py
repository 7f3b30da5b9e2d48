"""Fuses synthetic pairs with the released weights, scores them, draws panels; needs no data."""

import dataclasses
from pathlib import Path

import tyro

from fusejax.cli.evaluate import EvaluateOptions, evaluate_command
from fusejax.cli.fuse import FuseOptions, fuse_command
from fusejax.data.synthetic import write_synthetic_folder


@dataclasses.dataclass(frozen=True)
class DemoOptions:
    """Where the demo writes its files, and what it draws."""

    out: Path = Path("outputs/demo")
    pairs: int = 4
    seed: int = 0
    weights: str = "light"


def main(options: DemoOptions) -> None:
    source, fused = options.out / "pairs", options.out / "fused"
    write_synthetic_folder(source, count=options.pairs, size=(240, 320), seed=options.seed)
    fuse_command(
        FuseOptions(ir=source / "ir", vi=source / "vi", out=fused, weights=options.weights, panel=True, overwrite=True)
    )
    given = ((str(fused),),)
    evaluate_command(EvaluateOptions(fused=given, ir=source / "ir", vi=source / "vi", out=options.out / "scores"))
    print(f"The panels (infrared | visible | fused | fused in color) are in {fused}")


if __name__ == "__main__":
    main(tyro.cli(DemoOptions))
