"""python -m fusejax.data.tfds NAME: prepares a public data set."""

import sys

import tyro

from fusejax.data.tfds import prepare


def main(name: tyro.conf.Positional[str], data_dir: str | None = None, manual_dir: str | None = None) -> None:
    """Prepares a public data set as ArrayRecord files.

    RoadScene and MSRS are downloaded in the current state of their repositories, which publish no
    checksums, so nothing verifies them.

    Args:
      name: roadscene, msrs, llvip, m3fd/detection or m3fd/fusion.
      data_dir: folder for prepared sets; by default TFDS's own folder.
      manual_dir: folder with archives that must be downloaded manually (llvip, m3fd).
    """
    try:
        print(f"ready: {prepare(name, data_dir=data_dir, manual_dir=manual_dir)}")
    except (ValueError, OSError) as error:
        sys.exit(f"fusejax.data.tfds: {' '.join(str(error).split())}")


if __name__ == "__main__":
    tyro.cli(main)
