"""Runs of several processes: how they find each other, what is refused, how they agree."""

import dataclasses
import os
from collections.abc import Mapping

import jax
import numpy as np
from jax.experimental import multihost_utils

# Set by launchers for every process that they start, and only then.
_COUNTS = {"SLURM_STEP_NUM_TASKS": "Slurm", "OMPI_COMM_WORLD_SIZE": "Open MPI", "PMI_SIZE": "MPI"}


@dataclasses.dataclass(frozen=True)
class Processes:
    """Training with several processes, one for each host of a TPU slice or each node of GPUs.

    Attributes:
      distributed: join the other processes; on TPU pods, Slurm, Open MPI and Kubernetes JAX finds
        them by itself.
      coordinator: HOST:PORT of process 0, if JAX cannot find it; needs the next two.
      num_processes: how many there are.
      process_id: which one this is, from 0.
    """

    distributed: bool = False
    coordinator: str = ""
    num_processes: int = 0
    process_id: int = -1

    def __post_init__(self):
        given = bool(self.coordinator), self.num_processes > 0, self.process_id >= 0
        if any(given) and not (all(given) and self.distributed and self.process_id < self.num_processes):
            raise ValueError(
                "Give --distributed with all of --coordinator HOST:PORT, --num-processes N and --process-id I "
                f"(0 to N - 1), or with none of them; got {self.coordinator!r}, {self.num_processes}, "
                f"{self.process_id}."
            )


def launched_processes(environment: Mapping[str, str]) -> tuple[int, str]:
    """How many processes a launcher says it has started, and its name; (1, "") without any."""
    for variable, launcher in _COUNTS.items():
        if int(environment.get(variable) or 1) > 1:
            return int(environment[variable]), launcher
    hosts = [host for host in environment.get("TPU_WORKER_HOSTNAMES", "").split(",") if host]
    return (len(hosts), "the TPU slice") if len(hosts) > 1 else (1, "")


def join_processes(options: Processes) -> None:
    """Connects the processes if asked to; must come before anything touches a device.

    Raises:
        ValueError: if N processes were started but would train as N separate runs.
    """
    count, launcher = launched_processes(os.environ)
    if not options.distributed:
        if count > 1:
            raise ValueError(
                f"{launcher} started {count} processes, and each would train a run of its own into the same folder. "
                "Add --distributed to make them one run."
            )
        return
    if options.coordinator:
        jax.distributed.initialize(options.coordinator, options.num_processes, options.process_id)
    else:
        jax.distributed.initialize()
    if jax.process_count() < max(count, options.num_processes):
        raise ValueError(
            f"{count} processes were started but JAX joined {jax.process_count()}; name them: --coordinator HOST:PORT "
            "--num-processes N --process-id I."
        )


def on_any_process(flag: bool) -> bool:
    """Whether a flag is set on any process; all of them must call it."""
    return flag if jax.process_count() == 1 else bool(multihost_utils.process_allgather(np.array(flag)).any())


def barrier(name: str) -> None:
    """Waits until all processes have called it with the same name."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
