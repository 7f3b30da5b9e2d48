"""Cost and quality of all weights and their exports, in one table.

    fusejax compare --data-root DIR --out RANKS --convention cddfuse            # for mean rank
    fusejax compare --data-root DIR --out RANKS/look --convention look          # for the look
    python scripts/table.py cost --out OUT [--ranks RANKS] [--weights light] [--repeats 5]

Writes OUT/cost.md. Every measured row is kept in OUT/rows.json, so that a stopped call continues;
delete that file, or give --again, to measure anew. Times need a machine that does nothing else:
each is the median of blocks of calls, in a process of its own.

FLOPs are XLA's count. "JAX" is the library's jitted network on the whole image with float32
arithmetic. ONNX files are what `fusejax export` writes; with float16, weights are stored in half
the bytes, and the arithmetic is float32. Memory is the resident memory that calls add to that of
the process before them, with its weights and programs. Networks that need more than --memory for a
whole image of 1920x1080 are not measured there; the library fuses such images in tiles.
"""

import dataclasses
import importlib.metadata
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from benchmarks.workers import Worker

import fusejax
from fusejax.evaluation.results import Scores
from fusejax.evaluation.score_files import read_scores
from fusejax.export.exporting import export_weights
from fusejax.io.outputs import write_complete
from fusejax.models import build
from fusejax.ops.backend import compile_for
from fusejax.report.markdown import markdown_table
from fusejax.report.ranking import rank
from fusejax.weights.files import load_weights, shipped_weights

RUNTIMES = ("JAX float32", "ONNX float32", "ONNX float16")
WEIGHTS = Path(fusejax.__file__).parent / "weights"
_LOOK = ("kept", "cancelled", "texture")


@dataclasses.dataclass(frozen=True)
class CostOptions:
    """What to measure.

    Attributes:
        out: folder for cost.md and rows.json.
        weights: shipped names; by default all.
        runtimes: which of JAX and the exports to measure.
        sizes: WIDTHxHEIGHT of the pairs.
        ranks: folder of `fusejax compare`, with the ranks of convention cddfuse and, in its
            subfolder `look`, the measures of convention look.
        repeats: number of blocks of calls for each time.
        memory: GiB that a network may need for a whole image.
        again: measure rows that exist again.
    """

    out: Path
    weights: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = RUNTIMES
    sizes: tuple[str, ...] = ("640x480", "1920x1080")
    ranks: Path | None = None
    repeats: int = 5
    memory: float = 8.0
    again: bool = False


def main(options: CostOptions) -> None:
    """Measures what is missing, row by row, and writes the table."""
    kept = options.out / "rows.json"
    rows = json.loads(kept.read_text()) if kept.exists() and not options.again else {}
    for name in options.weights or shipped_weights():
        for runtime in options.runtimes:
            for size in options.sizes:
                if (key := f"{name}, {runtime}, {size}") not in rows:
                    rows[key] = _measured(name, runtime, size, options)
                    print(f"{key}: {rows[key]}", flush=True)
                    write_complete(kept, json.dumps(rows, indent=1) + "\n")
    text = _table(rows, options)
    write_complete(options.out / "cost.md", text)
    print(text)


def _measured(name: str, runtime: str, size: str, options: CostOptions) -> dict[str, float | None]:
    width, height = map(int, size.split("x"))
    params, config, _ = load_weights(name)
    count = sum(x.size for x in jax.tree.leaves(params))
    pair = jax.ShapeDtypeStruct((1, height, width, 1), jnp.float32)
    forward = jax.jit(build(config).apply)
    with compile_for("tpu"):  # whose forms XLA can count
        cost = forward.lower({"params": params}, pair, pair).cost_analysis() or {}
    memory = forward.lower({"params": params}, pair, pair).compile().memory_analysis()
    needed = 0.0 if memory is None else memory.temp_size_in_bytes / 2**30
    row = {"parameters": count, "GFLOP": cost.get("flops", np.nan) / 1e9, "file": None, "ms": None, "MB": None}
    with tempfile.TemporaryDirectory() as folder:
        file = _file(name, runtime, Path(folder))
        row["file"] = file.stat().st_size / 1e6
        if needed <= options.memory:
            worker = Worker(_calls, name, runtime, str(file), height, width)
            before, most = worker.memory("forward")
            row["MB"] = (most - before) * 2**30 / 1e6
            row["ms"] = 1e3 * statistics.median(worker.block("forward") for _ in range(options.repeats))
            worker.close()
    return row


def _file(name: str, runtime: str, folder: Path) -> Path:
    kind, precision = runtime.split()
    if kind == "JAX":
        return WEIGHTS / f"{name}.safetensors"
    half = precision == "float16"
    export_weights(name, folder / "weights.onnx", format="onnx", precision="float16" if half else "float32")
    return folder / "weights.onnx"


def _calls(name: str, runtime: str, file: str, height: int, width: int) -> dict[str, Callable[[], object]]:
    """One pass of the weights on a random pair, in the process of a worker."""
    ir, vi_y = (np.random.default_rng(n).random((1, height, width, 1), np.float32) for n in (0, 1))
    if runtime.startswith("JAX"):
        params, config, _ = load_weights(name)
        compiled = jax.jit(build(config).apply).lower({"params": params}, ir, vi_y).compile()
        on_device = jax.device_put((params, ir, vi_y))
        return {"forward": lambda: jax.block_until_ready(compiled({"params": on_device[0]}, *on_device[1:]))}
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    feed = {"ir": ir.transpose(0, 3, 1, 2), "vi": vi_y.transpose(0, 3, 1, 2)}
    return {"forward": lambda: session.run(None, feed)}


def _table(rows: dict[str, dict[str, float | None]], options: CostOptions) -> str:
    quality = {} if options.ranks is None else _quality(options.ranks)
    names = list(dict.fromkeys(tuple(key.split(", ")[:2]) for key in rows))
    header = ["weights", "runtime", "parameters", "file, MB"]
    header += [f"{what}, {size}" for size in options.sizes for what in ("GFLOP", "ms", "memory, MB")]
    header += ["mean rank", *_LOOK] if quality else []
    lines = []
    for name, runtime in names:
        found = [rows.get(f"{name}, {runtime}, {size}", {}) for size in options.sizes]
        cells = [name, runtime, f"{found[0].get('parameters', 0):,}", _text(found[0].get("file"), 3)]
        cells += [_text(row.get(what), 3) for row in found for what in ("GFLOP", "ms", "MB")]
        lines.append([*cells, *(quality.get(name, ["–"] * (1 + len(_LOOK))) if quality else [])])
    versions = f"jax {jax.__version__}, onnxruntime {importlib.metadata.version('onnxruntime')}"
    head = f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, {versions}; {len(lines)} rows."
    return "\n".join([head, "", *markdown_table(header, lines), ""])


def _text(value: float | None, digits: int) -> str:
    if value is None or not np.isfinite(value):
        return "–"
    return f"{float(f'{value:.{digits}g}'):,.10g}"


def _quality(folder: Path) -> dict[str, list[str]]:
    """Mean rank and measures of the look by method, as text."""
    ranking = rank(read_scores(folder / "metrics.csv"))
    found = {method: [f"{mean:.2f}"] for method, mean in zip(ranking.methods, ranking.mean, strict=True)}
    look: list[Scores] = read_scores(folder / "look/metrics.csv") if (folder / "look/metrics.csv").exists() else []
    for method, cells in found.items():
        means = [table.mean(method) for table in look if method in table.methods]
        cells += [f"{np.mean([m[name] for m in means]):.3f}" if means else "–" for name in _LOOK]
    return found
