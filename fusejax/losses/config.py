"""Configurations of objectives: plain data, which does not import JAX.

Names and options of terms are checked by `fusejax.losses.check_objective`, which knows the terms.
"""

import dataclasses
from typing import Any, Literal

from fusejax.options import check_choices, renamed_fields


@dataclasses.dataclass(frozen=True)
class TermConfig:
    """One term of an objective.

    Attributes:
        name: a key of `fusejax.losses.TERMS`.
        weight: factor of the term in the sum, non-negative.
        options: keyword arguments of the term's function.
        decay: factor by which the weight is multiplied: 1, or (1 + cos(pi e / E)) / 2, where E is
            the number of epochs of the stage and e the epoch within the stage (`cosine`, from 1 to
            0) or since the start of the run (`global_cosine`, which increases again past E;
            CrossFuse's published script).
        sources: pair that the term sees as `ir` and `vi_y`: the `clean` one, or the `resolved` one
            without noise and cancellation (`fusejax.losses.resolved.resolve_pair`).

    Example:
        >>> TermConfig("joint_gradient", 10.0, {"padding": "edge"}).weight
        10.0
    """

    name: str
    weight: float = 1.0
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    decay: Literal["none", "cosine", "global_cosine"] = "none"
    sources: Literal["clean", "resolved"] = "clean"

    def __post_init__(self):
        check_choices(self)
        if not self.weight >= 0:
            raise ValueError(f"The weight of {self.name!r} is {self.weight}; a negative weight rewards errors.")


@dataclasses.dataclass(frozen=True)
class RegionConfig:
    """How object regions are turned into a mask, see `fusejax.ops.boxes`.

    Attributes:
        soft_edge_sigma: standard deviation of the Gaussian that softens the boxes, in pixels;
            0: hard edges.
        area_balanced: whether small boxes get larger weights.
        fallback: replacement for the boxes if the data has none at all: nothing, or hot spots of
            the infrared image.

    Example:
        >>> RegionConfig(fallback="thermal_saliency").soft_edge_sigma
        0.0
    """

    soft_edge_sigma: float = 0.0
    area_balanced: bool = False
    fallback: Literal["none", "thermal_saliency"] = "none"

    def __post_init__(self):
        check_choices(self)


@renamed_fields(equalised_weight="equalized_weight", equalisation="equalization")
@dataclasses.dataclass(frozen=True)
class ReferenceConfig:
    """How the reference is computed. By default 75% edges and 25% equalization, as in the paper.

    Attributes:
        edge_weight: weight of the sharpened base.
        equalized_weight: weight of the equalized base. The remainder to 1 is the weight of the base
            itself, 0 by default (the tuned recipe departs from this, because full sharpening would
            amplify sensor noise).
        equalization: `clahe` (8x8 tiles, clip limit 2, as in OpenCV) or `global`.
        base: `max`, the larger source at every pixel, or `two_scale`, half of that plus half of
            max(G I, G V) + (I - G I) + (V - G V) with a Gaussian G: brightness from the brighter
            neighborhood, detail from both sources (a departure; it keeps detail of the darker
            source, which the maximum loses).
        base_sigma: standard deviation of G in pixels.
        headroom: smoothly lower the two-scale base where its detail would exceed the range, so that
            warm people stay visible in front of a blown-out light (a departure).
        enhance_first: enhance each source and take the larger result, instead of enhancing their
            base.

    Example:
        >>> ReferenceConfig().edge_weight
        0.75
    """

    edge_weight: float = 0.75
    equalized_weight: float = 0.25
    equalization: Literal["clahe", "global"] = "clahe"
    base: Literal["max", "two_scale"] = "max"
    base_sigma: float = 20.0
    headroom: bool = False
    enhance_first: bool = False

    def __post_init__(self):
        check_choices(self)
        if min(self.edge_weight, self.equalized_weight) < 0 or self.edge_weight + self.equalized_weight > 1 + 1e-6:
            raise ValueError(
                f"edge_weight {self.edge_weight} and equalized_weight {self.equalized_weight} must be fractions: "
                "neither negative, sum at most 1."
            )
        if self.base_sigma <= 0:
            raise ValueError(f"base_sigma is {self.base_sigma} pixels; it must be positive.")
        if self.headroom and self.base != "two_scale":
            raise ValueError(f"headroom is for the detail of base 'two_scale'; base is {self.base!r}.")
        if self.enhance_first and self.base != "max":
            raise ValueError(f"enhance_first joins the sources by their maximum; base {self.base!r} does not apply.")


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig:
    """A weighted sum of terms, and how their reference image and region mask are computed.

    Attributes:
        terms: terms with different names.
        reference: configuration for terms that need `reference`.
        regions: configuration for terms that need `mask`.
        noise_gain: multiple of the infrared image's noise at which half of its detail passes, for
            terms that need `resolved` or see the resolved pair.

    Example:
        >>> terms = TermConfig("ssim"), TermConfig("reference_intensity", 5.0)
        >>> [term.weight for term in ObjectiveConfig(terms).terms]
        [1.0, 5.0]
    """

    terms: tuple[TermConfig, ...]
    reference: ReferenceConfig = dataclasses.field(default_factory=ReferenceConfig)
    regions: RegionConfig = dataclasses.field(default_factory=RegionConfig)
    noise_gain: float = 2.0

    def __post_init__(self):
        names = [term.name for term in self.terms]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"An objective needs terms of different names; got {', '.join(names) or 'none'}.")
