"""Loads weights from a run's checkpoints without touching the run, which may still be active."""

import json
import sys
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath
from jax.sharding import SingleDeviceSharding

from fusejax.config import TrainConfig
from fusejax.models.config import ModelConfig
from fusejax.models.networks import build
from fusejax.serialize import from_dict
from fusejax.training.checks import described_leaves, error_summary, means_damage
from fusejax.training.fingerprint import fingerprints
from fusejax.training.state import TrainState, abstract_state, first_state, init_params
from fusejax.typing import Params
from fusejax.weights.runs import CHECKPOINTS, saved_steps


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
            state, config = _read(folder)
        except ValueError as error:
            damage.append(str(error))
            continue
        where = "" if step is not None else f"{run} has not finished; "
        print("\n".join([*damage, f"{where}using the weights of step {candidate}"]), file=sys.stderr)
        about = {"steps": candidate, "checkpoint": True}
        return jax.device_get(state.scored), config.model, about
    raise ValueError(
        "\n".join(damage) or f"{run} has no complete checkpoint yet; the first is written after save_every steps."
    )


def _read(folder: epath.Path) -> tuple[TrainState, TrainConfig]:
    """Reads the state to one device and verifies its fingerprints; ValueError if it is damaged."""
    try:
        saved, meta = (json.loads((folder / item / "metadata").read_text()) for item in ("config", "meta"))
        config = from_dict(TrainConfig, saved)
        model, device = build(config.model), SingleDeviceSharding(jax.local_devices()[0])

        def init(key: jax.Array) -> TrainState:
            averaged = config.average_decay > 0
            return first_state(init_params(model, key), by_module=config.optimize_by_module, averaged=averaged)

        target = abstract_state(init, lambda _: device)
        state = ocp.StandardCheckpointer().restore(epath.Path(folder).absolute() / "state", target)
        wrong = [n for n, value in fingerprints(state).items() if value != meta["leaves"][n][-1]]
    except Exception as error:
        if not means_damage(error):
            raise
        raise ValueError(f"{folder} is damaged: {error_summary(error)}.") from error
    if wrong or described_leaves(state).keys() != meta["leaves"].keys():
        raise ValueError(f"{folder} is damaged: the values of {', '.join(wrong[:4])} are not those that were saved.")
    return state, config
