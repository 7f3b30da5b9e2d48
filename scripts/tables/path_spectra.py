"""What CrossFuse's two paths carry: scores without one of them, and the spectra of both.

    python scripts/table.py path-spectra --data-root DIR --out OUT
    [--weights crossfuse_small crossfuse] [--sets msrs/test_dev tno/test_dev]
    [--pairs 4] [--crop 256]

The paths of trained weights are removed or exchanged at inference (`paths` of the network's
configuration), on the central crops of evenly spaced pairs. Spectra are those of the features of
each source that leave the encoder: power of a Hann-windowed crop without its mean, summed over the
channels, by distance from frequency 0. Writes OUT/paths.md and OUT/spectra_WEIGHTS.png; scores that
exist are kept.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from fusejax.data.layouts import find_pair_folders
from fusejax.evaluation.folder import collect_scores
from fusejax.evaluation.loop import make_sample, score_samples
from fusejax.evaluation.results import Scores
from fusejax.evaluation.score_files import read_scores, write_scores
from fusejax.evaluation.sources import choose_pairs, choose_reading
from fusejax.io.outputs import save_figure, write_complete
from fusejax.metrics import USUAL
from fusejax.models import build
from fusejax.ops.color import rgb_to_luma
from fusejax.report.differences import difference_table
from fusejax.report.markdown import markdown, markdown_table
from fusejax.report.ranking import DRAWS, TAILS
from fusejax.report.tables import score_table
from fusejax.weights.files import load_weights

PATHS = {"both": "both", "long alone": "long", "short alone": "short", "exchanged": "exchanged"}
LIMIT = 1 / 8  # cycles per pixel
_CONVENTION = "cddfuse"

Crops = list[tuple[str, Float[np.ndarray, "h w 1"], Float[np.ndarray, "h w 1"]]]


@dataclasses.dataclass(frozen=True)
class PathOptions:
    """Which weights and pairs.

    Attributes:
        data_root: folder of the data sets.
        out: folder for the results.
        weights: names or files of CrossFuse networks.
        sets: pair folders below `data_root`.
        pairs: number of pairs of each set.
        crop: side of the central crop, at most; in pixels.
    """

    data_root: Path
    out: Path
    weights: tuple[str, ...] = ("crossfuse_small",)
    sets: tuple[str, ...] = ("msrs/test_dev", "tno/test_dev")
    pairs: int = 4
    crop: int = 256


def main(options: PathOptions) -> None:
    """Scores and draws, and prints the tables."""
    crops, parts = _read(options), []
    for weights in options.weights:
        place = options.out / Path(weights).stem
        if not (place / "metrics.csv").exists():
            write_scores(place, [_score(weights, crops)])
        (scores,) = read_scores(place / "metrics.csv")
        shares, figure = _spectra(weights, crops)
        save_figure(options.out / f"spectra_{Path(weights).stem}.png", figure, dpi=110)
        tables = [score_table(scores), difference_table(scores, "both")]
        parts += [markdown(tables, head=f"## {Path(weights).stem}"), *_share_table(shares), ""]
    text = "\n".join(parts)
    write_complete(options.out / "paths.md", text)
    print(text)


def _read(options: PathOptions) -> Crops:
    found = []
    for name in options.sets:
        (folders,) = find_pair_folders(options.data_root / name).values()
        for pair in choose_pairs(*folders, count=options.pairs):
            ir, vi = choose_reading([pair], "auto", quiet=True).read(pair)
            planes = [_center(x, options.crop) for x in (ir, rgb_to_luma(vi) if vi.shape[-1] == 3 else vi)]
            found.append((f"{name} {pair.id}", *planes))
    return found


def _center(x: np.ndarray, side: int) -> np.ndarray:
    top, left = (max(0, (n - side) // 2) for n in x.shape[:2])
    return x[top : top + side, left : left + side]


def _score(weights: str, crops: Crops) -> Scores:
    params, config, _ = load_weights(weights)
    fuse = [jax.jit(build(dataclasses.replace(config, paths=paths)).apply) for paths in PATHS.values()]

    def sample(ir: np.ndarray, vi_y: np.ndarray):
        fused = [np.clip(np.asarray(f({"params": params}, ir[None], vi_y[None]))[0], 0, 1) for f in fuse]
        return lambda: make_sample(fused, ir, vi_y)

    scored = score_samples((sample(ir, vi_y) for _, ir, vi_y in crops), {_CONVENTION: USUAL})
    found = dict(zip((name for name, *_ in crops), scored, strict=True))
    return collect_scores(list(PATHS), found, {_CONVENTION: USUAL})[0][0]


def _spectra(weights: str, crops: Crops) -> tuple[dict[str, list[float]], Figure]:
    """Share of the power above LIMIT of each crop, by features, and a figure of all spectra."""
    params, config, _ = load_weights(weights)
    network: Any = build(config)
    outputs = jax.jit(lambda p, ir, vi_y: network.apply({"params": p}, ir, vi_y, method="outputs")["features"])
    curves: dict[str, list[np.ndarray]] = {}
    shares: dict[str, list[float]] = {}
    for _, ir, vi_y in crops:
        found = {"infrared image": ir, "visible image": vi_y}
        features = outputs(params, ir[None], vi_y[None])
        names = {"ir_base": "long, infrared", "ir_detail": "short, infrared"}
        names |= {"vi_base": "long, visible", "vi_detail": "short, visible"}
        found |= {shown: np.asarray(features[name])[0] for name, shown in names.items()}
        for name, values in found.items():
            curve, share = spectrum(values)
            curves.setdefault(name, []).append(curve)
            shares.setdefault(name, []).append(share)
    figure = Figure(figsize=(9, 4), layout="constrained")
    for axis, source in zip(figure.subplots(1, 2, sharey=True), ("infrared", "visible"), strict=True):
        for name, found in curves.items():
            if source in name:
                middle = np.linspace(0, 0.5, len(found[0]) + 1)
                axis.semilogy((middle[1:] + middle[:-1]) / 2, np.mean(found, axis=0), label=name)
        axis.axvline(LIMIT, color="gray", linewidth=0.8)
        axis.set(title=source, xlabel="cycles per pixel")
        axis.legend()
    figure.axes[0].set_ylabel("share of the power per ring")
    return shares, figure


def spectrum(values: Float[np.ndarray, "h w c"], *, rings: int = 32) -> tuple[Float[np.ndarray, " r"], float]:
    """Power by distance from frequency 0, and its share above LIMIT.

    Args:
        values: an image or features.
        rings: number of rings from 0 to 0.5 cycles per pixel.

    Returns:
        The share of each ring, and that of all frequencies above LIMIT, corners included.
    """
    h, w, _ = values.shape
    window = np.outer(np.hanning(h), np.hanning(w))[..., None]
    centered = values - np.average(values, axis=(0, 1), weights=np.broadcast_to(window, values.shape))
    power = np.square(np.abs(np.fft.fft2(centered * window, axes=(0, 1)))).sum(axis=-1)
    distance = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.fftfreq(w))
    power /= power.sum()
    places = np.minimum((distance / 0.5 * rings).astype(int), rings)
    return np.bincount(places.ravel(), power.ravel(), minlength=rings + 1)[:rings], float(power[distance > LIMIT].sum())


def _share_table(shares: dict[str, list[float]]) -> list[str]:
    """Mean shares, and paired differences of the paths with their 95% intervals over the crops."""
    rows = [[name, f"{np.mean(found):.3f}"] for name, found in shares.items()]
    for source in ("infrared", "visible"):
        difference = np.subtract(shares[f"short, {source}"], shares[f"long, {source}"])
        drawn = difference[np.random.default_rng(0).integers(0, len(difference), (DRAWS, len(difference)))].mean(axis=1)
        low, high = np.quantile(drawn, TAILS)
        rows.append([f"short - long, {source}", f"{difference.mean():+.3f} ({low:+.3f} to {high:+.3f})"])
    return ["", f"Share of the power above {LIMIT:g} cycle per pixel:", "", *markdown_table(["of", "share"], rows)]
