"""Shared parts of the shipped ablations: data sets, and single changes of a configuration."""

import dataclasses
from pathlib import Path

from fusejax.config import TrainConfig, load_config
from fusejax.losses.config import ObjectiveConfig

STREET_FOLDERS = ("roadscene/train", "msrs128/train")
STREET_SETS = {"roadscene/val": "road scenes", "msrs/test_dev": "day and night streets"}
LIGHT_SETS = {"msrs/test_dev": "day and night streets"}
LIGHT_SHARES = (0.6, 0.4)


def street_config(data_root: Path, *, full_size: bool) -> TrainConfig:
    """AngularFuse's recipe on RoadScene and MSRS, with samples from the two in turn.

    Args:
        data_root: folder that holds `STREET_FOLDERS`.
        full_size: use the paper's network size and training length, instead of smaller ones for a
            CPU.
    """
    base = load_config("angularfuse" if full_size else "angularfuse_small")
    return with_data(base, root=str(data_root), folders=STREET_FOLDERS, shares=(1.0, 1.0))


def light_config(data_root: Path, *, full_size: bool) -> TrainConfig:
    """The light network's last objective on RoadScene and MSRS, from random parameters.

    Args:
        data_root: folder that holds `STREET_FOLDERS`.
        full_size: the shipped length of the first stage and crops, instead of 500 steps of 64x64.
    """
    base = with_data(load_config("light"), root=str(data_root), folders=STREET_FOLDERS, shares=LIGHT_SHARES)
    first, *_, last = base.stages
    stage = dataclasses.replace(first, objective=last.objective)
    if full_size:
        return dataclasses.replace(base, stages=(stage,))
    short = dataclasses.replace(stage, steps=500, optim=last.optim)
    return dataclasses.replace(with_data(base, crop=64), stages=(short,), average_decay=0.98)


def with_data(config: TrainConfig, **changes) -> TrainConfig:
    """`config` with some fields of its `data` replaced."""
    return dataclasses.replace(config, data=dataclasses.replace(config.data, **changes))


def with_objective(config: TrainConfig, objective: ObjectiveConfig) -> TrainConfig:
    """`config` with another objective in its last stage."""
    *before, last = config.stages
    return dataclasses.replace(config, stages=(*before, dataclasses.replace(last, objective=objective)))


def without_term(config: TrainConfig, name: str) -> TrainConfig:
    """`config` without one loss term in its last stage.

    Args:
        config: a configuration whose last stage has the term.
        name: name of the term, a key of `fusejax.losses.TERMS`.

    Raises:
        ValueError: if the last stage has no such term.
    """
    objective = config.stages[-1].objective
    terms = tuple(term for term in objective.terms if term.name != name)
    if len(terms) == len(objective.terms):
        known = ", ".join(term.name for term in terms)
        raise ValueError(f"{config.name}: the last stage has no term {name!r}; it has {known}.")
    return with_objective(config, dataclasses.replace(objective, terms=terms))
