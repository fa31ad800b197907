"""Labels without an image, whole stores of them: every reader opens them."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import zarr
from judges import JUDGES, ask
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer

from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._saving.export import default_properties, export_layers
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._writer.properties import DeviceKind
from napari_zarr_stream._writer.stream import ZarrStream

OBJECTS = (np.arange(3 * 40 * 50, dtype="i4") // 100 % 7).reshape(3, 40, 50)
PLACE = {
    "scale": (2, 0.5, 0.25),
    "translate": (1, -3, 4),
    "units": ("micrometer",) * 3,
    "axis_labels": tuple("zyx"),
}
COLOURS = {1: [1, 0, 0, 1], 3: [0.2, 0.4, 0.6, 0.8], None: [1, 1, 0, 1]}
TABLE = pd.DataFrame(
    {"index": [1, 2, 5], "size": [3.5, np.nan, 4.0], "kind": ["a", "b", "ä"]}
)
ZSTD, OLD = DeviceKind.ZARR_V3_ZSTD, DeviceKind.ZARR_LZ4


def labels(name="cells", more=0, dtype="i4", **look):
    return Labels((OBJECTS + more).astype(dtype), name=name, **PLACE, **look)


STORES = {
    "as they come": lambda: [labels()],
    "with colours": lambda: [labels(colormap=COLOURS)],
    "with a table": lambda: [labels(features=TABLE)],
    "with all": lambda: [labels(colormap=COLOURS, features=TABLE, opacity=0.4)],
    "hidden": lambda: [labels(visible=False, blending="additive")],
    "wide": lambda: [labels(dtype="u4", more=2**24)],
    "several": lambda: [labels("a", features=TABLE), labels("b", 1, colormap=COLOURS)],
    "beside an image": lambda: [
        Image(OBJECTS.astype("u2"), **PLACE),
        labels("a", colormap=COLOURS, features=TABLE, opacity=0.2),
    ],
}
CASES = [  # all of them under `make test-long`
    *((name, ZSTD, "") for name in STORES),
    ("with all", OLD, ""),
    ("several", ZSTD, ".ozx"),
    *(
        pytest.param(name, kind, ending, marks=pytest.mark.long)
        for name in STORES
        for kind, ending in ((OLD, ""), (ZSTD, ".ozx"))
    ),
]


def save(path, layers, kind=ZSTD):
    export_layers([LayerSource.of(layer) for layer in layers], asked(path, kind))
    return path


def asked(path, kind=ZSTD):
    return default_properties(path, kind)


def write_stream(path):
    properties = replace(asked(path), downsampling_method="decimate")
    options = {"axes": "zyx", "shape": OBJECTS.shape, "dtype": "i4", "is_label": True}
    with ZarrStream(properties, **options) as stream:
        stream.append(OBJECTS)


def same(back, layer):
    full = back.data[0] if back.multiscale else back.data
    np.testing.assert_array_equal(np.asarray(full), layer.data)
    assert (full.dtype, type(back)) == (layer.data.dtype, type(layer))
    for key in ("name", "opacity", "blending", "visible", "units", "axis_labels"):
        assert getattr(back, key) == getattr(layer, key), key
    for key in ("scale", "translate"):
        np.testing.assert_allclose(getattr(back, key), getattr(layer, key))
    if isinstance(layer, Labels):
        np.testing.assert_allclose(
            back.colormap.map(OBJECTS), layer.colormap.map(OBJECTS), atol=1e-6
        )
        if len(layer.features.columns):
            pd.testing.assert_frame_equal(back.features, layer.features)


@pytest.mark.parametrize(
    ("name", "kind", "ending"), CASES, ids=lambda value: str(value) or "folder"
)
def test_they_come_back_as_they_were(name, kind, ending, tmp_path):
    layers = STORES[name]()
    path = save(tmp_path / f"a{ending or '.ome.zarr'}", layers, kind)
    for given, layer in zip(layers_of(path), layers, strict=True):
        same(Layer.create(*given), layer)


SHORT = ("napari_ome_zarr", "yaozarrs", "ome_zarr_models")


@pytest.mark.parametrize(
    "judge",
    [pytest.param(j, marks=() if j in SHORT else pytest.mark.long) for j in JUDGES],
)
@pytest.mark.parametrize("kind", [ZSTD, OLD])
@pytest.mark.parametrize("name", ["with all", "several"])
def test_every_reader_opens_them(name, kind, judge, tmp_path):
    layers = STORES[name]()
    levels = ask(judge, save(tmp_path / "a.ome.zarr", layers, kind))
    if levels is not None:
        expected = np.stack([layer.data for layer in layers])
        np.testing.assert_array_equal(levels[0].reshape(expected.shape), expected)


def test_in_a_folder_that_is_called_labels_they_are_alone_as_well(tmp_path):
    (tmp_path / "labels").mkdir()
    path = save(tmp_path / "labels" / "a.ome.zarr", STORES["with all"]())
    assert "image-label" not in zarr.open_group(path, mode="r").attrs["ome"]
    ask("napari_ome_zarr", path)


def test_a_stream_of_labels_beside_an_image_labels_it(tmp_path):
    save(tmp_path / "a.ome.zarr", [Image(OBJECTS.astype("u2"), **PLACE)])
    where = tmp_path / "a.ome.zarr" / "labels" / "cells"
    write_stream(where)
    attributes = zarr.open_group(where, mode="r").attrs["ome"]
    assert attributes["image-label"]["source"] == {"image": "../../"}


def test_a_stream_of_labels_alone_is_opened_as_labels(tmp_path):
    write_stream(tmp_path / "a.ome.zarr")
    [(data, _, kind)] = layers_of(tmp_path / "a.ome.zarr")
    assert kind == "labels"
    np.testing.assert_array_equal(data, OBJECTS)


# fmt: off
ODD = [
    None, 3, "labels", {}, [], [None], [3], [{}], [{"colors": 3}],
    [{"colors": [{"label-value": "a"}]}], [{"properties": "a"}],
]
# fmt: on


@pytest.mark.parametrize("objects", ODD, ids=json.dumps)
@pytest.mark.filterwarnings("ignore:.*passed over:UserWarning")
@pytest.mark.filterwarnings("ignore:.*of no object:UserWarning")
def test_an_odd_record_hides_no_pixels(tmp_path, objects):
    save(tmp_path / "a.zarr", STORES["with all"]())
    group = zarr.open_group(tmp_path / "a.zarr")
    record = group.attrs["napari_zarr_stream"]
    shown = [{"others": "red", "opacity": "much", "visible": 3}]
    group.attrs["napari_zarr_stream"] = record | {"objects": objects, "shown": shown}
    [layer] = layers_of(tmp_path / "a.zarr")
    assert layer[2] == ("labels" if isinstance(objects, list) else "image")
    np.testing.assert_array_equal(layer[0], OBJECTS)
    ViewerModel().add_layer(Layer.create(*layer))


# The table of a labels layer, and what is kept of it
TABLES = {
    "no index": ({"size": [1, 2]}, {"index": [0, 1], "size": [1, 2]}),
    "an index only": ({"index": [1, 2]}, {}),
    "numbers of numpy": ({"size": np.array([1, 2], "u1")}, {"size": [1, 2]}),
    "truths": ({"is_round": [True, False]}, {"is_round": [True, False]}),
    "not finite": ({"size": [np.inf, 1.0]}, {"size": [np.nan, 1.0]}),
    "dates": (
        {"day": pd.to_datetime(["2026-01-02"])},
        {"day": ["2026-01-02 00:00:00"]},
    ),
    "names that are no text": ({7: [1]}, {"7": [1]}),
    "empty": ({}, {}),
}


@pytest.mark.parametrize(("given", "kept"), TABLES.values(), ids=TABLES)
def test_tables_of_objects(tmp_path, given, kept):
    save(tmp_path / "a.zarr", [labels(features=pd.DataFrame(given))])
    [layer] = layers_of(tmp_path / "a.zarr")
    features = Layer.create(*layer).features
    for name, values in kept.items():
        np.testing.assert_array_equal(list(features[name]), values)
    assert len(features.columns) == len({"index", *kept} if kept else ())
