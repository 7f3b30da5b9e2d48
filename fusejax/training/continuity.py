"""Whether a resumed run would see the samples that it would have seen without a stop."""

from collections.abc import Sequence
from typing import Any

from fusejax.config import TrainConfig
from fusejax.data.pipeline import order_ahead
from fusejax.versions import changed_versions, installed_versions


def data_position(sources: Sequence, config: TrainConfig, samples_seen: int) -> dict[str, Any]:
    """What a checkpoint records about the data.

    Args:
        sources: training pairs, from `fusejax.data.pipeline.open_sources`.
        config: configuration of the run.
        samples_seen: number of samples of all processes so far.

    Returns:
        `samples_seen`; `versions`, those of the libraries; `pairs`, the number of pairs in each
        source; `order`, a fingerprint of the samples that come next.
    """
    order = order_ahead(sources, config.data, seed=config.seed, samples_seen=samples_seen)
    return {
        "samples_seen": samples_seen,
        "versions": installed_versions(),
        "pairs": [len(source) for source in sources],
        "order": order,
    }


def check_same_order(saved: dict[str, Any], sources: Sequence, config: TrainConfig, *, override: bool) -> list[str]:
    """Compares a checkpoint's data position with what this process would read.

    Args:
        saved: from `data_position` when the checkpoint was written; older ones hold `samples_seen`
            alone and are not compared.
        sources: training pairs of this process.
        config: configuration of the run that resumes.
        override: accept another order.

    Returns:
        Messages about other versions and another order.

    Raises:
        ValueError: if other samples would come than without the stop, unless `override` is set.
    """
    if "order" not in saved:
        return []
    now = data_position(sources, config, saved["samples_seen"])
    versions = changed_versions(saved["versions"], now["versions"])
    if now["order"] == saved["order"]:
        return [f"versions differ from the checkpoint's: {versions}; the samples are the same."] if versions else []
    if now["pairs"] != saved["pairs"]:
        why = f"the sources have {_listed(now['pairs'])} pairs, {_listed(saved['pairs'])} when it was saved"
    else:
        why = f"the libraries have changed ({versions})" if versions else "the settings of the data have changed"
    text = f"from here on, other training samples would come than without the stop: {why}"
    if override:
        return [f"{text}; continuing because of --override."]
    remedy = "restore them" if now["pairs"] != saved["pairs"] else "install the versions of the checkpoint"
    raise ValueError(f"{text[0].upper()}{text[1:]}. To continue exactly, {remedy}; --override accepts the new order.")


def _listed(counts: list[int]) -> str:
    return " + ".join(map(str, counts))
