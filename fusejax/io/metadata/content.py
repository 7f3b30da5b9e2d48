"""The metadata of one picture, and how they change when another picture carries them."""

import dataclasses

from fusejax.io.metadata.exif import ExifError, for_upright_picture
from fusejax.io.metadata.xmp import add_properties

_RGB, _GRAY = b"RGB ", b"GRAY"
_PROFILE_SPACE = slice(16, 20)
_GRAY_CHANNELS = 1


@dataclasses.dataclass(frozen=True)
class ThermalFacts:
    """What is added about the thermal camera.

    Attributes:
        file: name of the infrared file.
        make: maker of the camera.
        model: model of the camera.
        serial: its serial number.
        unit: unit of the infrared values, such as "°C".
        low: infrared value that the network saw as black.
        high: infrared value that the network saw as white.
        emissivity: of the scene, as set in the camera.
    """

    file: str
    make: str = ""
    model: str = ""
    serial: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    emissivity: float | None = None

    def properties(self) -> dict[str, str]:
        """Names and values as they are stored."""
        numbers = {"RangeLow": self.low, "RangeHigh": self.high, "Emissivity": self.emissivity}
        texts = {"File": self.file, "Make": self.make, "Model": self.model, "SerialNumber": self.serial}
        texts |= {"Unit": self.unit} | {name: f"{x:.6g}" for name, x in numbers.items() if x is not None}
        return {f"Thermal{name}": text for name, text in texts.items() if text}


@dataclasses.dataclass(frozen=True)
class Metadata:
    """Metadata of one picture; empty parts are not there.

    Attributes:
        exif: EXIF block, from its byte order on; GPS is part of it.
        xmp: XMP packet.
        iptc: Photoshop resources, which hold IPTC.
        icc: ICC color profile.
        png: PNG chunks that define colors, name and content.
        geo: tags of a GeoTIFF file: number, type and values.
        left_out: what cannot be kept, and why.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    icc: bytes = b""
    png: tuple[tuple[bytes, bytes], ...] = ()
    geo: tuple[tuple[int, int, tuple], ...] = ()
    left_out: tuple[str, ...] = ()

    def for_picture(self, size: tuple[int, int], channels: int, thermal: ThermalFacts | None) -> "Metadata":
        """The metadata of a picture made from this one.

        Orientation becomes upright, because it was applied; sizes become those of the picture; the
        preview, which shows the old picture, goes; a profile for other channels goes.

        Args:
            size: height and width of the picture.
            channels: 1 or 3.
            thermal: facts to add to the XMP.
        """
        changes: dict = {"xmp": add_properties(self.xmp, thermal.properties()) if thermal else self.xmp}
        left_out = self.left_out
        if self.exif:
            try:
                changes["exif"] = for_upright_picture(self.exif, size)
            except ExifError as error:
                changes["exif"] = b""
                left_out += (f"EXIF ({error})",)
        space = _GRAY if channels == _GRAY_CHANNELS else _RGB
        if self.icc and self.icc[_PROFILE_SPACE] != space:
            changes["icc"] = b""
        return dataclasses.replace(self, **changes, left_out=left_out)
