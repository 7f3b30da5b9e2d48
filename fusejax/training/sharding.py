"""Meshes and shardings. One device is the trivial case of the same code."""

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec


def make_mesh() -> Mesh:
    """All devices along one axis `data`. Auto axes: explicit ones refuse gathers and reshapes of a sharded batch."""
    return jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The first axis is split over the devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


def check_batch_size(batch_size: int, parts: int) -> None:
    """Raises ValueError where `parts` (devices times micro-batches) do not divide the batch."""
    if batch_size % parts:
        below, above = batch_size // parts * parts, -(-batch_size // parts) * parts
        sizes = f"{below} or {above}" if below else f"{above}"
        raise ValueError(
            f"batch_size {batch_size} does not split over {parts} parts (devices x micro-batches); use {sizes}."
        )


def place_batch(batch: dict[str, np.ndarray], sharding: NamedSharding) -> dict[str, jax.Array]:
    """Global arrays from the rows that this process has read."""
    return {k: jax.make_array_from_process_local_data(sharding, v) for k, v in batch.items()}
