"""What lies in a root: images of others, plain arrays, series."""

import json

import numpy as np
import pytest
from odd_stores import (
    addressed,
    array_v2,
    array_v3,
    full_size,
    group_v2,
    group_v3,
    halved,
    image_v2,
    multiscale_of,
    opened,
    write,
    write_group,
)

from napari_zarr_stream import InvalidStore
from napari_zarr_stream._reading.info import facts_of, text_of
from napari_zarr_stream._reading.reader import get_reader, layers_of


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
    np.testing.assert_allclose(meta["contrast_limits"], (5.995, 1196.602))


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


PIXELS = addressed((3, 40, 50))


def image(path, value=0, axes="zyx", **said):
    image_v2(path, axes, halved(PIXELS + value, axes), **said)


def test_two_images_in_one_group(path):
    """ome/ZarrReader 44: several multiscales."""
    image(path)
    array_v2(path / "other", PIXELS + 1)
    entries = [
        multiscale_of("zyx", [PIXELS]),
        multiscale_of("zyx", [PIXELS], name="second", datasets=[{"path": "other"}]),
        multiscale_of("zyx", [PIXELS], name="the first again"),
        multiscale_of("zyx", [PIXELS], datasets=[{"path": "nowhere"}]),
    ]
    group_v2(path, {"multiscales": entries})
    layers, words = opened(path)
    assert [layer[1]["name"] for layer in layers] == ["cells", "second"]
    np.testing.assert_array_equal(full_size(layers[1]), PIXELS + 1)
    assert "left out image 2" in words
    assert "second" in text_of(facts_of(path))


# id: where images lie below a group that does not say so
BELOW = {
    # napari 1406, 4358 and 8355; scverse/spatialdata; fideus-labs/ngff-zarr 347
    "one": ["raw"],
    "one-folder-down": ["raw", "flat"],
    "two-folders-down": ["images/a", "images/b"],
    "three-folders-down": ["a/b/c"],
    "numbered": ["0", "1", "10"],
    "beside-others": ["raw", "tables/x/y"],
}


@pytest.mark.parametrize("places", BELOW.values(), ids=BELOW)
@pytest.mark.parametrize("form", ["v2", "v3", "nothing"])
def test_images_some_folders_down(path, places, form):
    if form == "v2":
        group_v2(path, {"spatialdata_attrs": {"version": "0.1"}})
    elif form == "v3":
        group_v3(path)
    for i, place in enumerate(places):
        image(path / place, i)
    assert get_reader(str(path)) is not None
    layers, words = opened(path)
    firsts = sorted(full_size(layer)[0, 0, 0] for layer in layers)
    assert firsts == list(range(len(places)))
    assert f"shown are {len(places)} images" in words
    assert len({layer[1]["name"] for layer in layers}) == len(places)
    text = text_of(facts_of(path))
    assert all(str(path / place) in text for place in places)


def test_more_images_than_are_shown_together_are_said(path):
    group_v2(path)
    for i in range(20):
        image(path / f"image {i}")
    with pytest.raises(InvalidStore, match=r"20 images: .*image 0, .*and 10 more"):
        layers_of(path)
    assert len(facts_of(path)["images"]) == 20


@pytest.mark.parametrize("names", [["0"], ["0", "1"], ["s0", "s1"]])
@pytest.mark.parametrize("form", ["v3", "nothing"])
def test_arrays_that_look_like_levels(path, names, form):
    """acquire-zarr writes what they are when it is closed, and may be killed before."""
    if form == "v3":
        group_v3(path)
    for name, level in zip(names, halved(PIXELS, "zyx"), strict=False):
        array_v3(path / name, level, dimension_names=["t", "y", "x"])
    (layer,), words = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)
    assert layer[1]["axis_labels"] == ["t", "y", "x"]
    assert layer[1]["multiscale"] == (len(names) > 1)
    assert "nothing says what it is" in words
    assert facts_of(path)["shape"] == [3, 40, 50]


def test_other_arrays_are_said(path):
    group_v2(path)
    for name in ("myimage", "dark"):
        array_v2(path / name, PIXELS)
    with pytest.raises(InvalidStore, match=r"2 arrays .*dark, .*myimage: open one"):
        layers_of(path)
    assert "myimage" in text_of(facts_of(path))


@pytest.mark.parametrize("listed", [True, False])
def test_a_root_that_holds_only_labels(path, listed):
    objects = (PIXELS // 500).astype("u4")
    group_v2(path)
    group_v2(path / "labels", {"labels": ["cells"]} if listed else {})
    image_v2(
        path / "labels" / "cells", "zyx", [objects], attributes={"image-label": {}}
    )
    (layer,), _ = opened(path)
    assert layer[2] == "labels"
    np.testing.assert_array_equal(full_size(layer), objects)


@pytest.mark.parametrize("group", [None, {}, {"labels": []}, {"labels": 3}])
def test_labels_that_are_not_listed_are_found(path, group):
    image(path)
    if group is not None:
        group_v2(path / "labels", group)
        objects = (PIXELS // 500).astype("u4")
        image_v2(path / "labels" / "cells", "zyx", [objects])
    layers, words = opened(path)
    kinds = ["image"] if group is None else ["image", "labels"]
    assert [layer[2] for layer in layers] == kinds
    assert words == ""


@pytest.mark.parametrize("lost", [".zattrs", ".zgroup"])
def test_labels_that_lost_a_document_are_shown(path, lost):
    image(path)
    group_v2(path / "labels", {"labels": ["cells"]})
    objects = (PIXELS // 500).astype("u4")
    image_v2(path / "labels" / "cells", "zyx", [objects])
    where = path / "labels" if lost == ".zgroup" else path / "labels" / "cells"
    for name in {".zattrs", lost}:
        (where / name).unlink()
    (_, labels), _ = opened(path)
    assert labels[2] == "labels"
    np.testing.assert_array_equal(full_size(labels), objects)


# id: what the labels group of an intact image is made to be
LABELS = {
    "cut-off": lambda path: (path / ".zattrs").write_text("{"),
    "too-many": lambda path: group_v2(path, {"labels": list(map(str, range(999)))}),
    "not-there": lambda path: group_v2(path, {"labels": ["a", "b"]}),
    "outside": lambda path: group_v2(path, {"labels": ["../../other"]}),
    "odd-names": lambda path: group_v2(path, {"labels": [3, None, {"a": 1}, ["b"]]}),
}


@pytest.mark.parametrize("spoil", LABELS.values(), ids=LABELS)
def test_odd_labels_do_not_hide_their_image(path, spoil):
    image(path)
    group_v2(path / "labels")
    spoil(path / "labels")
    (layer,), words = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)
    assert "left out" in words
    assert facts_of(path)["shape"] == [3, 40, 50]


# id: series of bioformats2raw: images, what the root lists, those that are shown
SERIES = {
    # ome/napari-ome-zarr 21 and 71, fideus-labs/ngff-zarr 347
    "numbered": (["0", "1", "10"], None, [0, 1, 2]),
    "listed": (["0", "1", "10"], ["10", "0"], [2, 0]),
    "one-lost": (["0", "1"], ["0", "7", "1"], [0, 1]),
    "from-the-root": (["0", "1"], ["/0", "1/"], [0, 1]),
    "one-outside": (["0", "1"], ["0", "../2", "1"], [0, 1]),
    "listed-oddly": (["0", "1"], 3, [0, 1]),
    "empty-list": (["0", "1"], [], [0, 1]),
    "names-of-others": (["a", "b"], None, [0, 1]),
}


@pytest.mark.parametrize(("places", "listed", "shown"), SERIES.values(), ids=SERIES)
def test_series_of_bioformats2raw(path, places, listed, shown):
    group_v2(path, {"bioformats2raw.layout": 3})
    for i, place in enumerate(places):
        image(path / place, i)
    (path / "OME").mkdir()
    (path / "OME" / "METADATA.ome.xml").write_text("<OME/>")
    if listed is not None:
        group_v2(path / "OME", {"series": listed})
    layers, words = opened(path)
    assert [full_size(layer)[0, 0, 0] for layer in layers] == shown
    assert ("left out an image" in words) == (listed == ["0", "7", "1"])
