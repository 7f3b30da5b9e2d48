"""FusionNet once more, in float64 NumPy and SciPy, written from the specification and not from the
JAX module.

An independent reading: concatenations are built, 3x3 windows are gathered, up-sampling interpolates
at half-pixel
coordinates. Parameters are the tree of the JAX module.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import map_coordinates
from scipy.special import expit, softmax


def conv3x3(p, x, stride=1):
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    windows = sliding_window_view(x, (3, 3), axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("bhwcij,ijco->bhwo", windows, np.float64(p["kernel"])) + np.float64(p["bias"])


def dense(p, x):
    return x @ np.float64(p["kernel"]) + np.float64(p["bias"])


def relu(x):
    return np.maximum(x, 0)


def residual(p, x):
    return x + conv3x3(p["conv2"], relu(conv3x3(p["conv1"], x)))


def twice(x):
    b, h, w, c = x.shape
    rows, columns = ((np.arange(2 * n) + 0.5) / 2 - 0.5 for n in (h, w))
    at = np.meshgrid(rows, columns, indexing="ij")
    planes = [map_coordinates(x[n, :, :, k], at, order=1, mode="nearest") for n in range(b) for k in range(c)]
    return np.reshape(planes, (b, c, 2 * h, 2 * w)).transpose(0, 2, 3, 1)


def encode(p, y, blocks):
    skip = residual(p["block1"], conv3x3(p["stem"], y))
    x = conv3x3(p["down"], skip, stride=2)
    for n in range(2, blocks + 1):
        x = residual(p[f"block{n}"], x)
    return skip, x


def fuse(params, config, ir, vi_y):
    """Fused luma and a dict of w_ir, w_vi, alpha, all float64 [b, h, w, 1]."""
    _, h, w, _ = ir.shape
    even = ((0, 0), (0, h % 2), (0, w % 2), (0, 0))
    ir, vi_y = (np.pad(np.float64(x), even, mode="reflect") for x in (ir, vi_y))
    skip_ir, f_ir = encode(params["ir_encoder"], ir, len(config.widths))
    skip_vi, f_vi = encode(params["vi_encoder"], vi_y, len(config.widths))

    p, both = params["attention"], np.concatenate([f_ir, f_vi], axis=-1)
    weights = softmax(conv3x3(p["logits"], relu(dense(p["mix"], both))), axis=-1)
    w_ir, w_vi = weights[..., :1], weights[..., 1:]
    attended = np.concatenate([f_ir * (1 + w_ir), f_vi * (1 + w_vi)], axis=-1)
    if config.channel_gate:
        means = both.mean(axis=(1, 2), keepdims=True)
        attended = attended * expit(dense(p["gate_expand"], relu(dense(p["gate_squeeze"], means))))

    p, half = params["alpha"], f_ir.shape[-1]
    alpha = expit(conv3x3(p["logit"], relu(conv3x3(p["mix"], attended))))
    blended = alpha * attended[..., :half] + (1 - alpha) * attended[..., half:]
    alpha_full = twice(alpha)
    skip = alpha_full * skip_ir + (1 - alpha_full) * skip_vi

    p = params["decoder"]
    x = twice(residual(p["block2"], residual(p["block1"], blended)))
    x = conv3x3(p["merge"], np.concatenate([x, skip], axis=-1))
    x = conv3x3(p["out"], residual(p["block3"], x))
    fused_y = alpha_full * ir + (1 - alpha_full) * vi_y + x if config.image_space_alpha else expit(x)
    aux = {"w_ir": twice(w_ir), "w_vi": twice(w_vi), "alpha": alpha_full}
    return fused_y[:, :h, :w], {k: v[:, :h, :w] for k, v in aux.items()}
