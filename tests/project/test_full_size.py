"""The recipes at full size: every stage of every network has a step, and every ablation loads."""

import dataclasses
import re
from pathlib import Path

import jax
import pytest

from fusejax.config import load_config
from fusejax.evaluation.variants import with_data
from fusejax.training.program import Program
from fusejax.training.sharding import make_mesh
from fusejax.training.stages import plan_stages

SCRIPT = (Path(__file__).parents[2] / "scripts/train_full.sh").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["angularfuse", "crossfuse", "fusionnet"])
def test_the_full_network_has_a_step_for_its_last_stage(name):
    """Traced with a small crop, not compiled; SMOKE=1 scripts/train_full.sh takes the steps."""
    assert f"fusejax train {name} " in SCRIPT
    config = dataclasses.replace(with_data(load_config(name), crop=32), batch_size=1)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, dtype="bfloat16"))
    program = Program(config, make_mesh(config.mesh))
    step = program.step(plan_stages(config, 100)[-1])
    state, logs = jax.eval_shape(step, program.target, program.abstract_batch(), jax.random.key(0))
    assert logs["loss"].shape == () and jax.tree.structure(state) == jax.tree.structure(program.target)


def test_the_script_has_a_short_form_of_every_command():
    commands = re.findall(r"^fusejax train (?:.*\\\n)*.*$", SCRIPT, re.M)
    assert len(commands) == 3 and all('"${smoke[@]}"' in command for command in commands)
