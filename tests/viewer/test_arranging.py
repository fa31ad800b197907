"""Positions that are open, shown in the other way."""

import numpy as np
import pytest
from napari.components import ViewerModel
from windows import messages, wait_until

from napari_zarr_stream import (
    ImageDescription,
    ImageSet,
    StorageProperties,
    open_layers,
)
from napari_zarr_stream._viewer.arranging import arrange_positions

pytestmark = pytest.mark.usefixtures("qapp")


@pytest.fixture
def viewer(tmp_path):
    path = tmp_path / "a.zarr"
    images = [
        ImageDescription(
            str(p), f"site {p}", "yx", (8, 10), "uint8",
            scale=(1.0, 1.0), units=("um", "um"),
            record={"position": {"x_um": 20 * p, "y_um": 0}},
        )
        for p in range(2)
    ]  # fmt: skip
    with ImageSet(StorageProperties(path), images) as made:
        for p in range(2):
            made.put(p, (), np.full((8, 10), 1 + p, "uint8"))
    viewer = ViewerModel()
    for data, meta, _ in open_layers(path):
        viewer.add_image(data, **meta)
    return viewer


def test_there_and_back(viewer):
    other = viewer.add_image(np.zeros((4, 4)), name="other")
    for shape in ((8, 30), (2, 8, 10)):
        viewer.layers.selection = {layer for layer in viewer.layers if layer != other}
        arrange_positions(viewer)
        wait_until(lambda shape=shape: viewer.layers[-1].data.shape == shape)
        assert len(viewer.layers) == 2
    assert other in viewer.layers


def test_a_layer_of_no_positions(viewer):
    viewer.layers.clear()
    viewer.add_image(np.zeros((4, 4)))
    arrange_positions(viewer)
    assert len(viewer.layers) == 1
    assert "Select a layer that shows positions" in messages()[-1]
