"""Draws the images of the documentation from made-up streets: docs/hero.jpg and docs/page.jpg.

python scripts/draw_docs.py [hero] [page] [--out docs]; the page needs Chromium and playwright.
"""

import dataclasses
import io
import shutil
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from benchmarks.street import HEIGHT, WIDTH, draw_street
from PIL import Image, ImageDraw, ImageFont

import fusejax
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.evaluation.folder import evaluate_folders
from fusejax.inference.fuser import Fuser
from fusejax.io.images import read_image, write_image
from fusejax.report.page import write_page

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_WIDTH, _HEIGHT = 1000, 640  # of the browser window
_METRICS = ("EN", "SD", "SF", "MI", "Qabf", "SSIM")


@dataclasses.dataclass(frozen=True)
class DocsOptions:
    """What to draw, and where.

    Attributes:
        images: hero (a night street: infrared, visible, fused) and page (the results page).
        out: folder to write to.
    """

    images: tyro.conf.Positional[tuple[Literal["hero", "page"], ...]] = ("hero", "page")
    out: Path = Path("docs")


def main(options: DocsOptions) -> None:
    """Draws the images."""
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.images:
        image, quality = {"hero": _hero, "page": _page}[name]()
        path = options.out / f"{name}.jpg"
        image.save(path, quality=quality, optimize=True)
        print(f"written to {path}: {path.stat().st_size / 1024:.0f} KB")


def _hero() -> tuple[Image.Image, int]:
    """The sources of a street at night above, and below what `fusejax.fuse` makes of them."""
    ir, vi = draw_street()
    fused = fusejax.fuse(ir, vi)  # pyright: ignore[reportArgumentType] - arrays
    width, gap = 1200, 6
    small = (width - gap) // 2, (width - gap) // 2 * HEIGHT // WIDTH
    canvas = Image.new("RGB", (width, small[1] + gap + width * HEIGHT // WIDTH), "white")
    for name, image, left, top, size in (
        ("infrared", ir.repeat(3, -1), 0, 0, small),
        ("visible", vi, small[0] + gap, 0, small),
        ("fused", fused, 0, small[1] + gap, (width, width * HEIGHT // WIDTH)),
    ):
        shown = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)
        draw = ImageDraw.Draw(shown)
        font = ImageFont.load_default(size=24)
        draw.text((14, 10), name, fill="white", stroke_width=2, stroke_fill="black", font=font)
        canvas.paste(shown, (left, top))
    return canvas, 86


def _page() -> tuple[Image.Image, int]:
    """The page of three methods: its table and its viewer side by side."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        write_synthetic_folder(root / "pairs", count=8, size=(240, 320), seed=5)
        fuser = Fuser.load("light")
        for path in sorted((root / "pairs" / "vi").iterdir()):
            ir, vi = read_image(root / "pairs" / "ir" / path.name), read_image(path)
            write_image(root / "light" / path.name, fuser.fuse(ir, vi))
            write_image(root / "average" / path.name, ((ir.astype(np.float32) + vi) / 2).round().astype(np.uint8))
            write_image(root / "maximum" / path.name, np.maximum(ir, vi))
        methods = [root / name for name in ("light", "maximum", "average")]
        result = evaluate_folders(methods, root / "pairs" / "ir", root / "pairs" / "vi", metrics=_METRICS)
        page = write_page(root / "page", result, title="Three methods on synthetic streets")
        shots = [Image.open(io.BytesIO(data)) for data in _screenshots(page)]
    canvas = Image.new("RGB", (sum(s.width for s in shots), max(s.height for s in shots)), "white")
    for n, shot in enumerate(shots):
        canvas.paste(shot, (sum(s.width for s in shots[:n]), 0))
    return canvas, 80


def _screenshots(page: Path) -> list[bytes]:
    """The top of the page in light mode, its viewer in dark mode."""
    from playwright.sync_api import sync_playwright

    executable = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if executable is None:
        raise SystemExit(f"No browser on the PATH (looked for {', '.join(_NAMES)}).")
    shots = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        parts: dict[Literal["light", "dark"], str] = {"light": "#table", "dark": "#images .tools"}
        for scheme, part in parts.items():
            view = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme=scheme)
            view.goto(page.as_uri())
            view.wait_for_selector("body[data-ready]")
            view.add_style_tag(content="html { scroll-behavior: auto !important } section { margin-top: 1.5rem }")
            top = f"document.querySelector('{part}').getBoundingClientRect().top"
            view.evaluate(f"scrollTo(0, {'0' if scheme == 'light' else top + ' - 60'})")
            view.wait_for_timeout(500)
            shots.append(view.screenshot())
        browser.close()
    return shots


if __name__ == "__main__":
    main(tyro.cli(DocsOptions))
