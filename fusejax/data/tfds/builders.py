"""TFDS builders of the field's public sets.

They contain only addresses and layouts; the images remain with their owners.
"""

import zipfile
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from fusejax.data.layouts import find_pair_folders
from fusejax.data.tfds.pairs import examples, pair_info


class RoadScene(tfds.core.GeneratorBasedBuilder):
    """221 aligned road pairs.

    There is one split, `train`; it can be sliced (`train[:80%]`), but note that neighboring pairs
    look similar.
    """

    VERSION = tfds.core.Version("1.0.0")
    NAME = "roadscene"
    URL = "https://github.com/hanna-xu/RoadScene/archive/refs/heads/master.zip"

    def _info(self) -> tfds.core.DatasetInfo:
        return pair_info(
            self,
            description="RoadScene: 221 aligned infrared-visible road scenes cut from FLIR video. The repository "
            "states no license; the frames derive from FLIR's sample set, whose terms apply.",
            homepage="https://github.com/hanna-xu/RoadScene",
            citation="@article{xu2022u2fusion, title={U2Fusion}, author={Xu, Han and others}, journal={TPAMI}, "
            "year={2022}}",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        (ir, vi), *_ = find_pair_folders(_only_folder(_unpack(dl_manager, dl_manager.download(self.URL)))).values()
        return {"train": self._generate_examples(ir, vi)}

    def _generate_examples(self, ir: Path, vi: Path | None):
        return examples(ir, vi)


class Msrs(tfds.core.GeneratorBasedBuilder):
    """MSRS: 1,083 training and 361 test pairs of 640x480, day (names end in D) and night (N)."""

    VERSION = tfds.core.Version("1.0.0")
    NAME = "msrs"
    URL = "https://github.com/Linfeng-Tang/MSRS/archive/refs/heads/main.zip"

    def _info(self) -> tfds.core.DatasetInfo:
        return pair_info(
            self,
            description="MSRS: multi-spectral road scenarios, derived from MFNet with enhanced infrared. The "
            "repository states no license and asks to cite PIAFusion.",
            homepage="https://github.com/Linfeng-Tang/MSRS",
            citation="@article{tang2022piafusion, title={PIAFusion}, author={Tang, Linfeng and others}, "
            "journal={Information Fusion}, year={2022}}",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        root = _only_folder(_unpack(dl_manager, dl_manager.download(self.URL)))
        return {s: self._generate_examples(root / s / "ir", root / s / "vi") for s in ("train", "test")}

    def _generate_examples(self, ir: Path, vi: Path):
        return examples(ir, vi)


class Llvip(tfds.core.GeneratorBasedBuilder):
    """LLVIP.

    15,488 pairs of dark streets, 1280x1024, with boxes of persons. For non-commercial use only.
    """

    VERSION = tfds.core.Version("1.0.0")
    NAME = "llvip"
    LABELS = ("person",)
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Agree to the terms at https://bupt-ai-cz.github.io/LLVIP/, download LLVIP.zip from "
        "https://drive.google.com/file/d/1VTlT3Y7e1h-Zsne4zahjx5q0TK2ClMVv/view and put it into the manual folder."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return pair_info(
            self,
            description="LLVIP: visible-infrared pairs for low-light vision. Free for non-commercial use with "
            "reference to the data set; no commercial use of it or of derivatives; do not identify people.",
            homepage="https://bupt-ai-cz.github.io/LLVIP/",
            citation="@inproceedings{jia2021llvip, title={LLVIP}, author={Jia, Xinyu and others}, "
            "booktitle={ICCV Workshops}, year={2021}}",
            labels=self.LABELS,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        root = _only_folder(_unpack(dl_manager, _manual_file(dl_manager, "LLVIP.zip", self)))
        boxes = root / "Annotations"
        return {
            s: self._generate_examples(root / "infrared" / s, root / "visible" / s, boxes) for s in ("train", "test")
        }

    def _generate_examples(self, ir: Path, vi: Path, annotations: Path):
        return examples(ir, vi, annotations=annotations, labels=self.LABELS)


class M3fdConfig(tfds.core.BuilderConfig):
    """Which archive of M3FD: `detection` has boxes, `fusion` has none."""

    @property
    def archive(self) -> str:
        return f"M3FD_{self.name.capitalize()}.zip"


class M3fd(tfds.core.GeneratorBasedBuilder):
    """M3FD.

    4,200 pairs with boxes (`m3fd/detection`, default) and 300 without (`m3fd/fusion`), 1024x768.
    """

    VERSION = tfds.core.Version("1.0.0")
    NAME = "m3fd"
    BUILDER_CONFIGS = [  # noqa: RUF012 - the name and type that TFDS asks for
        M3fdConfig(name="detection", description="4,200 pairs with boxes of six classes"),
        M3fdConfig(name="fusion", description="300 pairs without boxes"),
    ]
    LABELS = ("People", "Car", "Bus", "Motorcycle", "Lamp", "Truck")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Download M3FD_Detection.zip (or M3FD_Fusion.zip) from "
        "https://drive.google.com/drive/folders/1H-oO7bgRuVFYDcMGvxstT1nmy0WF_Y_6 and put it into the manual folder."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return pair_info(
            self,
            description="M3FD: multi-scenario multi-modality pairs. No license statement is known: research only.",
            homepage="https://github.com/JinyuanLiu-CV/TarDAL",
            citation="@inproceedings{liu2022tardal, title={Target-aware Dual Adversarial Learning}, "
            "author={Liu, Jinyuan and others}, booktitle={CVPR}, year={2022}}",
            labels=self.LABELS if self._has_boxes else (),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        config: Any = self.builder_config
        extracted = _unpack(dl_manager, _manual_file(dl_manager, config.archive, self))
        (ir, vi), *_ = find_pair_folders(extracted).values()
        return {"train": self._generate_examples(ir, vi)}

    def _generate_examples(self, ir: Path, vi: Path | None):
        boxes = ir.parent / "Annotation" if self._has_boxes else None
        return examples(ir, vi, annotations=boxes, labels=self.LABELS)

    @property
    def _has_boxes(self) -> bool:
        return self.builder_config is not None and self.builder_config.name == "detection"


BUILDERS = {builder.NAME: builder for builder in (RoadScene, Msrs, Llvip, M3fd)}


def _unpack(dl_manager: tfds.download.DownloadManager, archive) -> Path:
    """Unpacks a zip file next to the downloads, because the manager's own `extract` needs
    TensorFlow.
    """
    target = Path(dl_manager.download_dir) / "unpacked" / Path(archive).name
    try:
        with zipfile.ZipFile(archive) as file:
            file.extractall(target)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{archive} is not a complete zip file ({error}); download it again.") from error
    return target


def _only_folder(extracted: Path) -> Path:
    """The single folder at the top of an archive."""
    folders = [p for p in extracted.iterdir() if p.is_dir()]
    if len(folders) != 1:
        raise ValueError(f"{extracted} contains {sorted(p.name for p in folders)}; expected one top-level folder.")
    return folders[0]


def _manual_file(dl_manager: tfds.download.DownloadManager, name: str, builder: tfds.core.DatasetBuilder) -> Path:
    try:
        path = Path(dl_manager.manual_dir) / name
    except AssertionError as error:  # of TFDS: there is no such folder
        raise ValueError(f"{error} {builder.MANUAL_DOWNLOAD_INSTRUCTIONS} Give it as --manual-dir DIR.") from error
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {builder.MANUAL_DOWNLOAD_INSTRUCTIONS}")
    return path
