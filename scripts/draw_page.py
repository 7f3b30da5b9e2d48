"""Draws docs/page.jpg: the results page for synthetic streets, as shown by a browser.

python scripts/draw_page.py [--out docs/page.jpg]; needs Chromium and the package playwright.
"""

import dataclasses
import io
import shutil
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from PIL import Image

from fusejax.data.synthetic import write_synthetic_folder
from fusejax.evaluation.folder import evaluate_folders
from fusejax.inference.fuser import Fuser
from fusejax.io.images import read_image, write_image
from fusejax.report.page import write_page

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_WIDTH, _HEIGHT = 1000, 640  # of the browser window


@dataclasses.dataclass(frozen=True)
class PageOptions:
    """Which pairs to score, and where to write the image.

    Attributes:
        out: JPEG file to write.
        page: folder in which to keep the page; by default it is discarded.
        pairs: number of synthetic pairs.
        size: height and width of each pair in pixels.
        seed: seed of the pairs.
        metrics: columns of the table.
        quality: JPEG quality, 1 to 95.
    """

    out: Path = Path("docs/page.jpg")
    page: Path | None = None
    pairs: int = 8
    size: tuple[int, int] = (240, 320)
    seed: int = 5
    metrics: tuple[str, ...] = ("EN", "SD", "SF", "MI", "Qabf", "SSIM")
    quality: int = 80


def main(options: PageOptions) -> None:
    """Fuses and scores the pairs, writes the page, and draws its table and viewer side by side."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        write_synthetic_folder(root / "pairs", count=options.pairs, size=options.size, seed=options.seed)
        fuser = Fuser.load("light")
        for path in sorted((root / "pairs" / "vi").iterdir()):
            ir, vi = read_image(root / "pairs" / "ir" / path.name), read_image(path)
            write_image(root / "light" / path.name, fuser.fuse(ir, vi))
            write_image(root / "average" / path.name, ((ir.astype(np.float32) + vi) / 2).round().astype(np.uint8))
            write_image(root / "maximum" / path.name, np.maximum(ir, vi))
        methods = [root / name for name in ("light", "maximum", "average")]
        result = evaluate_folders(methods, root / "pairs" / "ir", root / "pairs" / "vi", metrics=options.metrics)
        page = write_page(options.page or root / "page", result, title="Three methods on synthetic streets")
        shots = [Image.open(io.BytesIO(data)) for data in _screenshots(page)]
    canvas = Image.new("RGB", (sum(s.width for s in shots), max(s.height for s in shots)), "white")
    for n, shot in enumerate(shots):
        canvas.paste(shot, (sum(s.width for s in shots[:n]), 0))
    canvas.save(options.out, quality=options.quality, optimize=True)
    print(f"written to {options.out}: {options.out.stat().st_size / 1024:.0f} KB")


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
    main(tyro.cli(PageOptions))
