"""Files of images, videos and annotations: reading, pairing and writing."""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.io.annotations import AnnotationError, Boxes, read_boxes
    from fusejax.io.frame_arrays import ArrayFrames
    from fusejax.io.images import ImageError, from_float, image_size, read_image, to_float, write_image
    from fusejax.io.pair_finding import find_pairs
    from fusejax.io.pairing import PairError, PairPaths

__all__ = [
    "AnnotationError",
    "ArrayFrames",
    "Boxes",
    "ImageError",
    "PairError",
    "PairPaths",
    "find_pairs",
    "from_float",
    "image_size",
    "read_boxes",
    "read_image",
    "to_float",
    "write_image",
]
