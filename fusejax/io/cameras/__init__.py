"""Files as thermal cameras write them: counts, temperatures, visible images, alignment."""

from fusejax.io.cameras.camera_file import Alignment, Camera, CameraError, CameraFile, CameraLayout
from fusejax.io.cameras.frame import Field, common_field
from fusejax.io.cameras.reading import read_camera_file, read_camera_layout
from fusejax.io.cameras.units import Degrees, Unit, convert

__all__ = [
    "Alignment",
    "Camera",
    "CameraError",
    "CameraFile",
    "CameraLayout",
    "Degrees",
    "Field",
    "Unit",
    "common_field",
    "convert",
    "read_camera_file",
    "read_camera_layout",
]
