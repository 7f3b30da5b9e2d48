"""Four steps of AngularFuse with a few hundred parameters on synthetic pairs."""

import dataclasses
from pathlib import Path

from fusejax.config import TrainConfig, load_config
from fusejax.models import AngularFuseConfig


def get_config() -> TrainConfig:
    tiny = load_config(str(Path(__file__).parent / "tiny.py"))
    model = AngularFuseConfig(widths=(2, 4), heads=None, residual_blocks=1)
    return dataclasses.replace(tiny, name="tiny_angularfuse", model=model)
