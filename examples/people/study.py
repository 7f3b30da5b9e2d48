"""Does fusion make people easier to detect? A small patch classifier, trained on each kind of
image.

The classifier sees the visible luma, the infrared image, one fused luma, or both sources as two
channels, which is the most that fusion could preserve for this task. Everything else is the same:
positions of the patches, network, steps, seeds. It is trained only on synthetic streets; no
pretrained weights are used.

Limits: synthetic people are always warmer than their surroundings, so infrared alone is a strong
competitor; patches are given, so nothing has to be searched for; and a classifier with 7,000
parameters is not a human observer. The numbers can show whether a fused image loses information
that one of its sources contains.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float
from people.patches import Fuse, Patches, cut_patches, image_kinds, joined

from fusejax.data.synthetic import synthetic_pair
from fusejax.io.images import from_float, to_float
from fusejax.progress import track
from fusejax.report.markdown import markdown_table
from fusejax.typing import Pair, Params

_COPIES = 3
_TEST_SEED = 5_000_000  # of the first test scene; training scenes start at 1,000,000 * (seed + 1)
_NOISE = 40 / 255  # on infrared, in the third set
_RATE = 3e-3
_BATCH = 64
_BUCKET = 2048  # patches


@dataclasses.dataclass(frozen=True)
class PeopleConfig:
    """Amount of data and training.

    Attributes:
        scenes: number of synthetic streets for training, for each seed.
        test_scenes: number of synthetic streets for testing, half of them at night.
        size: height and width of a scene in pixels.
        steps: number of training steps, with batches of 64.
        seeds: number of repetitions, each with its own scenes and initial weights.
    """

    scenes: int = 100
    test_scenes: int = 120
    size: tuple[int, int] = (240, 320)
    steps: int = 400
    seeds: int = 3


class PatchClassifier(nn.Module):
    """Three convolutions with stride 2 and a linear layer; returns one logit per patch."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, " b"]:
        x = 4 * (x - 0.4)
        for n, width in enumerate((8, 16, 24)):
            x = nn.relu(nn.Conv(width, (3, 3), strides=2, name=f"conv{n + 1}")(x))
        return nn.Dense(1, name="head")(x.reshape(x.shape[0], -1))[:, 0]


def _padded(images: Float[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n2 h w c"]:
    """Pads the batch with black patches, so that only a few batch sizes are compiled."""
    return np.pad(images, ((0, -len(images) % _BUCKET), (0, 0), (0, 0), (0, 0)))


def train_classifier(
    key: jax.Array, images: Float[np.ndarray, "n h w c"], people: Bool[np.ndarray, " n"], *, steps: int
) -> Params:
    """Trains on patches with cross entropy; batches contain as many people as other patches.

    Args:
        key: random key for the initial weights, batches and flips.
        images: patches in [0, 1].
        people: whether each patch shows a person; both kinds must occur.
        steps: number of Adam updates, with a cosine schedule.

    Returns:
        The parameters.
    """
    every = _padded(images)
    shares = np.zeros((2, len(every)), np.float32)
    for share, chosen in zip(shares, (people, ~people), strict=True):
        share[: len(people)] = chosen / chosen.sum()
    return _train(key, every, shares, steps=steps)


@partial(jax.jit, static_argnames="steps")
def _train(key: jax.Array, images: Float[Array, "n h w c"], shares: Float[Array, "2 n"], *, steps: int) -> Params:
    """Draws half of each batch from each row of probabilities; the first row is for people."""
    model, tx = PatchClassifier(), optax.adam(optax.cosine_decay_schedule(_RATE, steps))
    start, loop = jax.random.split(key)
    params = model.init(start, images[:1])["params"]

    def step(carry: tuple, key: jax.Array) -> tuple[tuple, Float[Array, ""]]:
        params, state = carry
        flip, *draws = jax.random.split(key, 3)
        chosen = [jax.random.choice(k, len(images), (_BATCH // 2,), p=p) for k, p in zip(draws, shares, strict=True)]
        batch = images[jnp.concatenate(chosen)]
        batch = jnp.where(jax.random.bernoulli(flip, shape=(_BATCH, 1, 1, 1)), batch[:, :, ::-1], batch)
        truth = jnp.arange(_BATCH) < _BATCH // 2

        def loss(params: Params) -> Float[Array, ""]:
            return optax.sigmoid_binary_cross_entropy(model.apply({"params": params}, batch), truth).mean()

        value, slopes = jax.value_and_grad(loss)(params)
        updates, state = tx.update(slopes, state, params)
        return (optax.apply_updates(params, updates), state), value

    (params, _), _ = jax.lax.scan(step, (params, tx.init(params)), jax.random.split(loop, steps))
    return params


def classify(params: Params, images: Float[np.ndarray, "n h w c"]) -> Float[np.ndarray, " n"]:
    """Logits of patches; larger values mean that a person is more likely."""
    return np.asarray(_logits(params, _padded(images)))[: len(images)]


@jax.jit
def _logits(params: Params, images: Float[Array, "n h w c"]) -> Float[Array, " n"]:
    return jnp.asarray(PatchClassifier().apply({"params": params}, images))


def average_precision(scores: Float[np.ndarray, " n"], people: Bool[np.ndarray, " n"]) -> float:
    """Mean, over the people, of the precision at each one's rank; equal scores share a rank.

    Args:
        scores: scores of the patches; higher scores rank first.
        people: ground truth.

    Returns:
        In (0, 1]; NaN if there is no person.
    """
    if not people.any():
        return float("nan")
    above = (scores[None, :] >= scores[people][:, None]).sum(axis=1)
    people_above = (scores[people][None, :] >= scores[people][:, None]).sum(axis=1)
    return float((people_above / above).mean())


def run_people_study(
    methods: Mapping[str, Fuse], config: PeopleConfig, *, further: Mapping[str, Sequence[Pair]] | None = None
) -> dict[str, dict[str, Float[np.ndarray, " seeds"]]]:
    """Trains a classifier for each kind of image and seed, and tests all of them on the same
    patches.

    Args:
        methods: fusion functions by name.
        config: amount of data and training.
        further: other test sets by name: pairs with boxes and labels.

    Returns:
        Average precision by set of patches, kind of image and seed.
    """
    tests = _made_up_tests(methods, config) | {
        name: joined([_patches(pair, methods, n) for n, pair in enumerate(pairs)])
        for name, pairs in (further or {}).items()
    }
    found = {name: {kind: np.zeros(config.seeds) for kind in kinds} for name, kinds in tests.items()}
    for seed in range(config.seeds):
        scenes = _scenes(1_000_000 * (seed + 1), config.scenes, config, f"drawing scenes, seed {seed}")
        train = joined([_patches(pair, methods, n, copies=_COPIES) for n, pair in enumerate(scenes)])
        for kind, patches in train.items():
            params = train_classifier(jax.random.key(seed), patches.images, patches.people, steps=config.steps)
            for name, kinds in tests.items():
                scores = classify(params, kinds[kind].images)
                found[name][kind][seed] = average_precision(scores, kinds[kind].people)
    return found


def people_table(found: Mapping[str, Mapping[str, Float[np.ndarray, " seeds"]]]) -> str:
    """A Markdown table with one row per kind of image: mean ± standard deviation over the seeds."""
    sets = list(found)
    rows = [
        [kind, *(f"{found[name][kind].mean():.3f} ± {found[name][kind].std():.3f}" for name in sets)]
        for kind in found[sets[0]]
    ]
    return "\n".join(markdown_table(["image", *sets], rows)) + "\n"


def _scenes(first: int, count: int, config: PeopleConfig, text: str) -> Iterator[Pair]:
    return track(
        (synthetic_pair(first + n, size=config.size) for n in range(count)), count, description=text, unit="scenes"
    )


def _patches(pair: Pair, methods: Mapping[str, Fuse], number: int, *, copies: int = 0) -> dict[str, Patches]:
    """The draws depend only on the number, so the positions are the same for every kind of
    image.
    """
    boxes, labels = pair.get("boxes", np.zeros((0, 4), np.float32)), [str(label) for label in pair.get("labels", ())]
    rng = np.random.default_rng(number)
    return cut_patches(image_kinds(pair, methods), boxes, labels, rng=rng, copies=copies)


def _made_up_tests(methods: Mapping[str, Fuse], config: PeopleConfig) -> dict[str, dict[str, Patches]]:
    """Streets by day, at night, and at night with a noisy infrared camera."""
    parts: dict[str, list[dict[str, Patches]]] = {"day": [], "night": [], "night, noisy infrared": []}
    for n, pair in enumerate(_scenes(_TEST_SEED, config.test_scenes, config, "drawing test scenes")):
        night = n % 2 == 1
        parts["night" if night else "day"].append(_patches(pair, methods, n))
        if night:
            noise = np.random.default_rng(n).standard_normal(pair["ir"].shape)
            noisy = from_float(to_float(pair["ir"]) + _NOISE * noise, np.uint8)
            degraded: Pair = {**pair, "ir": noisy}
            parts["night, noisy infrared"].append(_patches(degraded, methods, n))
    return {name: joined(found) for name, found in parts.items()}
