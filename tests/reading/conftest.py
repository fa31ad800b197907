"""Where the tests of this room put a store."""

import pytest


@pytest.fixture
def path(tmp_path):
    return tmp_path / "image.ome.zarr"
