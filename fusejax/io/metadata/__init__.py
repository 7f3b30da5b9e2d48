"""What a picture says beside its pixels: EXIF, XMP, IPTC, GPS, color profile, GeoTIFF tags."""

from fusejax.io.metadata.content import Metadata, ThermalFacts
from fusejax.io.metadata.embedding import embed
from fusejax.io.metadata.reading import read_metadata

__all__ = ["Metadata", "ThermalFacts", "embed", "read_metadata"]
