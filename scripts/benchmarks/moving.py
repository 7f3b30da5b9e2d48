"""A synthetic street in which people and cars move, filmed by static cameras."""

from collections.abc import Iterator

from fusejax.data.synthetic import synthetic_pair
from fusejax.typing import Pair


def moving_scene(seed: int, *, frames: int, size: tuple[int, int] = (256, 256), speed: float = 2.0) -> Iterator[Pair]:
    """The frames of one scene: houses, street and lamps stay, people and cars move to the right.

    Every frame has its own noise, as from a sensor.

    Args:
        seed: seed of the scene, see `synthetic_pair`.
        frames: number of frames.
        size: height and width in pixels.
        speed: speed of the nearest targets in pixels per frame; farther ones are slower.

    Yields:
        Pairs as returned by `synthetic_pair`.
    """
    for number in range(frames):
        yield synthetic_pair(seed, size=size, shift=speed * number, noise=number)
