"""Stores as napari layers: ours and others', whole, growing and damaged."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import napari
import npe2
import numpy as np
import pytest
import zarr
from napari.components import ViewerModel

from napari_zarr_stream import (
    Channel,
    DeviceKind,
    InvalidStore,
    StorageProperties,
    ZarrStream,
)
from napari_zarr_stream._reading.lazy import LazyArray
from napari_zarr_stream._reading.reader import MAX_CHANNEL_LAYERS, get_reader, layers_of
from napari_zarr_stream._saving.export import default_properties, export, export_layers
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._writer.ngff import RECORD_KEY

KINDS = [DeviceKind.ZARR_LZ4, DeviceKind.ZARR_V3_LZ4]
PLACE = {
    "scale": (2.0, 0.5, 0.25),
    "translate": (1.0, 2.0, 3.0),
    "units": ("second", "micrometer", "micrometer"),
    "axis_labels": ("t", "y", "x"),
}


def addressed(shape, dtype="u2"):
    return (np.arange(np.prod(shape)) % 60000).astype(dtype).reshape(shape)


def small_tiles(path, kind=DeviceKind.ZARR_V3_LZ4):
    return replace(default_properties(path, kind), tile_width=16, tile_height=16)


def write(path, pixels, kind=DeviceKind.ZARR_V3_LZ4, layer_type="image", **meta):
    given = {"name": "cells", "rgb": False} | meta
    export(LayerSource(pixels, given, layer_type), small_tiles(path, kind))
    return path


def change(path, edit):
    """Damage a JSON document."""
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "image.ome.zarr"


# Our own stores


@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_comes_back_as_it_was(kind, path):
    pixels = addressed((5, 50, 70))
    shown = {"colormap": "green", "contrast_limits": (7, 700)}
    ((data, meta, layer_type),) = layers_of(write(path, pixels, kind, **PLACE, **shown))
    assert layer_type == "image"
    assert [level.shape for level in data] == [
        (5, 50, 70),
        (5, 25, 35),
        (5, 13, 18),
        (5, 7, 9),
    ]
    assert all(isinstance(level, LazyArray) for level in data)
    np.testing.assert_array_equal(data[0], pixels)
    for key, value in PLACE.items():
        assert tuple(meta[key]) == value
    assert (meta["name"], meta["colormap"]) == ("cells", "green")
    assert meta["contrast_limits"] == (7, 700)
    record = meta["metadata"][RECORD_KEY]
    assert (record["device_kind"], record["frames_committed"]) == (kind, 5)


def test_an_image_without_pyramid_is_not_multiscale(path):
    pixels = addressed((12, 14), "f4")
    ((data, meta, _),) = layers_of(write(path, pixels))
    assert not meta["multiscale"]
    np.testing.assert_array_equal(data, pixels)
    assert meta["units"] == ["pixel", "pixel"]
    assert meta["contrast_limits"] == (0, 167)


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


@pytest.mark.parametrize("kind", KINDS)
def test_labels_come_with_their_image(kind, path):
    pixels, objects = addressed((3, 40, 50)), addressed((3, 40, 50), "i4") // 100
    layers = [
        LayerSource(pixels, {"name": "cells"} | PLACE),
        LayerSource(objects, {"name": "a: b"} | PLACE, "labels"),
    ]
    export_layers(layers, small_tiles(path, kind))
    image, labels = layers_of(path)
    assert (image[2], labels[2]) == ("image", "labels")
    assert labels[1]["name"] == "a: b"
    assert tuple(labels[1]["scale"]) == PLACE["scale"]
    np.testing.assert_array_equal(labels[0][0], objects)
    # the group of labels, and one of them, by themselves
    for inner in (path / "labels", path / "labels" / "a_ b"):
        ((data, _, layer_type),) = layers_of(inner)
        assert layer_type == "labels"
        np.testing.assert_array_equal(data[0], objects)


def test_labels_of_one_level_can_be_painted(path):
    objects = addressed((12, 14), "i4")
    ((data, meta, layer_type),) = layers_of(write(path, objects, layer_type="labels"))
    assert layer_type == "labels"
    assert isinstance(data, np.ndarray)
    layer = ViewerModel().add_labels(data, **meta)
    layer.paint((3, 3), 5)
    assert layer.data[3, 3] == 5


def test_colours_and_properties_of_objects(path):
    write(path, addressed((12, 14), "i4"), layer_type="labels")
    shown = {
        "colors": [{"label-value": 1, "rgba": [255, 0, 0, 255]}, {"label-value": 2}],
        "properties": [{"label-value": 1, "area": 5}, {"label-value": 2, "kind": "x"}],
    }
    change(
        path / "zarr.json",
        lambda d: d["attributes"]["ome"].update({"image-label": shown}),
    )
    ((data, meta, _),) = layers_of(path)
    layer = ViewerModel().add_labels(data, **meta)
    np.testing.assert_array_equal(layer.colormap.map(1), [1, 0, 0, 1])
    assert list(layer.features["index"]) == [1, 2]
    assert layer.features["area"][0] == 5


# Stores that are not whole


def test_a_recording_just_begun_says_so(path):
    with ZarrStream(
        small_tiles(path), axes="tyx", shape=(None, 40, 40), dtype="u2"
    ) as stream:
        with pytest.raises(InvalidStore, match="no frames yet"):
            layers_of(path)
        stream.append(addressed((3, 40, 40)))
    ((data, _, _),) = layers_of(path)
    assert data[0].shape == (3, 40, 40)


@pytest.mark.parametrize("kind", KINDS)
def test_levels_that_are_ahead_are_cut(kind, path):
    write(path, addressed((6, 40, 40)), kind)
    array = path / "0" / ("zarr.json" if kind.zarr_format == 3 else ".zarray")
    change(array, lambda d: d.update(shape=[4, 40, 40]))
    change_axes = path / ("zarr.json" if kind.zarr_format == 3 else ".zattrs")

    def call_it_time(document):
        ome = document.get("attributes", {}).get("ome", document)
        ome["multiscales"][0]["axes"][0] = {"name": "t", "type": "time"}

    change(change_axes, call_it_time)
    ((data, _, _),) = layers_of(path)
    assert {level.shape[0] for level in data} == {4}


def test_a_lost_level_leaves_the_others(path):
    pixels = addressed((3, 40, 50))
    write(path, pixels)
    shutil.rmtree(path / "1")
    with pytest.warns(UserWarning, match=r"left out a level.*image.ome.zarr/1"):
        ((data, _, _),) = layers_of(path)
    assert [level.shape for level in data] == [(3, 40, 50), (3, 10, 13)]
    shutil.rmtree(path / "0")
    with pytest.raises(InvalidStore, match=r"image.ome.zarr/0 cannot be opened"):
        layers_of(path)


def test_a_lost_label_image_leaves_the_image(path):
    layers = [layer(), layer("labels", "l")]
    export_layers(layers, small_tiles(path))
    shutil.rmtree(path / "labels" / "l")
    with pytest.warns(UserWarning, match="left out a label image"):
        assert len(layers_of(path)) == 1


def layer(kind="image", name="a"):
    return LayerSource(addressed((20, 20)), {"name": name, "rgb": False}, kind)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda m: m.update(datasets=[]), "no levels"),
        (lambda m: m.pop("datasets"), "datasets"),
        (lambda m: m.update(axes=["y", "x"]), "metadata names y, x"),
        (lambda m: m.update(axes=3), "cannot be understood"),
        (lambda m: m["datasets"][0].update(path="nowhere"), "nowhere"),
        (
            lambda m: m["datasets"][0].update(
                coordinateTransformations=[{"type": "affine", "affine": []}]
            ),
            "'affine' is unknown",
        ),
        (
            lambda m: m["datasets"][0]["coordinateTransformations"][0].update(
                scale=[0, 1, 1]
            ),
            "scale",
        ),
    ],
)
def test_damaged_metadata_is_said_in_words(edit, said, path):
    write(path, addressed((3, 20, 20)))
    change(path / "zarr.json", lambda d: edit(d["attributes"]["ome"]["multiscales"][0]))
    with pytest.raises(InvalidStore, match=said) as caught:
        layers_of(path)
    assert str(path) in str(caught.value)


def test_json_that_is_cut_off(path):
    write(path, addressed((3, 20, 20)))
    text = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(text[: len(text) // 2])
    assert get_reader(str(path)) is not None
    with pytest.raises(InvalidStore, match="cannot be read"):
        layers_of(path)
    (path / "zarr.json").write_text("[]")
    with pytest.raises(InvalidStore, match="no JSON object"):
        layers_of(path)


def test_a_newer_version_is_refused_by_its_number(path):
    write(path, addressed((3, 20, 20)))
    change(path / "zarr.json", lambda d: d["attributes"]["ome"].update(version="0.6"))
    with pytest.raises(InvalidStore, match=r"0\.6"):
        layers_of(path)


# Stores of others


def others_group(path, version, array, axes, **extra):
    """A store as OME-NGFF of `version` has it, written with zarr alone."""
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    stored = group.create_array("0", shape=array.shape, dtype=array.dtype)
    stored[...] = array
    multiscale = {"version": version, "datasets": [{"path": "0"}]}
    if axes:
        multiscale["axes"] = axes
    group.attrs.put({"multiscales": [multiscale | extra]})
    return path


@pytest.mark.parametrize(
    ("version", "axes"), [("0.1", None), ("0.2", None), ("0.3", list("tczyx"))]
)
def test_old_versions(version, axes, path):
    array = addressed((2, 2, 3, 8, 9))
    layers = layers_of(others_group(path, version, array, axes))
    assert len(layers) == 2
    data, meta, _ = layers[1]
    np.testing.assert_array_equal(data, array[:, 1])
    assert meta["axis_labels"] == ["t", "z", "y", "x"]
    assert meta["name"] == "image: channel 1"


def test_scale_of_level_and_of_all_levels_multiply(path):
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    own = [
        {"type": "scale", "scale": [2, 3]},
        {"type": "translation", "translation": [1, 1]},
    ]
    common = [{"type": "scale", "scale": [10, 10]}, {"type": "identity"}]
    others_group(
        path,
        "0.4",
        addressed((8, 9)),
        axes,
        datasets=[{"path": "0", "coordinateTransformations": own}],
        coordinateTransformations=common,
    )
    ((_, meta, _),) = layers_of(path)
    assert meta["scale"] == [20, 30]
    assert meta["translate"] == [10, 10]


def test_units_and_axes_that_napari_does_not_know(path):
    axes = [
        {"name": "angle"},
        {"name": "y", "type": "space", "unit": "furlong"},
        {"name": "x", "type": "space", "unit": "micron"},
    ]
    others_group(path, "0.4", addressed((3, 8, 9)), axes)
    ((data, meta, _),) = layers_of(path)
    assert meta["units"] == ["pixel", "pixel", "micrometer"]
    assert meta["axis_labels"] == ["angle", "y", "x"]
    ViewerModel().add_image(data, **meta)


def test_omero_metadata_with_gaps(path):
    others_group(path, "0.4", addressed((3, 8, 9)), [{"name": n} for n in "cyx"])
    omero = {
        "channels": [
            {"color": "nonsense", "window": {"start": 5, "end": 5}},
            {"label": "GFP", "active": False},
        ]
    }
    change(path / ".zattrs", lambda d: d.update(omero=omero))
    layers = [meta for _, meta, _ in layers_of(path)]
    assert [m["name"] for m in layers] == [
        "image: channel 0",
        "GFP",
        "image: channel 2",
    ]
    assert [m["visible"] for m in layers] == [True, False, True]
    assert layers[0]["contrast_limits"] == (0, 71)


# ome-zarr, when its writer is imported
@pytest.mark.filterwarnings("ignore:.*class Scaler:DeprecationWarning")
def test_an_image_of_ome_zarr_py(path):
    import ome_zarr.writer

    array = addressed((2, 3, 64, 64))
    ome_zarr.writer.write_image(array, str(path), axes="tcyx")
    layers = layers_of(path)
    assert len(layers) == 3
    for i, (data, _, _) in enumerate(layers):
        np.testing.assert_array_equal(data[0], array[:, i])


def test_a_plain_array(tmp_path):
    path = write(tmp_path / "a.zarr", addressed((3, 20, 20))) / "0"
    ((data, meta, _),) = get_reader([str(path)])([str(path)])
    np.testing.assert_array_equal(data, addressed((3, 20, 20)))
    assert meta["contrast_limits"] == (400, 799)


def test_a_series_of_bioformats2raw(tmp_path):
    root = tmp_path / "series.zarr"
    write(root / "0", addressed((20, 20)), name="first")
    write(root / "1", addressed((20, 20)), name="second")
    (root / "zarr.json").write_text(
        json.dumps(
            {
                "zarr_format": 3,
                "node_type": "group",
                "attributes": {"ome": {"version": "0.5", "bioformats2raw.layout": 3}},
            }
        )
    )
    assert [meta["name"] for _, meta, _ in layers_of(root)] == ["first", "second"]
    write_group(root / "OME", {"version": "0.5", "series": ["1"]})
    assert [meta["name"] for _, meta, _ in layers_of(root)] == ["second"]


def write_group(path, ome):
    path.mkdir(parents=True, exist_ok=True)
    document = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}
    (path / "zarr.json").write_text(json.dumps(document))


def test_a_plate_is_put_together(tmp_path):
    root = tmp_path / "plate.zarr"
    wells = [f"{row}/{column}" for row in "AB" for column in "12"]
    write_group(
        root,
        {
            "version": "0.5",
            "plate": {
                "name": "p",
                "rows": [{"name": "A"}, {"name": "B"}],
                "columns": [{"name": "1"}, {"name": "2"}],
                "wells": [
                    {"path": well, "rowIndex": i // 2, "columnIndex": i % 2}
                    for i, well in enumerate(wells)
                ],
            },
        },
    )
    for i, well in enumerate(wells):
        write_group(
            root / well, {"version": "0.5", "well": {"images": [{"path": "0"}]}}
        )
        pixels = np.full((20, 24), i, "u2")
        write(root / well / "0", pixels, colormap="red", scale=(0.5, 0.5))
    ((data, meta, _),) = layers_of(root)
    assert data[0].shape == (40, 48)
    np.testing.assert_array_equal(data[0][::30, ::40], [[0, 1], [2, 3]])
    assert (meta["name"], meta["colormap"], meta["scale"]) == (
        "plate",
        "red",
        [0.5, 0.5],
    )
    ((data, _, _),) = layers_of(root / "A" / "2")
    assert data[0].shape == (20, 24)
    shutil.rmtree(root / "A" / "1")
    with pytest.raises(InvalidStore, match="field"):
        layers_of(root)


# The npe2 reader


def test_the_reader_takes_stores_only(path, tmp_path):
    write(path, addressed((20, 20)))
    assert get_reader(str(path)) is not None
    assert get_reader([str(path)]) is not None
    assert get_reader([str(path), str(path)]) is None
    assert get_reader(str(tmp_path)) is None
    assert get_reader(str(tmp_path / "nothing.zarr")) is None
    file = tmp_path / "file.zarr"
    file.write_text("no folder")
    assert get_reader(str(file)) is None
    zarr.create_group(str(tmp_path / "empty.zarr"))
    assert get_reader(str(tmp_path / "empty.zarr")) is None
    for wrong, said in ((tmp_path, "not a Zarr"), (tmp_path / "empty.zarr", "without")):
        with pytest.raises(InvalidStore, match=said):
            layers_of(wrong)


def test_asking_for_the_reader_imports_neither_napari_nor_zarr(path):
    write(path, addressed((20, 20)))
    code = (
        "import sys; from napari_zarr_stream._reading.reader import get_reader;"
        f"assert get_reader({str(path)!r});"
        "print([m for m in ('napari', 'zarr', 'ome_zarr', 'dask') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_sample_data_opens():
    npe2.PluginManager.instance().discover()
    viewer = ViewerModel()
    (layer,) = viewer.open_sample("napari-zarr-stream", "moving_cells")
    assert layer.data.shape == (30, 512, 512)
    assert (layer.data[0] != layer.data[-1]).any()


def test_a_real_viewer_shows_a_store(path, make_napari_viewer):
    pixels = [addressed((6, 5, 70, 80)) + i for i in range(2)]
    place = {"scale": (5, 2, 0.5, 0.5), "units": ("s", "um", "um", "um")}
    shown = [("nuclei", "green", (5, 500)), ("actin", "magenta", (6, 600))]
    layers = [
        LayerSource(
            p, {"name": name, "colormap": color, "contrast_limits": limits} | place
        )
        for p, (name, color, limits) in zip(pixels, shown, strict=True)
    ]
    objects = (pixels[0] // 1000).astype("i4")
    layers.append(LayerSource(objects, {"name": "objects"} | place, "labels"))
    export_layers(layers, small_tiles(path))

    viewer = make_napari_viewer()
    opened = viewer.open(path, plugin="napari-zarr-stream")
    assert [layer.name for layer in opened] == ["nuclei", "actin", "objects"]
    for layer, wanted in zip(opened, [*pixels, objects], strict=True):
        assert layer.multiscale
        np.testing.assert_array_equal(layer.data[0], wanted)
        np.testing.assert_array_equal(layer.scale, place["scale"])
        assert [str(unit) for unit in layer.units] == ["second", *["micrometer"] * 3]
        assert layer.axis_labels == ("t", "z", "y", "x")
        assert layer.metadata[RECORD_KEY]["finish_reason"] == "completed"
    for layer, (name, color, limits) in zip(opened, shown, strict=False):
        assert (layer.name, layer.colormap.name) == (name, color)
        assert tuple(layer.contrast_limits) == limits
    viewer.dims.set_current_step(0, 4)
    for layer in opened:
        layer.locked_data_level = 0
    nuclei, _, labels = opened
    np.testing.assert_array_equal(nuclei._slice.image.raw, pixels[0][4, 2])
    np.testing.assert_array_equal(labels._slice.image.raw, objects[4, 2])
    for layer in opened:
        layer.locked_data_level = None
    viewer.dims.ndisplay = 3
    viewer.screenshot(flash=False)
    assert nuclei._slice.image.raw.ndim == 3
    viewer.dims.ndisplay = 2
    viewer.dims.order = (0, 2, 1, 3)
    viewer.screenshot(flash=False)
    assert labels.get_value((0, 0, 0, 0), world=True) is not None


def test_what_napari_opened_can_be_saved_again(path, tmp_path):
    pixels = addressed((3, 40, 50))
    write(path, pixels, colormap="#12AB34", contrast_limits=(3, 300), **PLACE)
    ((data, meta, kind),) = layers_of(path)
    layer = napari.layers.Layer.create(data, meta, kind)
    again = tmp_path / "again.zarr"
    export(LayerSource.of(layer), small_tiles(again))
    ((data, new, _),) = layers_of(again)
    np.testing.assert_array_equal(data[0], pixels)
    for key in ("name", "scale", "translate", "units", "axis_labels", "colormap"):
        assert new[key] == meta[key]
    assert tuple(new["contrast_limits"]) == (3, 300)


def test_properties_and_reader_agree_on_every_device_kind(tmp_path):
    pixels = addressed((4, 40, 50))
    for kind in DeviceKind:
        path = tmp_path / f"{kind}.zarr"
        properties = StorageProperties(path, kind, tile_width=16, tile_height=16)
        export(LayerSource(pixels, {}), properties)
        ((data, _, _),) = layers_of(path)
        np.testing.assert_array_equal(data[0], pixels)
