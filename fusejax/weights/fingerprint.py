"""Fingerprints of a checkpoint's content: of arrays on their devices, of JSON by SHA-256."""

import functools
import hashlib
import json
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec


def named_leaves(tree: Any) -> dict[str, Any]:
    """Arrays, or shapes, of a tree by path, such as "params/stem/kernel"."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def fingerprints(tree: Any) -> dict[str, int]:
    """A number below 2^32 for every array, which changes if any single bit of the array changes.

    The number is the sum, modulo 2^32, of the bits of each entry times an odd number that depends
    on its position. Because these are integers, the result is exact and the same for every
    sharding, topology and order of summation. It is computed where the arrays are, even if they are
    spread over processes (all of them must call this function). Only the numbers are fetched, which
    waits for the tree.
    """
    leaves = named_leaves(tree)
    shardings = (
        leaf.sharding for leaf in leaves.values() if isinstance(getattr(leaf, "sharding", None), NamedSharding)
    )
    mesh = next((sharding.mesh for sharding in shardings), None)
    sums = _jitted_sums(None if mesh is None else NamedSharding(mesh, PartitionSpec()))(list(leaves.values()))
    return dict(zip(leaves, jax.device_get(sums).tolist(), strict=True))


def sha256(value: Any) -> str:
    """SHA-256 of plain JSON types, whatever the order of their keys."""
    plain = json.loads(json.dumps(value))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


@functools.cache
def _jitted_sums(sharding: NamedSharding | None):
    """One program for all arrays.

    With many small programs that each sum over devices, CPU processes would start several at a time
    in different orders and deadlock.
    """
    return jax.jit(lambda leaves: jnp.stack([_weighted_sum(leaf) for leaf in leaves]), out_shardings=sharding)


def _weighted_sum(x: jax.Array) -> jax.Array:
    bits = _bits(x)
    strides = [math.prod(bits.shape[axis + 1 :]) for axis in range(bits.ndim)]
    # One index per axis instead of one for the flattened array, because a reshape would gather a
    # sharded array.
    index = jnp.zeros(bits.shape, jnp.uint32)
    for axis, stride in enumerate(strides):
        index += lax.broadcasted_iota(jnp.uint32, bits.shape, axis) * np.uint32(stride % 2**32)
    # MurmurHash3's finalizer, so that equal changes at two positions do not cancel; odd, so that no
    # bit is lost.
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        index = (index ^ (index >> shift)) * np.uint32(factor)
    return jnp.sum(bits * (index | 1), dtype=jnp.uint32)


def _bits(x: jax.Array) -> jax.Array:
    """The entries as uint32, without rounding; 8-byte types get another axis."""
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        x = jax.random.key_data(x)
    if x.dtype == jnp.bool_:
        return x.astype(jnp.uint32)
    kind = {1: jnp.uint8, 2: jnp.uint16}.get(x.dtype.itemsize, jnp.uint32)
    return lax.bitcast_convert_type(x, kind).astype(jnp.uint32)
