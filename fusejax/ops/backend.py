"""Which form of an operation a program gets: the only place that asks which platform runs it.

Some operations have one form that is fast on CPU and another for accelerators. A program that is
compiled for devices other than those of this process, such as an export or a plan, says so with
`compile_for`.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import jax
from jax import lax
from jaxtyping import Array

# All forms go into the program, which then chooses by the platform that it is lowered for.
EVERY_PLATFORM = "every"

_target: ContextVar[str | None] = ContextVar("target platform", default=None)


@contextlib.contextmanager
def compile_for(platform: str) -> Iterator[None]:
    """Traces inside the block take the forms of `platform`, whatever devices this process has.

    It acts while a function is traced, so trace inside the block: JAX returns a jitted function
    that was traced before from its cache.

    Args:
        platform: a platform of JAX (`cpu`, `cuda`, `tpu`, ...), or `EVERY_PLATFORM` for a program
            that `jax.export` lowers for several.
    """
    token = _target.set(platform)
    try:
        yield
    finally:
        _target.reset(token)


def by_platform(*args: Array, cpu: Callable[..., Any], accelerator: Callable[..., Any]) -> Any:
    """`cpu(*args)` or `accelerator(*args)`, two forms of one operation with equal output shapes."""
    platform = _target.get() or jax.default_backend()
    if platform == EVERY_PLATFORM:
        return lax.platform_dependent(*args, cpu=cpu, default=accelerator)
    return cpu(*args) if platform == "cpu" else accelerator(*args)
