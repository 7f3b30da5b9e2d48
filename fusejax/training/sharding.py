"""Meshes and shardings. A single device is a special case of the same code.

The axes are `data`, whose devices hold copies of the state, and `fsdp`, whose devices share one
copy. A batch is split over both. The parameters are gathered over `fsdp` before they are used in a
step, and their gradients are scattered again.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

from fusejax.config import MeshConfig


def make_mesh(config: MeshConfig, *, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Arranges devices as configured.

    The axes have type Auto, because explicit axes do not allow reshapes of a sharded batch.

    Args:
        config: sizes of the axes; -1 uses the remaining devices.
        devices: all devices by default.

    Returns:
        A mesh with the axes "data" and "fsdp".

    Raises:
        ValueError: if the product of the sizes is not the number of devices.
    """
    count = jax.device_count() if devices is None else len(devices)
    known = max(config.data, 1) * max(config.fsdp, 1)
    if count % known or (known != count and -1 not in (config.data, config.fsdp)):
        raise ValueError(
            f"mesh.data {config.data} x mesh.fsdp {config.fsdp} does not equal the {count} devices of this run; "
            f"possible sizes: {', '.join(f'{count // n} x {n}' for n in _divisors(count))} (one may be -1)."
        )
    shape = tuple(count // known if size == -1 else size for size in (config.data, config.fsdp))
    return jax.make_mesh(shape, ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2, devices=devices)


def _divisors(count: int) -> list[int]:
    return [n for n in range(1, count + 1) if count % n == 0]


def replicated(mesh: Mesh | AbstractMesh) -> NamedSharding:
    """The sharding in which every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh, *, stacked: bool = False) -> NamedSharding:
    """The first axis is split over all devices; for stacked batches, the second axis."""
    return NamedSharding(mesh, PartitionSpec(*[None] * stacked, ("data", "fsdp")))


def state_sharding(shape: tuple[int, ...], mesh: Mesh | AbstractMesh, min_sharded: int) -> NamedSharding:
    """The sharding of an array of the state.

    The largest axis that `fsdp` divides is split (the last of equally large ones); small arrays are
    replicated.
    """
    parts = mesh.shape["fsdp"]
    divisible = [axis for axis, size in enumerate(shape) if size % parts == 0]
    if parts == 1 or not divisible or math.prod(shape) < min_sharded:
        return replicated(mesh)
    axis = max(divisible, key=lambda axis: (shape[axis], axis))
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, "fsdp"))


def shard_over_batch(apply: Callable, mesh: Mesh, min_sharded: int) -> Callable:
    """Makes (params, *images) -> apply(params, *images) run on each device's part of the batch.

    Apart from the parameters, everything that `apply` takes and returns has the batch as its first
    axis. Parameters are gathered over `fsdp` once, before they are used. Their gradient is
    accumulated on each device, however often they are used, before it is summed over the devices
    and scattered. XLA's own partitioning would sum the gradient of each use separately.
    """

    def run(params, *images):
        specs = jax.tree.map(lambda x: state_sharding(x.shape, mesh, min_sharded).spec, params)

        def on_one_device(params, *images):
            return apply(jax.tree.map(_gather, params, specs), *images)

        batch = batch_sharding(mesh).spec
        on_all = jax.shard_map(
            on_one_device, mesh=mesh, in_specs=(specs, *[batch] * len(images)), out_specs=batch, check_vma=False
        )
        return on_all(params, *images)

    return run


def _gather(x: jax.Array, spec: PartitionSpec) -> jax.Array:
    if "fsdp" not in spec:
        return x
    return jax.lax.all_gather(x, "fsdp", axis=spec.index("fsdp"), tiled=True)


def check_batch_size(batch_size: int, parts: int) -> None:
    """Checks that a batch can be split into equal parts.

    Args:
        batch_size: number of images per step.
        parts: number of devices times micro-batches.

    Raises:
        ValueError: if `parts` does not divide the batch size; names sizes that work.
    """
    if batch_size % parts:
        below, above = batch_size // parts * parts, -(-batch_size // parts) * parts
        sizes = f"{below} or {above}" if below else f"{above}"
        raise ValueError(
            f"batch_size {batch_size} does not split over {parts} parts (devices x micro-batches); use {sizes}."
        )


def place_state(tree: Any, shardings: Any) -> Any:
    """Builds global arrays from a tree that is the same in every process.

    Args:
        tree: arrays on this process's devices, or NumPy arrays.
        shardings: the sharding of each.
    """
    return jax.tree.map(
        lambda x, sharding: jax.make_array_from_callback(x.shape, sharding, np.asarray(x).__getitem__), tree, shardings
    )


def place_batch(batch: dict[str, np.ndarray], sharding: NamedSharding) -> dict[str, jax.Array]:
    """Builds global arrays from the rows that this process has read."""
    return {k: jax.make_array_from_process_local_data(sharding, v) for k, v in batch.items()}
