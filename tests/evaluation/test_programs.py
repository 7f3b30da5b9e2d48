"""Kept scoring programs: new code, another convention or other metrics must not find an old one."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import fusejax.metrics
import fusejax.ops
from fusejax.evaluation import programs
from fusejax.metrics.evaluation import score_arrays


@pytest.mark.parametrize("room", [fusejax.metrics, fusejax.ops])
def test_the_digest_changes_with_the_code(room, tmp_path, monkeypatch):
    folders = {}
    for module in (fusejax.metrics, fusejax.ops):
        folders[module] = tmp_path / module.__name__
        shutil.copytree(Path(module.__file__).parent, folders[module])
    files = SimpleNamespace(getfile=lambda module: str(folders[module] / "__init__.py"))
    monkeypatch.setattr(programs, "inspect", files)
    digest = programs._code_digest.__wrapped__
    before = digest()
    assert digest() == before
    file = max(folders[room].glob("*.py"))
    file.write_text(file.read_text() + "\n")
    assert digest() != before


@pytest.mark.slow
def test_programs_are_kept_apart_and_found_again(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_code_digest", lambda: "code")
    images = [np.random.default_rng(n).random((1, 16, 16, 1), np.float32) for n in range(3)]
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    try:
        for convention in ("exact", "vifb", "exact"):
            program = programs.scoring_program(*images, convention=convention, metrics=("MSE",))
            expected = score_arrays(*images, convention=convention, metrics=("MSE",))
            np.testing.assert_allclose(program(*images)["MSE"], expected["MSE"], rtol=1e-6)
        programs.scoring_program(*images, convention="exact", metrics=("EN",))
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    assert len(list(tmp_path.glob("scoring-*.stablehlo"))) == 3
