"""Draws the image at the top of the README: infrared | visible | fused of a synthetic night street.

python scripts/draw_hero.py [--out docs/hero.jpg] [--seed 913]
"""

import dataclasses
from pathlib import Path

import tyro
from PIL import Image

import fusejax
from fusejax.data.synthetic import synthetic_pair
from fusejax.io.images import to_float
from fusejax.report.panels import labeled_row


@dataclasses.dataclass(frozen=True)
class HeroOptions:
    """Which scene to draw, and where to write it.

    Attributes:
        out: file to write; its suffix determines the format.
        seed: seed of the synthetic pair; odd seeds are night scenes. In the default scene, people
            are outside the light of the lamps, and a sign, lit windows and road markings are inside
            it.
        size: height and width of each image in pixels.
        quality: JPEG quality, 1 to 95. At 88 the file has about 100 KB.
    """

    out: Path = Path("docs/hero.jpg")
    seed: int = 913
    size: tuple[int, int] = (360, 480)
    quality: int = 88


def main(options: HeroOptions) -> None:
    """Fuses the pair with the released weights and writes the three images in one row."""
    pair = synthetic_pair(options.seed, size=options.size)
    fused = fusejax.fuse(pair["ir"], pair["vi"])  # pyright: ignore[reportArgumentType] - arrays
    images = {"infrared": pair["ir"], "visible": pair["vi"], "fused": fused}
    row = labeled_row({name: to_float(image) for name, image in images.items()})
    options.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(row).save(options.out, quality=options.quality, optimize=True)
    print(f"written to {options.out}: {options.out.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main(tyro.cli(HeroOptions))
