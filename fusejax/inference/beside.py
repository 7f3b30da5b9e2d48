"""Files that are written beside a fused image."""

from pathlib import Path
from typing import Literal

Beside = Literal["ir", "panels", "maps", "temperature"]


def files_beside(name: Path, folder: Path, kind: Beside) -> list[Path]:
    """The files that are written beside a fused image.

    Args:
        name: name of the image relative to the folder, without its suffix.
        folder: folder for the fused images.
        kind: "ir" for infrared as the network sees it, "panels", "temperature", or "maps": an
            overview, then one file per map.
    """
    if kind != "maps":
        return [folder / kind / f"{name}.{'tif' if kind == 'temperature' else 'png'}"]
    from fusejax.io.maps import map_files  # Matplotlib is slow to import

    return map_files(folder / kind / name.parent, name.name)
