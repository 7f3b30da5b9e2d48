"""Exported ONNX files under onnxruntime, for `bench.py --against onnx`."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import numpy as np
import onnxruntime

from fusejax.export.onnx_file import write_onnx
from fusejax.models import build
from fusejax.weights.files import load_weights

_THREADS = 2
_PROFILED_RUNS = 5
_SHOWN = 6


def forwards(name: str, ir: np.ndarray, vi_y: np.ndarray) -> tuple[Callable[[], object], Callable[[], object]]:
    """One pass of shipped weights, [b, h, w, 1], under onnxruntime and as jitted JAX."""
    params, config, _ = load_weights(name)
    feed = {"ir": ir.transpose(0, 3, 1, 2), "vi": vi_y.transpose(0, 3, 1, 2)}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _THREADS
    session = _session(write_onnx(params, config).SerializeToString(), options)
    compiled = jax.jit(build(config).apply).lower({"params": params}, ir, vi_y).compile()
    on_device = jax.device_put((params, ir, vi_y))

    def jitted() -> object:
        return jax.block_until_ready(compiled({"params": on_device[0]}, *on_device[1:]))

    fused = np.asarray(session.run(None, feed)[0]).transpose(0, 2, 3, 1)
    difference = np.abs(fused - np.clip(np.asarray(jitted()), 0, 1)).max()
    print(f"{name}: onnxruntime {onnxruntime.__version__}, {_THREADS} threads; largest difference {difference:.1e}")
    return lambda: session.run(None, feed), jitted


def print_slowest(name: str, ir: np.ndarray, vi_y: np.ndarray) -> None:
    """Prints where onnxruntime spends its time, by kind of operation."""
    params, config, _ = load_weights(name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.enable_profiling = _THREADS, True
    with TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = _session(write_onnx(params, config).SerializeToString(), options)
        for _ in range(_PROFILED_RUNS):
            session.run(None, {"ir": ir.transpose(0, 3, 1, 2), "vi": vi_y.transpose(0, 3, 1, 2)})
        events = json.loads(Path(session.end_profiling()).read_text())
    spent: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"]
    total = sum(spent.values())
    shares = (f"{kind} {microseconds / total:.0%}" for kind, microseconds in spent.most_common(_SHOWN))
    print(f"{name}, {total / _PROFILED_RUNS / 1e6:.3f} s per pass: {', '.join(shares)}", flush=True)


def _session(data: bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
