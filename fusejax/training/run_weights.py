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

_CHECKPOINTS = "checkpoints"
_FINAL = "weights.safetensors"


def find_run(text: str) -> tuple[epath.Path, int | None] | None:
    """Parses FOLDER@STEP, or the FOLDER of a run without final weights.

    Returns:
        The folder of the run and the step, where None means the newest; None if the text is
        something else.

    Raises:
        ValueError: if the folder has no such step.
    """
    folder, at, step = text.rpartition("@")
    if at and step.isdigit() and (epath.Path(folder) / _CHECKPOINTS).is_dir():
        if int(step) not in (steps := saved_steps(epath.Path(folder))):
            raise ValueError(
                f"{folder} has no checkpoint of step {step}; it has: {', '.join(map(str, steps)) or 'none'}."
            )
        return epath.Path(folder), int(step)
    run = epath.Path(text)
    if (run / _CHECKPOINTS).is_dir() and not (run / _FINAL).exists():
        return run, None
    return None


def saved_steps(run: epath.Path) -> list[int]:
    """Completely saved steps of a run, in order."""
    folders = [path for path in (run / _CHECKPOINTS).iterdir() if path.name.isdigit()]
    return sorted(int(p.name) for p in folders if (p / "_CHECKPOINT_METADATA").exists())


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
        folder = run / _CHECKPOINTS / str(candidate)
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
