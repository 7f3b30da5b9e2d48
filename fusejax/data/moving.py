"""A made-up street in which people and cars move, filmed by cameras that stand still."""

from collections.abc import Iterator

from fusejax.data.synthetic import synthetic_pair
from fusejax.typing import Pair


def moving_scene(seed: int, *, frames: int, size: tuple[int, int] = (256, 256), speed: float = 2.0) -> Iterator[Pair]:
    """The frames of one scene: houses, street and lamps stay, people and cars move to the right.

    Every frame has noise of its own, as from a sensor.

    Args:
        seed: of the scene, see `synthetic_pair`.
        frames: their number.
        size: height and width in pixels.
        speed: of the nearest targets in pixels per frame; farther ones are slower.

    Yields:
        Pairs as `synthetic_pair` gives them.
    """
    for number in range(frames):
        yield synthetic_pair(seed, size=size, shift=speed * number, noise=number)
