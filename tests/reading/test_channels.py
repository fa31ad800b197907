"""Channels as layers: names, colours and limits, said or not said."""

import numpy as np
import pytest
from napari.components import ViewerModel
from odd_stores import (
    addressed,
    change,
    halved,
    image_v2,
    opened,
    others_group,
    small_tiles,
    write,
)

from napari_zarr_stream import Channel, ZarrStream
from napari_zarr_stream._reading.layers import MAX_CHANNEL_LAYERS
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._writer.colours import given_color


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


THREE = addressed((3, 40, 50))


def shown(path, pixels, omero, axes="cyx", **entry):
    attributes = {} if omero is ... else {"omero": omero}
    image_v2(path, axes, halved(pixels, axes), attributes=attributes, **entry)
    layers, words = opened(path)
    viewer = ViewerModel()
    return [viewer.add_image(data, **meta) for data, meta, _ in layers], words


def color_of(layer):
    return tuple(round(float(value), 2) for value in layer.colormap.colors[-1][:3])


# id: number of channels, channels of omero
# fractal-tasks-core 578, napari-ome-zarr-navigator 47, glencoesoftware/bioformats2raw
# 160, NEUBIAS/training-resources 754
COLORLESS = {
    "no-omero": (3, ...),
    "two": (2, ...),
    "as-many-as-are-split": (16, ...),
    "null": (3, {"channels": [{"color": None}] * 3}),
    "labels-only": (3, {"channels": [{"label": str(i)} for i in range(3)]}),
    "fewer": (3, {"channels": [{"label": "DAPI", "color": "0000FF"}]}),
    "one-of-those-given": (3, {"channels": [{}, {"color": "00FFFF"}, {}]}),
    "all-of-those-given": (
        8, {"channels": [{"color": given_color(i)} for i in range(6)]}
    ),
    "odd-colours": (3, {"channels": [{"color": "?"}, {"color": []}, {"color": "12"}]}),
    "odd-omero": (3, []),
    "channels-of-nothing": (3, {"channels": None}),
    "odd-channels": (3, {"channels": [3, None, "a"]}),
}  # fmt: skip


@pytest.mark.parametrize(("count", "omero"), COLORLESS.values(), ids=COLORLESS)
def test_channels_without_colours_are_told_apart(path, count, omero):
    pixels = addressed((count, 40, 50))
    layers, _ = shown(path, pixels, omero)
    assert len({color_of(layer) for layer in layers}) == count
    assert {layer.blending for layer in layers} == {"additive"}
    for layer, plane in zip(layers, pixels, strict=True):
        np.testing.assert_array_equal(layer.data[0], plane)
        assert layer.visible


def test_one_channel_without_a_colour_is_grey(path):
    (layer,), _ = shown(path, THREE[:1], ...)
    assert layer.colormap.name == "gray"


# id: how a colour is written, what it is
COLORS = {
    "digits": ("FF8000", (1, 0.5, 0)),
    "small": ("ff8000", (1, 0.5, 0)),
    "with-a-sign": ("#FF8000", (1, 0.5, 0)),
    "with-0x": ("0xFF8000", (1, 0.5, 0)),
    "opacity-behind": ("FF8000FF", (1, 0.5, 0)),
    "three-digits": ("F80", (1, 0.53, 0)),
    "name": ("Magenta", (1, 0, 1)),
    "black": ("000000", (0, 0, 0)),
    "white": ("FFFFFF", (1, 1, 1)),
}


@pytest.mark.parametrize(("given", "color"), COLORS.values(), ids=COLORS)
def test_colours_as_others_write_them(path, given, color):
    channels = [{"color": given}, {"color": "00FF00"}]
    layers, words = shown(path, THREE[:2], {"channels": channels})
    assert color_of(layers[0]) == color
    assert layers[0].colormap.colors[0][:3].tolist() == [0, 0, 0]
    assert words == ""


def test_black_adds_no_light_and_is_not_white_turned_round(path):
    """ome/napari-ome-zarr 57: what is transparent is black in its channel Alpha."""
    omero = {"channels": [{"color": "FF0000"}, {"color": "000000"}]}
    layers, _ = shown(path, THREE[:2], omero)
    assert not layers[1].colormap.colors[:, :3].any()


@pytest.mark.parametrize("count", [1, 2])
def test_an_image_of_which_nothing_would_be_seen_gets_colours(path, count):
    omero = {"channels": [{"color": "000000"}] * count}
    layers, words = shown(path, THREE[:count], omero)
    assert all(max(color_of(layer)) == 1 for layer in layers)
    assert "the colour of all channels is black" in words


def test_inverted_channels_are_dark_where_there_is_much(path):
    channels = [{"color": "FFFFFF", "inverted": True}, {"color": "FF0000"}]
    layers, _ = shown(path, THREE[:2], {"channels": channels})
    assert layers[0].colormap.colors[0].tolist() == [1, 1, 1, 1]
    assert layers[0].colormap.colors[-1].tolist() == [0, 0, 0, 1]
    assert layers[1].colormap.name == "red"


# id: "active" of a channel, whether it is seen
ACTIVE = {
    "true": (True, True), "false": (False, False), "null": (None, True),
    "0": (0, False), "1": (1, True), "words": ("false", False), "odd": ([], False),
}  # fmt: skip


@pytest.mark.parametrize(("active", "seen"), ACTIVE.values(), ids=ACTIVE)
def test_hidden_channels_stay_hidden(path, active, seen):
    channels = [{"active": active}, {}]
    layers, _ = shown(path, THREE[:2], {"channels": channels})
    assert [layer.visible for layer in layers] == [seen, True]


# id: "label" of a channel, its layer's name
CHANNEL_NAMES = {
    "word": ("DAPI", "DAPI"),
    "number": (3, "cells: 3"),
    "null": (None, "cells: channel 0"),
    "empty": ("", "cells: channel 0"),
    "list": (["a"], "cells: channel 0"),
    "says-nothing": ("Channel_2", "cells: Channel_2"),
}


@pytest.mark.parametrize(("label", "name"), CHANNEL_NAMES.values(), ids=CHANNEL_NAMES)
def test_names_of_channels(path, label, name):
    layers, _ = shown(path, THREE[:2], {"channels": [{"label": label}, {}]})
    assert layers[0].name == name


def test_a_long_spectrum_is_one_layer(path):
    pixels = np.zeros((70_000, 2, 2), "u1")
    image_v2(path, "cyx", [pixels])
    (layer,), _ = opened(path)
    assert layer[0].shape == pixels.shape
