"""The cost of steps on several devices, from programs compiled for four virtual devices in a
separate process.
"""

import io
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import jax
import pytest
from devices import environment
from jax.sharding import AbstractMesh

from fusejax.cli.main import main
from fusejax.config import load_config
from fusejax.losses.objective import TERMS
from fusejax.planning.collectives import SLICED, Collective, collectives
from fusejax.planning.plan import Plan
from fusejax.serialize import to_dict

CONFIGS = Path(__file__).parents[1] / "configs"

SCRIPT = """
import dataclasses, json, math, sys
import jax
from fusejax.config import load_config
from fusejax.planning.plan import stage_cost
from fusejax.training.program import Program
from fusejax.config import MeshConfig
from fusejax.training.sharding import make_mesh
from fusejax.training.stages import plan_stages

found = {}
for name, file, sizes in json.loads(sys.argv[1]):
    config = dataclasses.replace(load_config(file), mesh=MeshConfig(*sizes, min_sharded=300))
    program = Program(config, make_mesh(config.mesh))
    stage = plan_stages(config, 8)[0]
    cost = stage_cost(program, stage)
    params = program.target.params
    params = jax.tree.leaves({part: params[part] for part in stage.config.trains or params})
    found[name] = dataclasses.asdict(cost) | {
        "split": [4 * x.size for x in params if not x.sharding.is_fully_replicated],
        "whole": [4 * x.size for x in params if x.sharding.is_fully_replicated],
    }
print(json.dumps(found))
"""


def in_other_process(code, *arguments, devices=4):
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment(devices), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def costs():
    fusionnet, angularfuse, crossfuse = (
        str(CONFIGS / f"tiny_{name}.py") for name in ("fusionnet", "angularfuse", "crossfuse")
    )
    cases = [
        ("data", fusionnet, (4, 1)),
        ("fsdp", fusionnet, (1, 4)),
        ("both", fusionnet, (2, 2)),
        ("angularfuse", angularfuse, (4, 1)),
        ("crossfuse", crossfuse, (4, 1)),
    ]
    result = in_other_process(SCRIPT, json.dumps(cases))
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    for case in found.values():
        case["collectives"] = [Collective(**(c | {"arrays": tuple(c["arrays"])})) for c in case["collectives"]]
    return found


def arrays(case, kind, axis):
    """Sizes of the arrays of a kind along an axis, without scalars: parts of the loss, norms."""
    found = [c for c in case["collectives"] if (c.kind, c.axis) == (kind, axis)]
    assert all(c.times == 1 for c in found)
    return Counter(size for c in found for size in c.arrays if size > 4)


@pytest.mark.parametrize("name", ["data", "angularfuse", "crossfuse"])
@pytest.mark.slow
def test_data_parallel_sums_each_gradient_once(costs, name):
    """Including those of kernels used in parts, or in an enlarged form; no image leaves its device.
    """
    case = costs[name]
    assert {(c.kind, c.axis, c.group) for c in case["collectives"]} == {("all-reduce", "data", 4)}
    params, scalars = sum(case["whole"]), 4 * 24
    assert arrays(case, "all-reduce", "data") == Counter(size for size in case["whole"] if size > 4)
    assert params <= sum(c.bytes for c in case["collectives"]) <= params + scalars
    assert 1.5 * params <= sum(c.sent for c in case["collectives"]) <= 1.5 * (params + scalars)  # 2 (4 - 1) / 4


@pytest.mark.slow
def test_fsdp_gathers_and_scatters_each_parameter_once(costs):
    case = costs["fsdp"]
    assert len(case["split"]) > 5
    assert arrays(case, "all-gather", "fsdp") == Counter(case["split"])
    assert arrays(case, "reduce-scatter", "fsdp") == Counter(case["split"])
    assert arrays(case, "all-reduce", "fsdp") == Counter(size for size in case["whole"] if size > 4)
    assert {c.kind for c in case["collectives"]} == {"all-gather", "all-reduce", "reduce-scatter"}
    sent = sum(c.sent for c in case["collectives"] if c.kind != "all-reduce")
    assert sent == 2 * 0.75 * sum(case["split"])  # (4 - 1) / 4 of each, there and back


@pytest.mark.slow
def test_on_both_axes_only_parts_go_along_data(costs):
    case = costs["both"]
    assert arrays(case, "all-gather", "fsdp") == Counter(case["split"])
    assert arrays(case, "all-reduce", "data") == Counter(size // 2 for size in case["split"])
    assert arrays(case, "all-reduce", "data+fsdp") == Counter(size for size in case["whole"] if size > 4)


@pytest.mark.slow
def test_memory_is_what_the_shardings_say(costs):
    images = 4 * (8 // 4) * 16 * 16 * 4  # four float32 arrays, two images on each device
    for case in costs.values():
        assert case["batch"] == images
        assert 0 <= case["arguments"] - case["state"] - case["batch"] <= 16  # the key
        assert case["temporaries"] > 0
    data, fsdp = costs["data"], costs["fsdp"]
    assert data["state"] - fsdp["state"] == 3 * 0.75 * sum(fsdp["split"])  # parameters and two moments
    assert fsdp["flops"] == pytest.approx(data["flops"], rel=0.1)


HLO = """HloModule step

%body (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %x = f32[8]{0} parameter(0)
  ROOT %sum = f32[8]{0} all-reduce(%x), replica_groups={{0,4},{1,5},{2,6},{3,7}}, to_apply=%add
}

%cut (q: f32[4,8]) -> f32[4,2] {
  %q = f32[4,8]{1,0} parameter(0)
  %copied = f32[4,8]{1,0} copy(%q)
  ROOT %part = f32[4,2]{1,0} dynamic-slice(%copied, %zero, %n), dynamic_slice_sizes={4,2}
}

ENTRY %main (a: f32[8]) -> f32[8] {
  %a = f32[8]{0} parameter(0)
  %loop = f32[8]{0} while(%a), condition=%c, body=%body, backend_config={"known_trip_count":{"n":"3"}}
  %all-gather-start = (bf16[2,8]{1,0}, bf16[8,8]{1,0}) all-gather-start(%b), replica_groups=[2,4]<=[8], dimensions={0}
  %all-gather-done = bf16[8,8]{1,0} all-gather-done(%all-gather-start)
  %scattered = f32[2]{0} reduce-scatter(%a), replica_groups=[4,2]<=[2,4]T(1,0), dimensions={0}, to_apply=%add
  %permute-start = (f32[3]{0}, f32[3]{0}, u32[], u32[]) collective-permute-start(%c), source_target_pairs={{0,4},{4,0}}
  %two = (f32[4,8]{1,0}, /*index=1*/f32[5]{0}) all-reduce(%d, %e), replica_groups=mesh['x'=4,'y'=2], \
device_ids=([2,4]T(1,0)) {'x'}, to_apply=%add
  %first = f32[4,8]{1,0} get-tuple-element(%two), index=0
  %second = f32[5]{0} get-tuple-element(%two), index=1
  %part.1 = f32[4,2]{1,0} fusion(%first), kind=kLoop, calls=%cut
  ROOT %all = f32[] all-reduce(%second), replica_groups={}, to_apply=%add
}
"""


def test_every_notation_of_xla_is_understood():
    mesh = AbstractMesh((2, 4), ("data", "fsdp"))
    assert collectives(HLO, mesh) == [
        Collective("all-reduce", "data", 2, (32,), times=3),
        Collective("all-gather", "fsdp", 4, (128,), times=1),
        Collective("reduce-scatter", "data", 2, (16,), times=1),
        Collective("collective-permute", "data", 8, (12,), times=1),
        Collective("all-reduce", "fsdp", 4, (20,), times=1),
        Collective(SLICED, "fsdp", 4, (128,), times=1),
        Collective("all-reduce", "data+fsdp", 8, (4,), times=1),
    ]
    with pytest.raises(ValueError, match="unknown format: sometimes"):
        collectives(HLO.replace("replica_groups={}", "replica_groups=sometimes"), mesh)


OWN_TERM = """
import dataclasses
from fusejax.config import load_config
from fusejax.losses import ObjectiveConfig, TermConfig
from fusejax.losses.objective import TERMS

TERMS["darkness"] = lambda fused_y: (1 - fused_y).mean(axis=(1, 2, 3))

def get_config():
    config = load_config({base!r})
    stage = dataclasses.replace(config.stages[0], objective=ObjectiveConfig((TermConfig("darkness"),)))
    return dataclasses.replace(config, name="own", stages=(stage,))
"""


@pytest.mark.slow
def test_the_command_prints_memory_flops_and_collectives(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr("fusejax.losses.objective.TERMS", dict(TERMS))
    file = tmp_path / "own.py"
    file.write_text(OWN_TERM.format(base=str(CONFIGS / "tiny_fusionnet.py")))
    main(["plan", str(file), "--devices", "2", "--batch-size", "4"])
    text = capfd.readouterr().out
    assert "own: 2 devices (virtual CPU), mesh data 2 x fsdp 1; batch 4, 2 per device" in text
    for word in ("stage 'main'", "memory", "temporaries", "FLOPs", "collectives", "all-reduce  ", "Sent: "):
        assert word in text
    assert jax.device_count() == 1  # here


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nosuch",), "nosuch is neither a file nor a shipped configuration"),
        (("angularfuse", "--devices", "6"), "batch_size 8 does not split over 6 parts"),
        (("angularfuse", "--devices", "8", "--mesh.fsdp", "3"), "does not equal the 8 devices of this run; possible"),
        (("angularfuse", "--devices", "0"), "--devices N, at least 1"),
        (("angularfuse", "--topology", "v5e:2x2"), "needs the TPU compiler: pip install libtpu"),
    ],
)
def test_mistakes_end_with_a_message(arguments, message, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "libtpu", None)  # as if it were not installed
    with pytest.raises(SystemExit) as stop:
        main(["plan", *arguments])
    assert stop.value.code == 2
    assert message in capfd.readouterr().err


@pytest.mark.slow
def test_stages_that_differ_in_weights_only_are_compiled_once(monkeypatch, capsys):
    from fusejax.planning import plan

    config = load_config("light")
    given = json.dumps({"file": "light", "config": to_dict(config), "topology": "", "chip": ""})
    monkeypatch.setattr(sys, "stdin", io.StringIO(given))
    monkeypatch.setattr(plan, "end_with_parent", lambda: None)
    compiled = []
    cost = plan.StageCost("", 1, 1, 1, 1, 1, 1, 1.0, 1.0, [])
    monkeypatch.setattr(plan, "stage_cost", lambda *_, lowered: compiled.append(lowered) or cost)
    plan.print_plan()
    assert len(compiled) < len(config.stages)
    shown = re.findall(r"^stage '(\w+)'", capsys.readouterr().out, re.MULTILINE)
    assert shown == [stage.name for stage in config.stages]


def test_absurd_numbers_of_devices_are_refused():
    with pytest.raises(ValueError, match="At most 4096 devices"):
        Plan(devices=10**9)
    with pytest.raises(ValueError, match="At most 4096 devices"):
        Plan(chip="v5e", scaling=(1, 10**9))


def test_a_child_ends_when_its_parent_is_killed():
    child = "from fusejax.processes import end_with_parent; import time, os; end_with_parent(); "
    child += "print(os.getpid(), flush=True); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip().isdigit()
    process.kill()
    process.wait()
    assert process.stdout.read() == ""  # ends when the child, which has the other end, does
