"""The npe2 reader, and our own stores in a viewer: they come back as they were."""

import json
import math

import napari
import npe2
import numpy as np
import pytest
import zarr
from napari.components import Dims, ViewerModel
from odd_stores import KINDS, PLACE, addressed, small_tiles, write
from programs import run_python

from napari_zarr_stream import (
    DeviceKind,
    InvalidStore,
    StorageProperties,
    ZarrStream,
)
from napari_zarr_stream._reading.layers import counted, counted_at_any_length
from napari_zarr_stream._reading.lazy import LazyArray
from napari_zarr_stream._reading.reader import get_reader, layers_of
from napari_zarr_stream._saving.export import export, export_layers
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._writer.record import RECORD_KEY


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


def test_properties_and_reader_agree_on_every_device_kind(tmp_path):
    pixels = addressed((4, 40, 50))
    for kind in DeviceKind:
        path = tmp_path / f"{kind}.zarr"
        properties = StorageProperties(path, kind, tile_width=16, tile_height=16)
        export(LayerSource(pixels, {}), properties)
        ((data, _, _),) = layers_of(path)
        np.testing.assert_array_equal(data[0], pixels)


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


def test_a_recording_just_begun_says_so(path):
    with ZarrStream(
        small_tiles(path), axes="tyx", shape=(None, 40, 40), dtype="u2"
    ) as stream:
        with pytest.raises(InvalidStore, match="no frames yet"):
            layers_of(path)
        stream.append(addressed((3, 40, 40)))
    ((data, _, _),) = layers_of(path)
    assert data[0].shape == (3, 40, 40)


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
    assert run_python(code).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("scale", "start", "size"),
    [
        (0.08682907562524363, 0.0, 225),
        (0.02697458271483002, 0.0, 171),
        (0.013333333333333334, 362.65, 53),
        (0.005, -309.89, 328),
        (0.065, -459.88, 5),
        (0.5, 0.0, 20),
        (0.1, 0.0, 60),
    ],
)
def test_the_slider_has_every_step(scale, start, size):
    """napari has one less for all but the last two as they are."""
    viewer = ViewerModel()
    near = counted(scale, start, size)
    assert near == pytest.approx(scale, rel=1e-10)
    data = np.zeros((size, 2, 2), "u1")
    viewer.add_image(data, scale=(near, 1, 1), translate=(start, 0, 0))
    assert viewer.dims.nsteps[0] == size


@pytest.mark.parametrize("start", [0.0, 3.7, -1234.5678])
@pytest.mark.parametrize("rate", [50, 60, 30, 33.3, 7, 24, 100, 0.1, 1e-4])
def test_the_slider_has_every_step_at_any_length(rate, start):
    """As they are, napari has one less for 212 steps of 1 / 50, 32 of 1 / 30."""
    scale, first = counted_at_any_length(1 / rate, start)
    assert scale == pytest.approx(1 / rate, rel=1e-9)
    assert first == pytest.approx(start, abs=1e-9 / rate)
    dims = Dims(ndim=1)
    for size in [2, 11, 32, 171, 212, 213, 225, 1000, 4097, 1_000_003]:
        dims.range = ((first, first + scale * (size - 1), scale),)
        assert dims.nsteps == (size,)
        dims.set_point(0, first + (size - 1) * scale)
        assert dims.current_step == (size - 1,)


@pytest.mark.parametrize(
    ("scale", "start"),
    [
        (0.0, 0.0),
        (5e-324, 0.0),
        (1e-300, 1e300),
        (0.02, 1.7e9),
        (1e308, 0.0),
        (-0.02, 3.7),
        (math.nan, 0.0),
        (math.inf, 0.0),
        (0.02, math.nan),
    ],
)
def test_odd_scales_are_left_as_they_are(scale, start):
    near = counted_at_any_length(scale, start)
    assert near == pytest.approx((scale, start), rel=1e-9, abs=0.0, nan_ok=True)


def test_sample_data_opens():
    npe2.PluginManager.instance().discover()
    viewer = ViewerModel()
    (layer,) = viewer.open_sample("napari-zarr-stream", "moving_cells")
    assert layer.data.shape == (30, 512, 512)
    assert (layer.data[0] != layer.data[-1]).any()


@pytest.mark.parametrize("name", ["26.11.2026 HeLa 1.5 mM.zarr", "v1.2.ome.zarr"])
def test_an_image_without_a_name_has_that_of_its_folder(tmp_path, name):
    """All of it but the ending: dots belong to names."""
    path = tmp_path / name
    write(path, addressed((20, 20)))
    document = json.loads((path / "zarr.json").read_text())
    del document["attributes"]["ome"]["multiscales"][0]["name"]
    (path / "zarr.json").write_text(json.dumps(document))
    [(_, meta, _)] = layers_of(path)
    assert meta["name"] == name.removesuffix(".zarr").removesuffix(".ome")


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
