"""Runs with several processes: how they connect, which setups are rejected, how they agree."""

import dataclasses
import os
from collections.abc import Mapping

import jax
import numpy as np
from jax.experimental import multihost_utils

# Variables that launchers set for the processes they start, and that are not set otherwise.
_COUNTS = {"SLURM_STEP_NUM_TASKS": "Slurm", "OMPI_COMM_WORLD_SIZE": "Open MPI", "PMI_SIZE": "MPI"}


@dataclasses.dataclass(frozen=True)
class Processes:
    """Training with several processes, one per host of a TPU slice or per GPU node.

    Attributes:
        distributed: connect to the other processes; on TPU pods, Slurm, Open MPI and Kubernetes,
            JAX finds them automatically.
        coordinator: HOST:PORT of process 0, if JAX cannot find it; requires the next two.
        num_processes: number of processes.
        process_id: index of this process, from 0.
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
    """Number of processes that a launcher has started, and its name; (1, "") without a launcher."""
    for variable, launcher in _COUNTS.items():
        if int(environment.get(variable) or 1) > 1:
            return int(environment[variable]), launcher
    hosts = [host for host in environment.get("TPU_WORKER_HOSTNAMES", "").split(",") if host]
    return (len(hosts), "the TPU slice") if len(hosts) > 1 else (1, "")


def join_processes(options: Processes) -> None:
    """Connects the processes if requested; must be called before anything touches a device.

    Raises:
        ValueError: if N processes were started but would train as N separate runs.
    """
    count, launcher = launched_processes(os.environ)
    if not options.distributed:
        if count > 1:
            raise ValueError(
                f"{launcher} started {count} processes, and each would train a separate run into the same folder. "
                "Add --distributed to make them one run."
            )
        return
    if options.coordinator:
        jax.distributed.initialize(options.coordinator, options.num_processes, options.process_id)
    else:
        jax.distributed.initialize()
    if jax.process_count() < max(count, options.num_processes):
        raise ValueError(
            f"{count} processes were started but JAX joined {jax.process_count()}; give all of "
            "--coordinator HOST:PORT --num-processes N --process-id I."
        )


def on_any_process(flag: bool) -> bool:
    """Whether a flag is set on any process; all processes must call this."""
    return flag if jax.process_count() == 1 else bool(multihost_utils.process_allgather(np.array(flag)).any())


def barrier(name: str) -> None:
    """Waits until all processes have called this with the same name."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
