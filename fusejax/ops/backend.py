"""Selects the implementation of an operation: the only place that depends on the platform.

Some operations have one implementation that is fast on CPU and another for accelerators. A program
that is compiled for devices other than those of this process, such as an export or a plan, must use
`compile_for`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
from jax import lax

# All implementations go into the program, which selects one by the platform for which it is
# lowered.
EVERY_PLATFORM = "every"

# Part of the key of every jit cache, so that a trace for one platform is never reused for another.
_target = jax.make_user_context(None)


def compile_for(platform: str) -> AbstractContextManager:
    """Functions traced inside the block use the implementations for `platform`.

    Args:
        platform: a platform of JAX (`cpu`, `cuda`, `tpu`, ...) that this process need not have, or
            `EVERY_PLATFORM` for a program that `jax.export` lowers for several.

    Returns:
        The context manager, which applies to the current thread.
    """
    return _target(platform)


def by_platform(*args: Any, cpu: Callable[..., Any], accelerator: Callable[..., Any]) -> Any:
    """Calls the implementation of an operation for the platform.

    Args:
        *args: arguments of both implementations.
        cpu: implementation that is fast on CPU.
        accelerator: implementation for GPUs and TPUs, with the same shapes, and the same result up
            to rounding.

    Returns:
        The result of the selected implementation.
    """
    platform = _target.value or jax.default_backend()
    if platform == EVERY_PLATFORM:
        return lax.platform_dependent(*args, cpu=cpu, default=accelerator)
    return cpu(*args) if platform == "cpu" else accelerator(*args)


def runs_on_this_cpu() -> bool:
    """Whether the program that is traced is for this process's CPU: not exported, not for others.

    Only such a program may call a library that this process has loaded.
    """
    return _target.value is None and jax.default_backend() == "cpu"


def quick_compilation(platform: str) -> dict[str, Any] | None:
    """Compiler options for a program that runs once, or never.

    XLA's CPU compiler then takes 0.3 s instead of 0.5 s of CPU time for AngularFuse's optimizer
    state, and a quarter of the time for a step that is only analyzed.

    Args:
        platform: platform for which the program is compiled.

    Returns:
        The `compiler_options` for `compile`; None on other platforms, which do not support them.
    """
    if platform != "cpu":
        return None
    return {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def step_compilation(platform: str) -> dict[str, Any] | None:
    """Compiler options for a training step, whose compilation a user waits for.

    LLVM's optimization level 3, XLA's default on CPU, takes 2 s of 13 for AngularFuse's step. The
    step is then no faster than at level 2: ratios of 0.93 to 1.00 for the four networks, level 2
    over level 3.

    Args:
        platform: platform for which the step is compiled.

    Returns:
        The `compiler_options` for `jax.jit`; None on other platforms, which do not support them,
        and if JAX_DISABLE_MOST_OPTIMIZATIONS asks for less.
    """
    if platform != "cpu" or jax.config.read("jax_disable_most_optimizations"):
        return None
    return {"xla_backend_optimization_level": 2}
