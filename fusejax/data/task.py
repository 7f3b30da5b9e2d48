"""What the two sources of a pair are: infrared and visible, or others. Does not import JAX."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from fusejax.options import check_choices

TaskName = Literal["infrared-visible", "mri-color", "multi-focus", "multi-exposure"]
"""Names of `TASKS`."""


@dataclasses.dataclass(frozen=True)
class Task:
    """The two sources of a pair, by the folders that hold them.

    Networks and losses are the same for all tasks: they see two lumas in [0, 1], which the library
    calls `ir` (first) and `vi` (second).

    Attributes:
        first: names of the folder of the first sources, in lower case; of images in color, the luma
            is used.
        second: names of the folder of the second ones.
        color: whose color the fused image gets: that of the `second` source, or of `both`, weighted
            by their saturation.
        value_range: values that map to black and white in the first sources: the `full` range of
            their data type, or `auto` for raw counts, as for thermal cameras.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    color: Literal["second", "both"] = "second"
    value_range: Literal["auto", "full"] = "full"

    def __post_init__(self) -> None:
        check_choices(self)


# Folder names of the field's public data sets.
TASKS: Mapping[TaskName, Task] = {
    "infrared-visible": Task(
        ("ir", "infrared", "inf", "thermal", "lwir", "cropinfrared"),
        ("vi", "vis", "visible", "rgb", "crop_lr_visible"),
        value_range="auto",
    ),
    "mri-color": Task(("mri",), ("pet", "spect")),
    "multi-focus": Task(("far", "a", "sourcea"), ("near", "b", "sourceb"), color="both"),
    "multi-exposure": Task(("over", "oe"), ("under", "ue"), color="both"),
}
