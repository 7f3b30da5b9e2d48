"""Warnings about object boxes before the first step of a run."""

import dataclasses

import pytest

from fusejax.config import load_config
from fusejax.data.pipeline import open_sources
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.training.checks import missing_boxes


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("pairs")
    write_synthetic_folder(root / "boxed", count=2, size=(64, 64), boxes=True)
    write_synthetic_folder(root / "plain", count=3, size=(64, 64))
    return root


def warning(name, **data):
    config = load_config(name)
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, crop=32, **data))
    return missing_boxes(config, open_sources(config.data))


@pytest.mark.parametrize("more", [{}, {"keep_decoded": True}, {"patch_stride": 16}])
def test_pairs_without_boxes_are_reported(root, more):
    said = warning("fusionnet", root=str(root), folders=("plain",), **more)
    assert "has an object box" in said
    assert "--data.synthetic" in said
    assert "thermal_saliency" in said
    if not more:
        assert "none of the 3 training pairs" in said


@pytest.mark.parametrize("more", [{}, {"keep_decoded": True}, {"patch_stride": 16}])
def test_one_source_with_boxes_is_enough(root, more):
    assert warning("fusionnet", root=str(root), folders=("plain", "boxed"), **more) is None
    assert warning("fusionnet", root=str(root), folders=("plain",), synthetic=2, **more) is None


def test_nothing_is_said_where_boxes_are_not_needed(root):
    assert warning("crossfuse", root=str(root), folders=("plain",)) is None
    assert warning("fusionnet", root=str(root), folders=("plain",), max_boxes=0, box_share=0.0) is None
