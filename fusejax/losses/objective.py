"""Objectives as data: weighted lists of named terms, each a pure function of its inputs.

The positional parameters of a term name its inputs: `fused_y`, the clean `ir` and `vi_y`, the
fine-grained `reference` computed from them, the `mask` of object regions, a random `key`, or one of
the model's outputs (`features`, `rebuilt`, ...). Its keyword-only parameters are its options.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax.numpy as jnp
from jaxtyping import Array

from fusejax.losses.angle import (
    angle_direction_loss,
    angle_magnitude_loss,
    angle_vector_loss,
    reference_direction_loss,
    reference_magnitude_loss,
)
from fusejax.losses.config import ObjectiveConfig, RegionConfig
from fusejax.losses.consistency import consistency_loss
from fusejax.losses.features import decomposition_loss
from fusejax.losses.gradient import (
    axiswise_gradient_loss,
    direction_aware_gradient_loss,
    joint_gradient_loss,
    signed_sum_gradient_loss,
)
from fusejax.losses.intensity import intensity_loss, maximum_intensity_loss, square_intensity_loss
from fusejax.losses.look import (
    chosen_bands_loss,
    flat_texture_loss,
    glare_contrast_loss,
    kept_contrast_loss,
    resolved_base_loss,
    undershoot_loss,
)
from fusejax.losses.quality import metric_ssim_loss, qabf_loss, scd_loss, vif_loss
from fusejax.losses.reconstruction import reconstruction_loss
from fusejax.losses.reference import fine_grained_reference
from fusejax.losses.region import target_aware_loss
from fusejax.losses.resolved import resolve_pair
from fusejax.losses.structure import ssim_loss
from fusejax.losses.tolerant import tolerant_gradient_loss, tolerant_maximum_loss
from fusejax.ops.arrays import check_equal_shapes
from fusejax.ops.boxes import rasterize, thermal_saliency
from fusejax.ops.numerics import sum_arrays
from fusejax.options import check_options, did_you_mean
from fusejax.typing import Luma, PerImage

# A new loss is one function that returns [b], and one line here. Configuration files may add terms.
TERMS: dict[str, Callable[..., PerImage]] = {
    "reference_intensity": intensity_loss,
    "square_intensity": square_intensity_loss,
    "maximum_intensity": maximum_intensity_loss,
    "ssim": ssim_loss,
    "joint_gradient": joint_gradient_loss,
    "axiswise_gradient": axiswise_gradient_loss,
    "signed_sum_gradient": signed_sum_gradient_loss,
    "direction_aware_gradient": direction_aware_gradient_loss,
    "angle_magnitude": angle_magnitude_loss,
    "angle_direction": angle_direction_loss,
    "angle_vector": angle_vector_loss,
    "reference_magnitude": reference_magnitude_loss,
    "reference_direction": reference_direction_loss,
    "decomposition": decomposition_loss,
    "consistency": consistency_loss,
    "reconstruction": reconstruction_loss,
    "target_aware": target_aware_loss,
    "qabf": qabf_loss,
    "metric_ssim": metric_ssim_loss,
    "scd": scd_loss,
    "vif": vif_loss,
    "chosen_bands": chosen_bands_loss,
    "kept_contrast": kept_contrast_loss,
    "flat_texture": flat_texture_loss,
    "resolved_base": resolved_base_loss,
    "glare_contrast": glare_contrast_loss,
    "undershoot": undershoot_loss,
    "tolerant_maximum": tolerant_maximum_loss,
    "tolerant_gradient": tolerant_gradient_loss,
}

# What the objective takes from a batch, if present.
_FROM_BATCH = ("ir", "vi_y", "boxes", "boxes_valid")
# Inputs that are available to every term, for any model.
_ALWAYS_GIVEN = ("ir", "vi_y", "key", "reference", "resolved")


@dataclasses.dataclass(frozen=True)
class Progress:
    """The position of a step in its run.

    Attributes:
        stage_epoch: epochs since the stage began, a number or a scalar array.
        run_epoch: epochs since the run began.
        stage_epochs: epochs of the whole stage.
    """

    stage_epoch: Any
    run_epoch: Any
    stage_epochs: float


def term_needs(name: str) -> tuple[str, ...]:
    """Names of the inputs of a term's function, which are its positional parameters."""
    kinds = inspect.signature(TERMS[name]).parameters.values()
    return tuple(p.name for p in kinds if p.kind is not inspect.Parameter.KEYWORD_ONLY)


def objective_needs(objective: ObjectiveConfig) -> set[str]:
    """Names of the inputs that the terms of an objective need together."""
    needs = {need for term in objective.terms for need in term_needs(term.name)}
    return needs | {"resolved" for term in objective.terms if term.sources == "resolved"}


def check_objective(objective: ObjectiveConfig, *, model: str, provides: tuple[str, ...], boxes: bool) -> None:
    """Checks, before anything is compiled, that every term will get its inputs.

    Args:
        objective: the terms.
        model: name of the network, for messages.
        provides: names of the network's outputs.
        boxes: whether the batches have boxes.

    Raises:
        ValueError: if there is no such term or option, or if a term needs an input that neither the
            batch nor the model provides.
    """
    for term in objective.terms:
        check_term(term.name, term.options)
    given = {*_ALWAYS_GIVEN, *provides}
    if boxes or objective.regions.fallback != "none":
        given.add("mask")
    for term in objective.terms:
        for need in term_needs(term.name):
            if need not in given:
                raise ValueError(_missing(need, term.name, given, model))


def _missing(need: str, term: str, given: set[str], model: str) -> str:
    from fusejax.models import NETWORKS

    if need == "mask":
        return (
            f"The loss term {term!r} needs boxes, but the batches have none: set data.max_boxes, or "
            "derive regions from the infrared images with objective.regions.fallback 'thermal_saliency'."
        )
    fitting_models = [m.__name__ for m in NETWORKS.values() if need in m.provides]
    fitting_terms = [name for name in TERMS if given.issuperset(term_needs(name))]
    return (
        f"The loss term {term!r} needs {need!r}, which {model} does not provide. "
        f"Models that do: {', '.join(fitting_models) or 'none'}; terms that fit {model}: {', '.join(fitting_terms)}."
    )


def objective_inputs(key: Array, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Any]:
    """Collects the inputs that are available to the terms of an objective.

    Args:
        key: random key of the step.
        outputs: outputs of the network.
        batch: see `fusejax.typing.Batch`.

    Returns:
        The inputs for `evaluate_objective`.
    """
    return {**outputs, **{name: batch[name] for name in _FROM_BATCH if name in batch}, "key": key}


def evaluate_objective(
    config: ObjectiveConfig, given: Mapping[str, Any], progress: Progress
) -> tuple[PerImage, dict[str, PerImage]]:
    """Evaluates all terms.

    Args:
        config: the terms.
        given: the clean `ir` and `vi_y` [b, h, w, 1] in [0, 1] (never the pair masked by ComMask,
            whose block borders are edges of the input only), `key`, the model's outputs, and
            `boxes` [b, n, 4] (x1, y1, x2, y2 in pixels) with `boxes_valid` [b, n] if there are any.
        progress: position in the run, for decaying weights.

    Returns:
        The weighted sum [b], and the unweighted terms [b] by name.

    Raises:
        ValueError: if the fused image and the pair differ in shape.

    Example:
        >>> import jax
        >>> x = jax.random.uniform(jax.random.key(0), (1, 48, 48, 1))
        >>> from fusejax.losses import ObjectiveConfig, Progress, TermConfig
        >>> objective = ObjectiveConfig((TermConfig("maximum_intensity", 2.0),))
        >>> given = {"fused_y": x, "ir": x, "vi_y": x}
        >>> total, parts = evaluate_objective(objective, given, Progress(0, 0, 1.0))
        >>> total.tolist(), list(parts)
        ([0.0], ['maximum_intensity'])
    """
    images = {name: given[name] for name in ("fused_y", "ir", "vi_y") if name in given}
    check_equal_shapes("The objective", **images)
    given = dict(given)
    given |= derived_inputs(config, given)
    sources = {"clean": given}
    if "resolved" in given:
        sources["resolved"] = given | {"ir": given["resolved"].ir, "vi_y": given["resolved"].vi_y}
    parts = {
        term.name: TERMS[term.name](*(sources[term.sources][need] for need in term_needs(term.name)), **term.options)
        for term in config.terms
    }
    total = sum_arrays(term.weight * decay_factor(term.decay, progress) * parts[term.name] for term in config.terms)
    return total, parts


def derived_inputs(config: ObjectiveConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    """What an objective computes from the pair for its terms, before any of them.

    Args:
        config: the terms.
        given: see `evaluate_objective`.

    Returns:
        Those of `reference`, `mask` and `resolved` that the terms need.
    """
    needs, found = objective_needs(config), {}
    if "reference" in needs:
        found["reference"] = fine_grained_reference(given["ir"], given["vi_y"], config=config.reference)
    if "mask" in needs:
        found["mask"] = _region_mask(config.regions, given)
    if "resolved" in needs:
        found["resolved"] = resolve_pair(given["ir"], given["vi_y"], noise_gain=config.noise_gain)
    return found


def _region_mask(config: RegionConfig, given: Mapping[str, Any]) -> Luma:
    if "boxes" not in given:
        return thermal_saliency(given["ir"])
    height, width = given["ir"].shape[1:3]
    return rasterize(
        given["boxes"],
        given["boxes_valid"],
        height=height,
        width=width,
        soft_edge_sigma=config.soft_edge_sigma,
        area_balanced=config.area_balanced,
    )


def decay_factor(decay: Literal["none", "cosine", "global_cosine"], progress: Progress) -> Any:
    """Factor of a term's weight (CrossFuse's beta(e) / beta(0)).

    Args:
        decay: see `TermConfig`.
        progress: position of the step in the run.

    Returns:
        A number, or a scalar array.

    Example:
        >>> from fusejax.losses import Progress
        >>> halfway = Progress(stage_epoch=5, run_epoch=5, stage_epochs=10)
        >>> round(float(decay_factor("cosine", halfway)), 3)
        0.5
        >>> decay_factor("none", halfway)
        1.0
    """
    if decay == "none":
        return 1.0
    epoch = progress.stage_epoch if decay == "cosine" else progress.run_epoch
    return 0.5 * (1.0 + jnp.cos(jnp.pi * epoch / progress.stage_epochs))


def check_term(name: str, options: Mapping[str, Any]) -> None:
    """Checks that there is a loss term of that name and that it has these options.

    Args:
        name: a key of `TERMS`.
        options: values of the term's options by name.

    Raises:
        ValueError: if not; names the closest term, or the term's options and their values.
    """
    if name not in TERMS:
        raise ValueError(f"There is no loss term {name!r}{did_you_mean(name, TERMS)} Known: {', '.join(TERMS)}.")
    check_options(TERMS[name], options, owner=repr(name))
