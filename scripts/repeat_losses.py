"""Repeats the first training steps of released weights and compares the losses with stored ones.

python scripts/repeat_losses.py crossfuse_small fusionnet_small --data-root DIR [--plan PLAN.json]

The settings are taken from the metadata of the weights, so this repeats the command in the model
card; where the weights come from several runs, or their metadata are of an older form, from the
recipe that the command names. The plan is the one written by the `fusejax align` command in
CrossFuse's cards.
"""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import tyro

from fusejax.config import TrainConfig, load_config
from fusejax.evaluation.repetition import first_losses
from fusejax.inference.compilation import keep_compilations
from fusejax.progress import track
from fusejax.serialize import from_dict
from fusejax.weights.files import load_weights

RECIPES = {"angularfuse": "angularfuse_tuned", "light": "light_look", "light_metrics": "light"}
STORED = Path(__file__).parents[1] / "tests" / "weights" / "first_losses.json"


@dataclasses.dataclass(frozen=True)
class RepeatOptions:
    """What to repeat.

    Attributes:
      names: shipped weights; by default all with stored losses.
      data_root: folder that holds the sets.
      plan: alignment plan, for weights that were trained with one.
      steps: number of steps to train; at most as many as are stored.
      store: store the losses instead of comparing them.
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional]
    data_root: Path
    plan: Path | None = None
    steps: int = 200
    store: bool = False


def released_config(name: str, data_root: Path, plan: Path | None) -> TrainConfig:
    """The settings with which weights were trained, with the data of this machine."""
    trained = load_weights(name)[2]["config"]
    if name in RECIPES:
        config = load_config(RECIPES[name])
        sets = {key: tuple(trained["data"][key]) for key in ("folders", "shares")}
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, **sets))
    else:
        config = from_dict(TrainConfig, trained)
    if config.data.alignment and plan is None:
        raise SystemExit(f"{name} was trained with an alignment plan; give it: --plan PLAN.json")
    alignment = str(plan) if config.data.alignment else ""
    return dataclasses.replace(config, data=dataclasses.replace(config.data, root=str(data_root), alignment=alignment))


def main(options: RepeatOptions) -> None:
    keep_compilations()
    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    for name in options.names or tuple(stored):
        steps = options.steps if options.store else min(options.steps, len(stored[name]))
        config = released_config(name, options.data_root, options.plan)
        steps_done = track(range(steps), steps, description=name, unit="steps")
        losses = [loss for _, loss in zip(steps_done, first_losses(config), strict=False)]
        if options.store:
            STORED.write_text(json.dumps(stored | {name: losses}, indent=0) + "\n")
            stored[name] = losses
            continue
        differences = [abs(a - b) / abs(b) for a, b in zip(losses, stored[name], strict=False)]
        print(f"{name}: {steps} steps, largest relative difference of the loss {max(differences):.1e}", flush=True)
        if max(differences) > 1e-5:
            first = next(n for n, x in enumerate(differences, start=1) if x > 1e-5)
            raise SystemExit(f"{name}: step {first} is the first that differs by more than 1e-5")


if __name__ == "__main__":
    main(tyro.cli(RepeatOptions))
