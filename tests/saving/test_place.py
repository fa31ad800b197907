"""Where layers are saved, and which of the selected ones."""

import itertools
import json
import os
from pathlib import Path

import npe2
import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes, Surface, Tracks, Vectors
from needs import skip_unless_resolved

from napari_zarr_stream import InvalidProperties, StorageProperties, WriteFailed
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._saving.export import default_properties, export_layers
from napari_zarr_stream._saving.npe2_writers import write_layers
from napari_zarr_stream._saving.place import check_outside_of_stores, store_path
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream.cli.command import local_path

PLUGIN = "napari-zarr-stream"
PIXELS = np.arange(40 * 50, dtype="u2").reshape(40, 50)


@pytest.fixture(autouse=True)
def _plugins():
    """What a viewer's window does when it opens."""
    npe2.PluginManager.instance().discover()


# Other layers among those to be saved

OTHERS = {
    "points": lambda: Points(np.ones((3, 2)), name="points"),
    "shapes": lambda: Shapes([np.array([[0, 0], [9, 9]])], name="shapes"),
    "tracks": lambda: Tracks(np.arange(8.0).reshape(2, 4), name="tracks"),
    "vectors": lambda: Vectors(np.ones((3, 2, 2)), name="vectors"),
    "surface": lambda: Surface(
        (np.eye(3)[:, :2].copy(), np.array([[0, 1, 2]])), name="surface"
    ),
}
OWN = {
    "an image": [("image", "a")],
    "labels": [("labels", "l")],
    "an image and labels": [("image", "a"), ("labels", "l")],
    "images": [("image", "a"), ("image", "b")],
    "images and labels": [("image", "a"), ("image", "b"), ("labels", "l")],
}


def make(kind, name):
    if kind == "image":
        return Image(PIXELS, name=name)
    return Labels(PIXELS.astype("i4"), name=name)


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize(
    "others",
    [*([other] for other in OTHERS), [*OTHERS], ["points", "tracks"]],
    ids="+".join,
)
def test_other_layers_are_left_out_with_a_word(own, others, tmp_path):
    viewer = ViewerModel()
    for other in others:
        viewer.add_layer(OTHERS[other]())
    for kind, name in OWN[own]:
        viewer.add_layer(make(kind, name))
    listed = ", ".join(f"'{other}' \\({other}\\)" for other in others)
    with pytest.warns(UserWarning, match=f"left out: {listed}$"):
        [saved] = viewer.layers.save(str(tmp_path / "a.zarr"), plugin=PLUGIN)
    found = [(kind, meta["name"]) for _, meta, kind in layers_of(saved)]
    assert found == OWN[own]


def test_other_layers_alone_are_refused_in_words(tmp_path):
    layers = [OTHERS["points"]().as_layer_data_tuple()]
    with pytest.raises(WriteFailed, match="no image and no labels"):
        write_layers(str(tmp_path / "a.zarr"), layers)
    assert not list(tmp_path.iterdir())


def test_every_choice_of_layers_has_one_writer():
    """The file dialog offers one way to save as OME-Zarr, whatever is selected."""
    manager = npe2.PluginManager.instance()
    counts = itertools.product(range(3), range(3), range(2), range(2), range(2))
    for images, labels, points, shapes, tracks in counts:
        if not images + labels:
            continue
        types = ["image"] * images + ["labels"] * labels
        types += ["points"] * points + ["shapes"] * shapes + ["tracks"] * tracks
        ours = [
            writer
            for writer in manager.iter_compatible_writers(types)
            if writer.plugin_name == PLUGIN
        ]
        assert len(ours) == 1, types


# Paths

# fmt: off
PATHS = {
    "cells": "cells.ome.zarr",
    "cells.zarr": "cells.zarr",
    "cells.ome.zarr": "cells.ome.zarr",
    "cells/": "cells.ome.zarr",
    "cells.zarr/": "cells.zarr",
    "UPPER.ZARR": "UPPER.ZARR",
    "Upper.Ome.Zarr": "Upper.Ome.Zarr",
    "26.11.2026 1.5 mM": "26.11.2026 1.5 mM.ome.zarr",
    "a.tif": "a.tif.ome.zarr",
    "sub/../cells.zarr": "cells.zarr",
}
# fmt: on
NO_WRITER_FOR = ("26.11.2026 1.5 mM", "a.tif", "cells.zarr/")
"""napari takes what stands behind the last dot for an ending; its dialog does not."""


@pytest.mark.parametrize("path", PATHS)
def test_the_path_that_is_meant(path, tmp_path):
    (tmp_path / "sub").mkdir()
    given = os.path.join(tmp_path, path)
    if path in NO_WRITER_FOR:
        [saved] = write_layers(given, [(PIXELS, {}, "image")])
    else:
        [saved] = Image(PIXELS).save(given, plugin=PLUGIN)
    assert os.path.samefile(saved, tmp_path / PATHS[path])
    assert len(layers_of(tmp_path / PATHS[path])) == 1
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(
        [PATHS[path], "sub"]
    )


def test_the_home_folder_is_known_by_its_sign(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert store_path("~/cells") == str(tmp_path / "cells.ome.zarr")
    assert StorageProperties("~/cells.zarr").path == tmp_path / "cells.zarr"
    assert StorageProperties("~cells.zarr").path == Path("~cells.zarr")
    assert local_path("~/cells.zarr") == tmp_path / "cells.zarr"


# ome/napari-ome-zarr 23 and 103
@pytest.mark.parametrize(
    "address",
    ["http://host/a.zarr", "https://host/a.zarr", "s3://bucket/a.zarr", "gs://b/a"],
)
def test_an_address_gets_words_of_its_own(address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scheme = address.partition(":")[0]
    with pytest.raises(WriteFailed, match=rf"{address} is an address \({scheme}\)"):
        write_layers(address, [(PIXELS, {}, "image")])
    with pytest.raises(
        InvalidProperties, match=rf"{address} is an address \({scheme}\)"
    ):
        StorageProperties(address)
    assert not list(tmp_path.iterdir())


# Inside another store: ome/napari-ome-zarr 101, fractal napari-ome-zarr-navigator 62
# and 63, napari 2806, fractal-tasks-core 296 and 307

ROOTS = {
    "image v3": {"ome": {"multiscales": []}},
    "plate v3": {"ome": {"plate": {}}},
    "labels v3": {"ome": {"labels": []}},
    "image v2": {"multiscales": []},
    "well v2": {"well": {}},
    "labels v2": {"labels": ["cells"]},
}


def root(path, name):
    path.mkdir()
    if name.endswith("v3"):
        group = {"zarr_format": 3, "node_type": "group", "attributes": ROOTS[name]}
        (path / "zarr.json").write_text(json.dumps(group))
    else:
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        (path / ".zattrs").write_text(json.dumps(ROOTS[name]))


@pytest.mark.parametrize("below", ["new", "labels/corrected", "labels/a/b.zarr", "0/x"])
@pytest.mark.parametrize("name", ROOTS)
def test_nothing_is_saved_where_no_store_would_list_it(name, below, tmp_path):
    path = tmp_path / "26.11. cells.zarr"
    root(path, name)
    before = sorted(path.rglob("*"))
    for layer in (Image(PIXELS), Labels(PIXELS.astype("i4"))):
        with pytest.raises(WriteFailed, match="lies inside the store") as caught:
            layer.save(str(path / below), plugin=PLUGIN)
    assert f"inside the store {path}," in str(caught.value)
    assert f"{tmp_path / '26.11. cells_'}" in str(caught.value)
    assert sorted(path.rglob("*")) == before


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_nor_inside_an_array(zarr_format, tmp_path):
    data = np.eye(9)
    zarr.create_array(tmp_path / "a.zarr", data=data, zarr_format=zarr_format)
    with pytest.raises(InvalidProperties, match="lies inside the store"):
        check_outside_of_stores(tmp_path / "a.zarr" / "b.zarr")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_plain_group_is_a_folder_like_others(zarr_format, tmp_path):
    zarr.create_group(tmp_path / "all.zarr", zarr_format=zarr_format)
    [saved] = Image(PIXELS).save(str(tmp_path / "all.zarr" / "a.zarr"), plugin=PLUGIN)
    assert len(layers_of(saved)) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"attributes": 3}'])
def test_a_document_that_says_nothing_is_in_nobodys_way(content, tmp_path):
    for name in ("zarr.json", ".zattrs"):
        (tmp_path / name).write_bytes(content)
    check_outside_of_stores(tmp_path / "a.zarr")


# Folders of labels


# fmt: off
FOLDERS = {  # names of labels layers: their folders, on every system
    ("Cells", "cells", "CELLS"): ["Cells", "cells_2", "CELLS_3"],
    ("cells", "cells_2", "Cells"): ["cells", "cells_2", "Cells_3"],
    ("con", "CON", "Con.1"): ["_con", "_CON_2", "_Con.1"],
    ("aux.1", "nul", "prn.tar.gz", "com1", "lpt9.txt", "COM\u00b2"):
        ["_aux.1", "_nul", "_prn.tar.gz", "_com1", "_lpt9.txt", "_COM\u00b2"],
    ("console", "com", "com10", "auxin"): ["console", "com", "com10", "auxin"],
    ("a.", "a ", "a. .", ".a", " a"): ["a", "a_2", "a_3", "a_4", "a_5"],
    ("", ".", "..", " "): ["labels", "labels_2", "labels_3", "labels_4"],
    ("a/b", "a\\b", "a:b", 'a"b', "a<b>|?*"):
        ["a_b", "a_b_2", "a_b_3", "a_b_4", "a_b____"],
    ("zarr.json", ".zattrs", ".zgroup"): ["_zarr.json", "zattrs", "zgroup"],
    ("caf\u00e9", "cafe\u0301"): ["caf\u00e9", "caf\u00e9_2"],
    ("stra\u00dfe", "STRASSE"): ["stra\u00dfe", "STRASSE_2"],
    ("x" * 300, "x" * 301): ["x" * 200, "x" * 200 + "_2"],
    ("\u00b5" * 150,): ["\u00b5" * 100],
    ("a\nb", "a\0b"): ["a_b", "a_b_2"],
}
# fmt: on


@pytest.mark.parametrize("names", FOLDERS)
def test_folders_of_labels_are_apart_and_safe_on_every_system(names, tmp_path):
    layers = [Image(PIXELS, name="image")]
    objects = [np.full((40, 50), i, "u1") for i in range(1, len(names) + 1)]
    layers = [LayerSource.of(layer) for layer in layers]
    layers += [
        LayerSource(pixels, {"name": name}, "labels")
        for name, pixels in zip(names, objects, strict=True)
    ]
    export_layers(layers, default_properties(tmp_path / "a.zarr"))
    group = zarr.open_group(tmp_path / "a.zarr" / "labels", mode="r")
    assert group.attrs["ome"]["labels"] == FOLDERS[names]
    folder = tmp_path / "a.zarr" / "labels"
    skip_unless_resolved(*(folder / name for name in FOLDERS[names]))
    opened = [layer for layer in layers_of(tmp_path / "a.zarr") if layer[2] == "labels"]
    for (data, meta, _), name, pixels in zip(opened, names, objects, strict=True):
        np.testing.assert_array_equal(data, pixels)
        if name.strip(" .") and name.isprintable():  # the name that is shown is kept
            assert meta["name"] == name
