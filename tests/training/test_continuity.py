"""A resumed run sees the samples that it would have seen, or says why not."""

import dataclasses
from pathlib import Path

import grain
import pytest

from fusejax.config import load_config
from fusejax.data import pipeline
from fusejax.data.pipeline import open_sources, order_ahead, training_batches
from fusejax.training import continuity
from fusejax.training.continuity import check_same_order, data_position

CONFIG = load_config(str(Path(__file__).parents[1] / "configs" / "tiny.py"))


@pytest.fixture
def sources():
    return open_sources(CONFIG.data)


def test_the_same_order_is_continued_without_a_word(sources):
    saved = data_position(sources, CONFIG, 24)
    assert check_same_order(saved, sources, CONFIG, override=False) == []


def test_other_versions_with_the_same_order_are_said(sources):
    saved = data_position(sources, CONFIG, 24)
    saved["versions"] |= {"grain": "0.1"}
    (line,) = check_same_order(saved, sources, CONFIG, override=False)
    assert line.startswith("versions differ from the checkpoint's: grain 0.1, now ")
    assert line.endswith("the samples are the same.")


def test_another_shuffle_of_the_library_is_refused_and_named(sources, monkeypatch):
    saved = data_position(sources, CONFIG, 24)
    monkeypatch.setattr(continuity, "installed_versions", lambda: saved["versions"] | {"grain": "99"})
    in_order = pipeline._in_order
    monkeypatch.setattr(pipeline, "_in_order", lambda sources, config, seed: in_order(sources, config, seed + 1))
    with pytest.raises(ValueError, match=r"other training samples .*grain \S+, now 99.*--override"):
        check_same_order(saved, sources, CONFIG, override=False)
    (line,) = check_same_order(saved, sources, CONFIG, override=True)
    assert line.endswith("continuing because of --override.")


def test_a_changed_number_of_pairs_is_refused_and_counted(sources):
    saved = data_position(sources, CONFIG, 24)
    more = open_sources(dataclasses.replace(CONFIG.data, synthetic=9))
    with pytest.raises(ValueError, match=r"the sources have 9 pairs, 8 when it was saved.*restore them"):
        check_same_order(saved, more, CONFIG, override=False)


def test_checkpoints_from_before_are_not_compared(sources):
    assert check_same_order({"samples_seen": 24}, sources, CONFIG, override=False) == []


@pytest.mark.parametrize("shares", [(), (1.0, 2.0)])
def test_the_fingerprint_follows_the_pairs_that_batches_hold(sources, shares):
    """The order of the stand-ins is that of the pairs themselves."""
    config = dataclasses.replace(CONFIG.data, shares=shares)
    both = [*sources, *open_sources(dataclasses.replace(CONFIG.data, synthetic=5))]
    numbers = [pipeline._Numbers(source, len(pairs)) for source, pairs in enumerate(both)]
    order = pipeline._in_order(numbers, config, 0)
    names = [both[sample["source"]][sample["pair"]]["id"] for sample in (order[index] for index in range(16))]
    batches = iter(training_batches(both, config, batch_size=8, seed=0))
    assert [*next(batches)["id"], *next(batches)["id"]] == names


def test_the_fingerprint_depends_on_position_seed_and_draws(sources, monkeypatch):
    found = order_ahead(sources, CONFIG.data, seed=0, samples_seen=0)
    assert found == order_ahead(sources, CONFIG.data, seed=0, samples_seen=0)
    assert found != order_ahead(sources, CONFIG.data, seed=0, samples_seen=8)
    assert found != order_ahead(sources, CONFIG.data, seed=1, samples_seen=0)

    class Other(grain.transforms.RandomMap):
        def random_map(self, sample, rng):
            return sample | {"draw": int(rng.integers(2**31))}

    monkeypatch.setattr(pipeline, "_Draw", Other)
    assert found != order_ahead(sources, CONFIG.data, seed=0, samples_seen=0)
