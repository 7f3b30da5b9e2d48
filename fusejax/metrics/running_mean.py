"""Mean of per-image values over batches, shards and processes."""

import dataclasses
from collections.abc import Iterable, Mapping

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

Values = Mapping[str, Float[Array | np.ndarray, " b"]]
Valid = Bool[Array | np.ndarray, " b"] | None
Scalars = dict[str, Float[Array, ""]]
Counts = dict[str, Int[Array, ""]]


@flax.struct.dataclass
class RunningMean:
    """Mergeable mean per metric that excludes, and counts, values that are not finite.

    It is a pytree of additive scalars: to combine devices or processes, sum every leaf (`psum`), or
    gather and `merge`. Sums keep track of their rounding errors, so that every split into batches
    gives the same mean to about the last digit of float32.

    Attributes:
        total: sum of the finite values, by metric.
        residual: accumulated rounding error of the sum.
        count: number of finite values.
        left_out: number of values that are not finite.
    """

    total: Scalars
    residual: Scalars
    count: Counts
    left_out: Counts

    @classmethod
    def empty(cls, names: Iterable[str]) -> "RunningMean":
        """A mean over no values.

        Args:
            names: names of the metrics.

        Returns:
            The empty mean.
        """
        names = tuple(names)
        zeros = {name: jnp.zeros((), jnp.float32) for name in names}
        none = {name: jnp.zeros((), jnp.int32) for name in names}
        return cls(total=zeros, residual=dict(zeros), count=none, left_out=dict(none))

    def update(self, values: Values, valid: Valid = None) -> "RunningMean":
        """Adds a batch.

        Args:
            values: values by metric; metrics that this mean does not have are ignored.
            valid: False for padding in the last batch, which is neither summed nor counted.

        Returns:
            The mean that includes the batch.
        """
        return self.merge(_summed({name: values[name] for name in self.total}, valid))

    def merge(self, other: "RunningMean") -> "RunningMean":
        """Joins two means; the order does not matter.

        Args:
            other: mean of the same metrics.

        Returns:
            The mean over both.
        """
        total, residual = {}, {}
        for name in self.total:
            total[name], error = _two_sum(self.total[name], other.total[name])
            residual[name] = self.residual[name] + other.residual[name] + error
        count, left_out = (
            jax.tree.map(jnp.add, mine, its)
            for mine, its in ((self.count, other.count), (self.left_out, other.left_out))
        )
        return dataclasses.replace(self, total=total, residual=residual, count=count, left_out=left_out)

    def result(self) -> Scalars:
        """Mean per metric; NaN if no value was finite."""
        return {
            name: jnp.where(self.count[name] > 0, (total + self.residual[name]) / self.count[name], jnp.nan)
            for name, total in self.total.items()
        }


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded sum of two numbers and its rounding error (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _summed(values: Values, valid: Valid) -> RunningMean:
    totals = {}, {}, {}, {}
    for name, value in values.items():
        seen = jnp.ones(value.shape, bool) if valid is None else valid
        finite = seen & jnp.isfinite(value)

        def add(carry: tuple[Array, Array], x: Array) -> tuple[tuple[Array, Array], None]:
            total, error = _two_sum(carry[0], x)
            return (total, carry[1] + error), None

        zero = jnp.zeros((), jnp.float32)
        sums, _ = lax.scan(add, (zero, zero), jnp.where(finite, value, 0.0).astype(jnp.float32))
        for target, part in zip(totals, (*sums, finite.sum(), (seen & ~finite).sum()), strict=True):
            target[name] = part
    return RunningMean(*totals)
