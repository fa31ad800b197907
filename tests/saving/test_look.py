"""How layers look: what is stored for others, and what comes back to napari."""

import json

import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import AVAILABLE_COLORMAPS, Colormap

from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._saving.export import default_properties, export_layers
from napari_zarr_stream._sources.layer import LayerSource

PIXELS = np.arange(40 * 50, dtype="u2").reshape(40, 50)
BLACK, ORANGE, BLUE, WHITE = [0, 0, 0, 1], [1, 0.5, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]


def colormap(name, *colors, **other):
    return Colormap(list(colors), name=name, **other)


# ome/napari-ome-zarr 57 and 79, mehta-lab/waveorder 50, ome/bioformats 4290, napari 490
# fmt: off
LOOKS = {  # of a layer: what "omero" says of it, beside the defaults
    "as it comes": ({}, {}),
    "hidden": ({"visible": False, "colormap": "red"},
               {"active": False, "color": "FF0000"}),
    "gamma": ({"gamma": 0.5}, {"family": "polynomial", "coefficient": 0.5}),
    "limits": ({"contrast_limits": (10, 300)}, {}),
    "transparent": ({"opacity": 0.3, "blending": "minimum"}, {}),
    "inverted grey": ({"colormap": "gray_r"}, {"color": "FFFFFF", "inverted": True}),
    "inverted orange": ({"colormap": colormap("orange_r", ORANGE, BLACK)},
                        {"color": "FF8000", "inverted": True}),
    "viridis backwards": ({"colormap": colormap(
        "viridis_r", *AVAILABLE_COLORMAPS["viridis"].colors[::-1])},
                          {"color": "FDE725", "inverted": True}),
    "on white": ({"colormap": "I Blue"}, {"color": "0033CC"}),
    "on white 2": ({"colormap": "I Orange"}, {"color": "FF7500"}),
    "many colours": ({"colormap": "viridis"}, {"color": "FDE725"}),
    "bright in the middle": ({"colormap": "twilight_shifted"}, {"color": "E2D9E2"}),
    "dark at both ends": ({"colormap": colormap("mountain", BLACK, ORANGE, BLACK)},
                          {"color": "FF8000"}),
    "all black": ({"colormap": colormap("night", BLACK, BLACK)}, {}),
    "with ends": ({"colormap": "HiLo"}, {}),
    "a colour": ({"colormap": "#12ab9f"}, {"color": "12AB9F"}),
    "own, two colours": ({"colormap": colormap("orange", BLACK, ORANGE)},
                         {"color": "FF8000"}),
    "own, three colours": ({"colormap": colormap("three", BLACK, BLUE, WHITE)}, {}),
    "own, uneven": ({"colormap": colormap(
        "uneven", BLACK, BLUE, WHITE, controls=[0, 0.9, 1])}, {}),
    "own, steps": ({"colormap": colormap(
        "steps", BLACK, BLUE, WHITE, interpolation="zero")}, {}),
    "starts in colour": ({"colormap": colormap("sea", BLUE, WHITE)}, {}),
}
# fmt: on
DEFAULTS = {
    "active": True,
    "color": "FFFFFF",
    "inverted": False,
    "family": "linear",
    "coefficient": 1.0,
}


def saved(path, *layers):
    """What "omero" says of the channels of these layers, saved together."""
    export_layers([LayerSource.of(layer) for layer in layers], default_properties(path))
    return zarr.open_group(path, mode="r").attrs["ome"]["omero"]["channels"]


def opened(path, forget=()):
    """The layers of a store, as in a session that does not know some colormaps."""
    for layer in forget:
        if layer.colormap.name not in KNOWN:
            AVAILABLE_COLORMAPS.data.pop(layer.colormap.name, None)
    return [Layer.create(*layer) for layer in layers_of(path)]


KNOWN = set(AVAILABLE_COLORMAPS)


def same_colours(one, other):
    at = np.linspace(0, 1, 11)
    return np.allclose(one.colormap.map(at), other.colormap.map(at), atol=0.01)


@pytest.mark.parametrize("look", LOOKS)
def test_what_is_stored_is_seen_by_others_and_comes_back(tmp_path, look):
    given, expected = LOOKS[look]
    layer = Image(PIXELS, name="cells", **given)
    [said] = saved(tmp_path / "a.zarr", layer)
    assert {key: said[key] for key in DEFAULTS} == DEFAULTS | expected
    [back] = opened(tmp_path / "a.zarr", [layer])
    assert same_colours(back, layer)
    for name in ("visible", "gamma", "opacity", "blending", "contrast_limits"):
        assert getattr(back, name) == getattr(layer, name)


@pytest.mark.parametrize("look", LOOKS)
def test_the_same_beside_another_channel(tmp_path, look):
    given, expected = LOOKS[look]
    layer = Image(PIXELS, name="cells", **given)
    other = Image(PIXELS, name="other", colormap="green")
    said = saved(tmp_path / "a.zarr", other, layer)
    assert said[1]["color"] == expected.get("color", "FFFFFF")
    [_, back] = opened(tmp_path / "a.zarr", [layer])
    assert same_colours(back, layer)
    assert (back.visible, back.blending) == (layer.visible, layer.blending)


# glencoesoftware/bioformats2raw 160, NEUBIAS/training-resources 754
@pytest.mark.parametrize("count", [2, 3, 8])
def test_grey_channels_are_told_apart_by_others_and_grey_again_here(tmp_path, count):
    layers = [Image(PIXELS, name=f"layer {i}") for i in range(count)]
    layers.append(Image(PIXELS, name="cyan", colormap="cyan"))
    colors = [said["color"] for said in saved(tmp_path / "a.zarr", *layers)]
    assert colors[-1] == "00FFFF"
    assert len(set(colors)) == count + 1
    assert "FFFFFF" not in colors
    for back, layer in zip(opened(tmp_path / "a.zarr"), layers, strict=True):
        assert same_colours(back, layer)
        assert back.blending == layer.blending


def test_one_grey_channel_among_others_stays_grey(tmp_path):
    layers = [Image(PIXELS), Image(PIXELS, colormap="red")]
    colors = [said["color"] for said in saved(tmp_path / "a.zarr", *layers)]
    assert colors == ["FFFFFF", "FF0000"]


@pytest.mark.parametrize("visible", [True, False])
def test_alpha_is_no_light(tmp_path, visible):
    pixels = np.zeros((40, 50, 4), "u1")
    pixels[:, :25] = 200, 100, 0, 255
    layer = Image(pixels, rgb=True, visible=visible)
    said = saved(tmp_path / "a.zarr", layer)
    assert [entry["active"] for entry in said] == [visible] * 3 + [False]
    assert [entry["color"] for entry in said][:3] == ["FF0000", "00FF00", "0000FF"]


@pytest.mark.parametrize("visible", [True, False])
def test_hidden_labels_come_back_hidden(tmp_path, visible):
    labels = Labels(PIXELS.astype("u2"), name="cells", visible=visible)
    saved(tmp_path / "a.zarr", Image(PIXELS), labels)
    assert [layer.visible for layer in opened(tmp_path / "a.zarr")] == [True, visible]


def test_colours_that_another_program_has_changed_are_believed(tmp_path):
    saved(tmp_path / "a.zarr", Image(PIXELS, colormap="viridis"))
    group = zarr.open_group(tmp_path / "a.zarr")
    ome = group.attrs["ome"]
    ome["omero"]["channels"][0]["color"] = "FF0000"
    group.attrs["ome"] = ome
    [back] = opened(tmp_path / "a.zarr")
    assert back.colormap.name == "red"


# fmt: off
ODD = [
    None, 3, "viridis", [], [None], [3], [{}], [{"color": "FFFFFF"}],
    *([{"color": "FFFFFF", "colormap": colormap}] for colormap in (
        None, "viridis", 3, [], {}, {"name": 3}, {"name": "no such one"},
        {"name": "a", "colors": 3}, {"name": "a", "colors": []},
        {"name": "a", "colors": [3]}, {"name": "a", "colors": ["red"]},
        {"name": "a", "colors": ["FF", "00"]}, {"name": "a", "colors": ["FFFFFF", ""]},
    )),
    [{"color": "FFFFFF", "blending": "loud", "opacity": 7}],
    [{"color": "FFFFFF", "blending": [], "opacity": "much"}],
]
# fmt: on


@pytest.mark.parametrize("shown", ODD, ids=json.dumps)
def test_an_odd_record_hides_no_pixels(tmp_path, shown):
    saved(tmp_path / "a.zarr", Image(PIXELS))
    group = zarr.open_group(tmp_path / "a.zarr")
    record = group.attrs["napari_zarr_stream"]
    group.attrs["napari_zarr_stream"] = record | {"shown": shown}
    [back] = opened(tmp_path / "a.zarr")
    assert back.colormap.name == "gray"
    assert np.array_equal(back.data, PIXELS)


@pytest.mark.parametrize("controls", [None, 3, [], [0, 1], [0, 2, 1], ["a", 0, 1]])
def test_odd_places_of_colours_become_even(tmp_path, controls):
    layer = Image(PIXELS, colormap=colormap("sky", BLACK, BLUE, WHITE))
    saved(tmp_path / "a.zarr", layer)
    group = zarr.open_group(tmp_path / "a.zarr")
    record = group.attrs["napari_zarr_stream"]
    record["shown"][0]["colormap"]["controls"] = controls
    group.attrs["napari_zarr_stream"] = record
    [back] = opened(tmp_path / "a.zarr", [layer])
    assert same_colours(back, layer)


def test_recordings_made_before_know_colormaps_by_name(tmp_path):
    saved(tmp_path / "a.zarr", Image(PIXELS, colormap="viridis"))
    group = zarr.open_group(tmp_path / "a.zarr")
    record = group.attrs["napari_zarr_stream"]
    del record["shown"]
    record["colormaps"] = [{"name": "viridis", "color": "FDE725"}]
    group.attrs["napari_zarr_stream"] = record
    [back] = opened(tmp_path / "a.zarr")
    assert back.colormap.name == "viridis"
