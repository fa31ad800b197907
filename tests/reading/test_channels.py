"""Channels as layers: names, colours and limits, said or not said."""

import numpy as np
import pytest
from napari.components import ViewerModel
from odd_stores import addressed, change, others_group, small_tiles, write

from napari_zarr_stream import (
    Channel,
    ZarrStream,
)
from napari_zarr_stream._reading.layers import MAX_CHANNEL_LAYERS
from napari_zarr_stream._reading.reader import layers_of


def test_one_layer_for_each_channel(path):
    pixels = addressed((2, 3, 40, 50))
    channels = [
        Channel("DAPI", "0000FF", (1, 10)),
        Channel("channel 1", "12ab34"),
        Channel("Cy5", "FF00FF", (3, 30)),
    ]
    with ZarrStream(
        small_tiles(path),
        axes="tcyx",
        shape=pixels.shape,
        dtype="u2",
        scale=(3, 1, 0.5, 0.5),
        channels=channels,
        name="embryo",
    ) as stream:
        stream.append(pixels)
    layers = layers_of(path)
    assert [meta["name"] for _, meta, _ in layers] == [
        "DAPI",
        "embryo: channel 1",
        "Cy5",
    ]
    assert [meta["colormap"] for _, meta, _ in layers] == ["blue", "#12AB34", "magenta"]
    assert [meta["contrast_limits"] for _, meta, _ in layers] == [
        (1, 10),
        (0, 65535),
        (3, 30),
    ]
    for i, (data, meta, _) in enumerate(layers):
        np.testing.assert_array_equal(data[0], pixels[:, i])
        assert meta["axis_labels"] == ["t", "y", "x"]
        assert meta["scale"] == [3, 0.5, 0.5]
        assert meta["blending"] == "additive"


def test_rgba_comes_back_as_channels_of_which_alpha_adds_no_light(path):
    pixels = addressed((40, 50, 4), "u1")
    write(path, pixels, rgb=True)
    viewer = ViewerModel()
    for i, (data, meta, _) in enumerate(layers_of(path)):
        layer = viewer.add_image(data, **meta)
        np.testing.assert_array_equal(layer.data[0], pixels[..., i])
    colors = [layer.colormap.colors[-1][:3].tolist() for layer in viewer.layers]
    assert colors == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]


def test_a_spectrum_stays_one_layer(path):
    pixels = addressed((MAX_CHANNEL_LAYERS + 1, 20, 20))
    ((data, meta, _),) = layers_of(write(path, pixels, axis_labels=("c", "y", "x")))
    np.testing.assert_array_equal(data[0], pixels)
    assert meta["axis_labels"] == ["c", "y", "x"]


def test_omero_metadata_with_gaps(path):
    others_group(path, "0.4", addressed((3, 8, 9)), [{"name": n} for n in "cyx"])
    omero = {
        "channels": [
            {"color": "nonsense", "window": {"start": 5, "end": 5}},
            {"label": "GFP", "active": False},
        ]
    }
    change(path / ".zattrs", lambda d: d.update(omero=omero))
    with pytest.warns(UserWarning, match="colour 'nonsense' of a channel is none"):
        layers = [meta for _, meta, _ in layers_of(path)]
    assert [m["name"] for m in layers] == [
        "image: channel 0",
        "GFP",
        "image: channel 2",
    ]
    assert [m["visible"] for m in layers] == [True, False, True]
    np.testing.assert_allclose(layers[0]["contrast_limits"], (0.355, 70.858))
