"""Shared settings: CPU, quick compilation, compiled functions kept, a browser, and real pairs."""

import dataclasses
import gc
import importlib.util
import mmap
import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
_CACHE = Path(__file__).parents[1] / ".jax_cache"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Most of the suite's time is compilation. A training step of a small network compiles in a quarter
# of the time with these three; tests marked `optimized` turn the first one off. The last keeps a
# program in one piece, since there is no idle core for a second one.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
_FLAGS = {"xla_cpu_use_fusion_emitters": "false", "xla_cpu_parallel_codegen_split_count": "1"}


def compiler_knows(flag: str) -> bool:
    """Whether the installed jaxlib has that XLA flag; an unknown flag ends the process."""
    found = importlib.util.find_spec("jaxlib")
    assert found is not None and found.submodule_search_locations, "jaxlib is not installed"
    for library in Path(found.submodule_search_locations[0]).glob("*.so"):
        with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.find(flag.encode() + b"\0") >= 0:
                return True
    return False


if "XLA_FLAGS" not in os.environ:
    os.environ["XLA_FLAGS"] = " ".join(f"--{flag}={x}" for flag, x in _FLAGS.items() if compiler_knows(flag))

import jax  # noqa: E402 - the settings above must come before JAX is imported
import jaxtyping  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from browser import open_browser  # noqa: E402

# JAX makes many small objects while it traces; searching them for cycles as often as by default
# takes a tenth of that time.
gc.set_threshold(100_000, 20)


# The files that take longest, in that order. They come first, so that the workers end together.
LONG = (
    "training/test_processes.py",
    "weights/test_first_losses.py",
    "project/test_colabs.py",
    "training/test_devices.py",
    "metrics/test_metrics_golden.py",
    "inference/test_tiles.py",
    "test_plugins.py",
    "planning/test_plan.py",
    "training/test_training.py",
    "training/test_checkpoint_runs.py",
    "export/test_export.py",
    "weights/test_cards.py",
    "training/test_stages.py",
    "models/test_crossfuse.py",
    "metrics/test_padding.py",
    "losses/test_combinations.py",
    "weights/test_released.py",
    "training/test_gcs.py",
    "training/test_mesh.py",
    "project/test_scripts.py",
    "evaluation/test_stress.py",
    "models/test_angularfuse.py",
    "metrics/test_metrics_limits.py",
    "live/test_live_streams.py",
    "web/test_web_page.py",
    "registration/test_registration.py",
    "registration/test_register_commands.py",
)


def pytest_configure(config):
    """Turns what the newest versions of the stack deprecate into errors; the next lack it."""
    if jax.__version_info__ >= (0, 12):
        for category in ("DeprecationWarning", "PendingDeprecationWarning"):
            config.addinivalue_line("filterwarnings", f"error::{category}")


def pytest_collection_modifyitems(items):
    """Puts the long files first."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONG)}
    assert all(path.is_file() for path in places), "a file in LONG has another name now"
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish():
    """Leaves what the imports made out of all later searches for cycles."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Weights of a tiny network."""
    from fusing import save_tiny_weights  # not above: the library must be imported with types checked

    return save_tiny_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module", autouse=True)
def compiler(request):
    """Compiles with the usual optimizations in modules marked `optimized`."""
    if request.node.get_closest_marker("optimized") is None or os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] != "1":
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "0")  # for child processes
        jax.config.update("jax_disable_most_optimizations", False)
        jax.clear_caches()
        yield
        jax.config.update("jax_disable_most_optimizations", True)
        jax.clear_caches()


@pytest.fixture(scope="module", autouse=True)
def convolutions(request):
    """XLA's own convolutions, which most machines use, except in modules marked `onednn`."""
    if request.node.get_closest_marker("onednn") is not None:
        yield
        return
    # Not at the top: the type checker must be there before the library.
    from fusejax.onednn import convolution as onednn

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onednn, "library", lambda: None)
        yield


@pytest.fixture(scope="module", autouse=True)
def traced_once():
    """Traces the training step of a configuration once in a module, however often it is trained."""
    from fusejax.losses import TERMS
    from fusejax.training.program import Program

    make, made = Program.step, {}

    def step(program, stage, *, steps=1):
        traced = dataclasses.replace(program.config, name="", seed=0, start_from="")
        functions = tuple(TERMS[term.name] for term in stage.config.objective.terms)
        key = (repr((traced, stage, program.mesh)), steps, functions)
        if key not in made:
            made[key] = make(program, stage, steps=steps)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Program, "step", step)
        yield


@pytest.fixture
def unchecked():
    """No type checker, so that the library itself meets wrong arguments, as with a user."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of real pairs; the test is skipped if FUSEJAX_DATA is not set."""
    root = os.environ.get("FUSEJAX_DATA")
    if not root:
        pytest.skip("FUSEJAX_DATA does not name a folder of real pairs")
    return Path(root)


@pytest.fixture(scope="module")  # not longer: no other event loop, such as Orbax's, can run while it is open
def browser():
    """A headless Chromium, `playwright.sync_api.Browser`; the test is skipped if there is none."""
    with open_browser() as browser:
        yield browser


@pytest.fixture
def say(record_property):
    """Keeps a line for the end of the report, since pytest hides output of passing tests."""
    return lambda line: record_property("measured", line)


def pytest_terminal_summary(terminalreporter):
    reports = [report for group in terminalreporter.stats.values() for report in group]
    said = [v for r in reports if getattr(r, "when", "") == "call" for k, v in r.user_properties if k == "measured"]
    if said:
        terminalreporter.section("measured")
        for line in said:
            terminalreporter.write_line(line)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
