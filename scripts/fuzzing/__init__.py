"""Kinds of cases for `scripts/fuzz.py`."""

from fuzzing.commands import CommandCases
from fuzzing.images import ImageCases
from fuzzing.texts import TextCases
from fuzzing.videos import VideoCases
from fuzzing.weights import WeightCases

KINDS = {
    "images": ImageCases,
    "videos": VideoCases,
    "weights": WeightCases,
    "texts": TextCases,
    "commands": CommandCases,
}
