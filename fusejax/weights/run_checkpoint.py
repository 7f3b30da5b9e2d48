"""Loads weights from a run's checkpoints without touching the run, which may still be active."""

import dataclasses
import json
import sys
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath
from flax.traverse_util import unflatten_dict
from jax.sharding import SingleDeviceSharding

from fusejax.models.config import ModelConfig
from fusejax.serialize import UnknownType, from_dict
from fusejax.typing import Params
from fusejax.weights.fingerprint import fingerprints
from fusejax.weights.read_errors import error_summary, means_damage
from fusejax.weights.runs import CHECKPOINTS, saved_steps


@dataclasses.dataclass(frozen=True)
class _Network:
    """What is needed of a run's configuration."""

    model: ModelConfig


def load_checkpoint_weights(run: epath.Path, step: int | None) -> tuple[Params, ModelConfig, dict[str, Any]]:
    """Loads the parameters of a checkpoint (their moving average if the run keeps one); prints the
    step.

    Args:
        run: folder of the run.
        step: step of the checkpoint; None for the newest intact one.

    Returns:
        Parameters, the network's configuration and training metadata.

    Raises:
        ValueError: if there is no intact checkpoint, or if the given one is damaged.
    """
    damage = []
    for candidate in [step] if step is not None else reversed(saved_steps(run)):
        folder = run / CHECKPOINTS / str(candidate)
        try:
            params, config = _read(folder)
        except ValueError as error:
            damage.append(str(error))
            continue
        where = "" if step is not None else f"{run} has not finished; "
        print("\n".join([*damage, f"{where}using the weights of step {candidate}"]), file=sys.stderr)
        about = {"steps": candidate, "checkpoint": True}
        return params, config, about
    raise ValueError(
        "\n".join(damage) or f"{run} has no complete checkpoint yet; the first is written after save_every steps."
    )


def _read(folder: epath.Path) -> tuple[Params, ModelConfig]:
    """Reads what the run would export, and verifies its fingerprints.

    Raises:
        ValueError: if it is damaged.
    """
    try:
        saved, meta = (json.loads((folder / item / "metadata").read_text()) for item in ("config", "meta"))
        config, leaves = from_dict(_Network, {"model": saved["model"]}).model, meta["leaves"]
    except UnknownType as error:
        raise ValueError(
            f"{folder} is of a network that is not in this version ({str(error).rstrip('.')}); give the file that "
            "defines it with --plugin FILE."
        ) from error
    except Exception as error:
        if not means_damage(error):
            raise
        raise ValueError(f"{folder} is damaged: {error_summary(error)}.") from error
    try:
        part = "average" if any(name.startswith("average/") for name in leaves) else "params"
        state = _restore(folder, {name: leaf for name, leaf in leaves.items() if name.startswith(f"{part}/")})
        wrong = [name for name, value in fingerprints(state).items() if value != leaves[name][-1]]
    except Exception as error:
        if not means_damage(error):
            raise
        raise ValueError(f"{folder} is damaged: {error_summary(error)}.") from error
    if wrong:
        raise ValueError(f"{folder} is damaged: the values of {', '.join(wrong[:4])} are not those that were saved.")
    return jax.device_get(state[part]), config


def _restore(folder: epath.Path, leaves: dict[str, list]) -> dict[str, Any]:
    """Restores some arrays of a checkpoint to one device.

    Args:
        folder: folder of the step.
        leaves: data type, shape and fingerprint of each array by its path, such as
            "params/stem/kernel".

    Returns:
        The nested arrays.
    """
    device = SingleDeviceSharding(jax.local_devices()[0])
    flat = {tuple(name.split("/")): jax.ShapeDtypeStruct(x[1], x[0], sharding=device) for name, x in leaves.items()}
    item = unflatten_dict(flat)
    arguments = jax.tree.map(lambda x: ocp.ArrayRestoreArgs(sharding=device, global_shape=x.shape, dtype=x.dtype), item)
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        return checkpointer.restore(
            epath.Path(folder).absolute() / "state",
            args=ocp.args.PyTreeRestore(item=item, restore_args=arguments, partial_restore=True),
        )
