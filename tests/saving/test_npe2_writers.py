"""File > Save, through napari."""

import npe2
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_zarr_stream import StoreExists, WriteFailed
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._saving.npe2_writers import (
    write_image,
    write_labels,
    write_layers,
)

PLUGIN = "napari-zarr-stream"


@pytest.fixture(autouse=True)
def _plugins():
    """What a viewer's window does when it opens."""
    npe2.PluginManager.instance().discover()


PLACE = {
    "scale": (0.5, 0.25),
    "translate": (3.0, 4.0),
    "units": ("micrometer", "micrometer"),
    "axis_labels": ("y", "x"),
}


def image(name="cells", **meta):
    pixels = np.arange(40 * 50, dtype="u2").reshape(40, 50)
    return Image(pixels, name=name, **PLACE, **meta)


def objects(name="objects"):
    pixels = (np.arange(40 * 50, dtype="i4") // 100).reshape(40, 50)
    return Labels(pixels, name=name, **PLACE)


def same_place(layer, meta):
    for key in PLACE:
        given = meta[key]
        wanted = getattr(layer, key)
        if key == "units":
            assert given == [str(unit) for unit in wanted]
        else:
            np.testing.assert_array_equal(given, wanted)


@pytest.mark.parametrize("name", ["a.zarr", "a.ome.zarr", "a.ozx"])
def test_saving_an_image_layer(name, tmp_path):
    layer = image(colormap="magenta", contrast_limits=(5, 500))
    assert layer.save(str(tmp_path / name), plugin=PLUGIN) == [str(tmp_path / name)]
    ((data, meta, kind),) = layers_of(tmp_path / name)
    assert kind == "image"
    np.testing.assert_array_equal(data, layer.data)
    assert (meta["name"], meta["colormap"]) == ("cells", "magenta")
    assert meta["contrast_limits"] == (5, 500)
    same_place(layer, meta)


def test_a_colormap_of_many_colours_comes_back_by_its_name(tmp_path):
    viewer = ViewerModel()
    for name, colormap in (("a", "viridis"), ("b", "green"), ("c", "magma")):
        viewer.add_layer(image(name, colormap=colormap))
    one, all_of_them = str(tmp_path / "one.zarr"), str(tmp_path / "all.zarr")
    viewer.layers["a"].save(one, plugin=PLUGIN)
    viewer.layers.save(all_of_them, plugin=PLUGIN)
    assert [meta["colormap"] for _, meta, _ in layers_of(one)] == ["viridis"]
    opened = [meta["colormap"] for _, meta, _ in layers_of(all_of_them)]
    assert opened == ["viridis", "green", "magma"]
    # another program has chosen another colour
    document = (tmp_path / "one.zarr" / "zarr.json").read_text()
    changed = document.replace('"FDE725"', '"FF0000"', 1)
    assert changed != document
    (tmp_path / "one.zarr" / "zarr.json").write_text(changed)
    assert [meta["colormap"] for _, meta, _ in layers_of(one)] == ["red"]


def test_saving_a_labels_layer(tmp_path):
    layer = objects()
    layer.save(str(tmp_path / "a.zarr"), plugin=PLUGIN)
    ((data, meta, kind),) = layers_of(tmp_path / "a.zarr")
    assert (kind, meta["name"]) == ("labels", "objects")
    np.testing.assert_array_equal(data, layer.data)
    same_place(layer, meta)


def test_a_name_without_ending_gets_one(tmp_path):
    (saved,) = image().save(str(tmp_path / "a"), plugin=PLUGIN)
    assert saved == str(tmp_path / "a.ome.zarr")


def test_saving_all_layers_of_a_viewer(tmp_path):
    viewer = ViewerModel()
    viewer.add_layer(image("red", colormap="red", contrast_limits=(1, 10)))
    viewer.add_layer(image("green", colormap="green", contrast_limits=(2, 20)))
    viewer.add_layer(objects())
    saved = viewer.layers.save(str(tmp_path / "a.zarr"), plugin=PLUGIN)
    assert saved == [str(tmp_path / "a.zarr")]
    layers = layers_of(saved[0])
    assert [(meta["name"], kind) for _, meta, kind in layers] == [
        ("red", "image"),
        ("green", "image"),
        ("objects", "labels"),
    ]
    for (data, meta, _), layer in zip(layers, viewer.layers, strict=True):
        np.testing.assert_array_equal(data, layer.data)
        same_place(layer, meta)
        if layer.name != "objects":
            assert meta["colormap"] == layer.colormap.name
            assert list(meta["contrast_limits"]) == layer.contrast_limits


def test_two_labels_layers_that_do_not_go_together_are_refused_in_words(tmp_path):
    viewer = ViewerModel()
    viewer.add_layer(objects("a"))
    viewer.add_labels(objects("b").data[:, :5], name="b")
    with pytest.raises(WriteFailed, match="one by one"):
        viewer.layers.save(str(tmp_path / "a.zarr"), plugin=PLUGIN)
    assert not list(tmp_path.iterdir())


def test_nothing_is_ever_replaced(tmp_path):
    path = str(tmp_path / "a.zarr")
    image().save(path, plugin=PLUGIN)
    with pytest.raises(StoreExists, match=r"already exists.*never replaces"):
        image().save(path, plugin=PLUGIN)
    assert len(layers_of(path)) == 1


def test_what_cannot_be_stored_is_said_in_words(tmp_path):
    layer = image(rotate=20)
    with pytest.raises(WriteFailed, match=r"'cells'.*rotate"):
        layer.save(str(tmp_path / "a.zarr"), plugin=PLUGIN)
    assert not list(tmp_path.iterdir())


def test_a_dialog_that_leaves_out_the_ending(tmp_path):
    # with the chosen filter as the writer, napari adds none
    saved = write_image(str(tmp_path / "a.b"), np.zeros((4, 5), "u1"), {})
    assert saved == [str(tmp_path / "a.b.ome.zarr")]
    assert len(layers_of(saved[0])) == 1


def test_functions_take_layer_data(tmp_path):
    pixels = np.zeros((4, 5), "u1")
    one, two, three = (str(tmp_path / f"{i}.zarr") for i in range(3))
    assert write_image(one, pixels, {"name": "i"}) == [one]
    assert write_labels(two, pixels, {"name": "l"}) == [two]
    both = [(pixels, {"name": "i"}, "image"), (pixels, {"name": "l"}, "labels")]
    assert write_layers(three, both) == [three]
    assert [kind for *_, kind in layers_of(three)] == ["image", "labels"]
