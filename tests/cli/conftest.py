"""Pairs that the commands read and never change."""

import pytest

from fusejax.data.synthetic import write_synthetic_folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    root = tmp_path_factory.mktemp("pairs")
    write_synthetic_folder(root, count=3, size=(40, 48))
    return root
