"""Files as thermal cameras write them: counts, temperatures, visible images, alignment."""

from fusejax.io.cameras.camera_file import Alignment, Camera, CameraError, CameraFile
from fusejax.io.cameras.reading import is_camera_file, read_camera_file
from fusejax.io.cameras.units import Degrees, Unit, convert

__all__ = [
    "Alignment",
    "Camera",
    "CameraError",
    "CameraFile",
    "Degrees",
    "Unit",
    "convert",
    "is_camera_file",
    "read_camera_file",
]
