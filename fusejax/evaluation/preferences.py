"""What viewers preferred: wins, abilities with intervals, agreement, and metrics that predict it.

A choice is made between two images that are shown without the names of their methods
(`fusejax.report.blind_page`).
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

from fusejax.evaluation.results import Scores
from fusejax.metrics import merit

Side = Literal["left", "right", "equal"]

_DRAWS = 1000  # bootstrap samples
_PRIOR = 0.5  # wins of each side that are added to every compared pair of methods
_STEPS = 500


@dataclasses.dataclass(frozen=True)
class Choice:
    """One answer of one viewer.

    Attributes:
        viewer: name of the viewer.
        image: name of the pair of sources.
        left: method shown on the left.
        right: method shown on the right.
        side: which one looked better.
    """

    viewer: str
    image: str
    left: str
    right: str
    side: Side

    @property
    def winner(self) -> str | None:
        """The preferred method; None if both look equally good."""
        return None if self.side == "equal" else self.left if self.side == "left" else self.right


@dataclasses.dataclass(frozen=True)
class Preference:
    """How a method fared.

    Attributes:
        method: its name.
        wins: choices for it.
        ties: choices in which it was as good as the other one.
        losses: choices against it.
        ability: logarithm of the odds against an average method, see `bradley_terry`.
        low: lower end of the 95 % interval of the ability.
        high: upper end of the interval.
    """

    method: str
    wins: int
    ties: int
    losses: int
    ability: float
    low: float
    high: float


def preferences(choices: Sequence[Choice], *, seed: int = 0) -> list[Preference]:
    """Counts choices and estimates abilities.

    The intervals are percentiles of a bootstrap over images, because choices about one image are
    not independent.

    Args:
        choices: answers of one or many viewers.
        seed: seed of the bootstrap.

    Returns:
        One entry per method, the most preferred first.

    Raises:
        ValueError: if there are no choices.
    """
    if not choices:
        raise ValueError("There are no answers to count.")
    methods = sorted({name for c in choices for name in (c.left, c.right)})
    images = sorted({c.image for c in choices})
    won = np.zeros((len(images), len(methods), len(methods)))
    for c in choices:
        a, b, image = methods.index(c.left), methods.index(c.right), images.index(c.image)
        won[image, a, b] += {"left": 1.0, "right": 0.0, "equal": 0.5}[c.side]
        won[image, b, a] += {"left": 0.0, "right": 1.0, "equal": 0.5}[c.side]
    rng = np.random.default_rng(seed)
    drawn = [bradley_terry(won[rng.integers(len(images), size=len(images))].sum(0)) for _ in range(_DRAWS)]
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
    rows = []
    for n, (method, ability) in enumerate(zip(methods, bradley_terry(won.sum(0)), strict=True)):
        mine = [c for c in choices if method in (c.left, c.right)]
        wins, ties = sum(c.winner == method for c in mine), sum(c.winner is None for c in mine)
        rows.append(Preference(method, wins, ties, len(mine) - wins - ties, float(ability), low[n], high[n]))
    return sorted(rows, key=lambda row: -row.ability)


def bradley_terry(won: Float[np.ndarray, "n n"]) -> Float[np.ndarray, " n"]:
    """Abilities of methods from the outcomes of comparisons (Bradley and Terry 1952).

    Method a is preferred to b with probability 1 / (1 + exp(ability_b - ability_a)). The maximum of
    the likelihood is found by Hunter's iteration (2004). Half a win for each side is added to every
    pair that was compared, so that a method that always wins has a finite ability.

    Args:
        won: how often the method of a row was preferred to that of a column; a tie counts half for
            each.

    Returns:
        Abilities with mean 0.
    """
    played = won + won.T > 0
    won = won + _PRIOR * played
    total, games = won.sum(1), won + won.T
    strength = np.ones(len(won))
    for _ in range(_STEPS):
        before = strength
        strength = total / np.maximum((games / (strength[:, None] + strength)).sum(1), 1e-12)
        strength = np.maximum(strength / np.exp(np.log(np.maximum(strength, 1e-12)).mean()), 1e-12)
        if np.abs(strength - before).max() < 1e-10:
            break
    ability = np.log(strength)
    return ability - ability.mean()


def agreement(choices: Sequence[Choice]) -> float | None:
    """Share of pairs of viewers that gave the same answer to the same comparison.

    Args:
        choices: answers of several viewers.

    Returns:
        The share in [0, 1]; None if no comparison was seen by two viewers.
    """
    seen: dict[tuple[str, frozenset[str]], list[Choice]] = {}
    for c in choices:
        seen.setdefault((c.image, frozenset((c.left, c.right))), []).append(c)
    pairs = [
        a.winner == b.winner
        for group in seen.values()
        for a, b in itertools.combinations(group, 2)
        if a.viewer != b.viewer
    ]
    return float(np.mean(pairs)) if pairs else None


def merits(tables: Sequence[Scores]) -> dict[str, dict[tuple[str, str], float]]:
    """Scores in the form of `predictions`.

    Args:
        tables: scores of the clean sources, such as those of `read_scores`.

    Returns:
        By convention and metric, such as "look kept", the merit of each image
        (`fusejax.metrics.merit`) by method and image. Images of a named set are called SET/NAME.
    """
    found: dict[str, dict[tuple[str, str], float]] = {}
    for scores in tables:
        prefix = f"{scores.name}/" if scores.name else ""
        for metric in scores.metrics:
            values = found.setdefault(f"{scores.convention} {metric}".strip(), {})
            for method in scores.methods:
                good = merit(metric, scores.of(method, metric))
                values |= {(method, prefix + name): v for name, v in zip(scores.images, good.tolist(), strict=True)}
    return found


def predictions(
    choices: Sequence[Choice], scores: Mapping[str, Mapping[tuple[str, str], float]]
) -> dict[str, tuple[float, int]]:
    """How often each metric prefers the image that the viewer preferred.

    Args:
        choices: answers; ties are left out.
        scores: by metric, a number by (method, image) of which larger ones are better.

    Returns:
        By metric, the share of decided choices that it predicts (equal scores count half) and the
        number of those choices. Choices for which a score is missing or NaN are left out.
    """
    found = {}
    for metric, values in scores.items():
        right = []
        for c in choices:
            if c.winner is None:
                continue
            loser = c.right if c.winner == c.left else c.left
            difference = values.get((c.winner, c.image), np.nan) - values.get((loser, c.image), np.nan)
            if np.isfinite(difference):
                right.append(0.5 + 0.5 * np.sign(difference))
        found[metric] = (float(np.mean(right)) if right else float("nan"), len(right))
    return found
