"""Which form of an operation a program gets: the only place that asks which platform runs it.

Some operations have one form that is fast on CPU and another for accelerators. A program that is
compiled for devices other than those of this process, such as an export or a plan, says so with
`compile_for`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
from jax import lax

# All forms go into the program, which then chooses by the platform that it is lowered for.
EVERY_PLATFORM = "every"

# Part of the key of every jit cache, so that a trace for one platform is never reused for another.
_target = jax.make_user_context(None)


def compile_for(platform: str) -> AbstractContextManager:
    """Functions traced inside the block take the forms of `platform`.

    Args:
        platform: a platform of JAX (`cpu`, `cuda`, `tpu`, ...) that this process need not have, or
            `EVERY_PLATFORM` for a program that `jax.export` lowers for several.

    Returns:
        The context manager; it holds for the current thread.
    """
    return _target(platform)


def by_platform(*args: Any, cpu: Callable[..., Any], accelerator: Callable[..., Any]) -> Any:
    """Calls the form of an operation that suits the platform.

    Args:
        *args: what both forms take.
        cpu: the form that is fast on CPU.
        accelerator: the form for GPUs and TPUs; same result up to rounding, same shapes.

    Returns:
        What the chosen form returns.
    """
    platform = _target.value or jax.default_backend()
    if platform == EVERY_PLATFORM:
        return lax.platform_dependent(*args, cpu=cpu, default=accelerator)
    return cpu(*args) if platform == "cpu" else accelerator(*args)


def quick_compilation(platform: str) -> dict[str, Any] | None:
    """Compiler options for a program that runs once, or never.

    XLA's CPU compiler takes 16 instead of 42 s of CPU time for AngularFuse's first parameters,
    which come out bit-equal, and a quarter of the time for a step that is only looked at.

    Args:
        platform: that the program is compiled for.

    Returns:
        What `compile` takes as `compiler_options`; None on other platforms, which do not know them.
    """
    if platform != "cpu":
        return None
    return {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
