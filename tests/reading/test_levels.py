"""Levels of a pyramid: level 0 is the truth, the others where they fit."""

import shutil

import numpy as np
import pytest
from napari.components import ViewerModel
from odd_stores import (
    KINDS,
    addressed,
    change,
    full_size,
    halved,
    image_v2,
    opened,
    write,
)

from napari_zarr_stream import InvalidStore
from napari_zarr_stream._reading.info import facts_of
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream.cli import main


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
    with pytest.warns(UserWarning, match=r"left out a level.*image.ome.zarr[/\\]1"):
        ((data, _, _),) = layers_of(path)
    assert [level.shape for level in data] == [(3, 40, 50), (3, 10, 13)]
    shutil.rmtree(path / "0")
    with pytest.raises(InvalidStore, match=r"image.ome.zarr[/\\]0 cannot be opened"):
        layers_of(path)


PIXELS = addressed((6, 32, 32))

# id: axes, levels as they are cut out of level 0, those that are shown, what is said
PYRAMIDS = {
    # acquire-project/acquire-zarr 0.1.0 (6, 3, 1 along t), ome/ngff 18
    "smaller-along-t": (
        "tyx", np.s_[::1], [np.s_[::2, ::2, ::2], np.s_[:1, ::4, ::4]], [0],
        "left out level 1",
    ),
    "one-of-two-is": ("tyx", np.s_[::1], [np.s_[::2, ::2, ::2], np.s_[:, ::4, ::4]],
        [0, 2], "left out level 1"),
    "smaller-along-c": ("cyx", np.s_[::1], [np.s_[:3, ::2, ::2]], [0], "lose planes"),
    # ome/ngff 25: volumes
    "smaller-along-z": ("zyx", np.s_[::1], [np.s_[::2, ::2, ::2]], [0, 1], ""),
    "as-large": ("zyx", np.s_[::1], [np.s_[::1]], [0, 1], ""),
    "ahead": ("tyx", np.s_[:4], [np.s_[:, ::2, ::2]], [0, 1], ""),
    "reversed": ("tyx", np.s_[:, ::2, ::2], [np.s_[::1]], [1, 0], "larger than level"),
    "wider": ("tyx", np.s_[:, :, :8], [np.s_[:, ::2, ::2]], [0], "left out level 1"),
    "empty": ("zyx", np.s_[::1], [np.s_[:0, ::2, ::2]], [0], "left out level 1"),
    "fewer-axes": ("tyx", np.s_[::1], [np.s_[0, ::2, ::2]], [0], "level 0 has 3 axes"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("axes", "full", "others", "kept", "said"), PYRAMIDS.values(), ids=PYRAMIDS
)
def test_level_0_is_the_truth(path, axes, full, others, kept, said):
    levels = [PIXELS[cut] for cut in (full, *others)]
    image_v2(path, axes, levels)
    layers, words = opened(path)
    planes = levels[kept[0]].shape[0]
    if axes[0] == "c":
        assert len(layers) == planes
    shown = [layer[0] if isinstance(layer[0], list) else [layer[0]] for layer in layers]
    assert {len(found) for found in shown} == {len(kept)}
    found = np.stack([full_size(layer) for layer in layers])
    expected = levels[kept[0]]
    np.testing.assert_array_equal(found if axes[0] == "c" else found[0], expected)
    assert said in words
    assert bool(said) == bool(words)


@pytest.mark.parametrize("axes", ["tyx", "ctyx", "tczyx"])
def test_all_planes_are_exported(path, tmp_path, axes, capsys):
    outer = [6 if axis == "t" else 1 for axis in axes[:-2]]
    pixels = addressed((6, 32, 32)).reshape([*outer, 32, 32])
    along = tuple(slice(None, None, 2 if axis in "tyx" else 1) for axis in axes)
    image_v2(path, axes, [pixels, pixels[along]])
    with pytest.warns(UserWarning, match="would lose planes"):
        assert main(["export", str(path), str(tmp_path / "out.zarr")]) == 0
    assert "6 planes" in capsys.readouterr().out
    (layer,), _ = opened(tmp_path / "out.zarr")
    np.testing.assert_array_equal(full_size(layer).ravel(), pixels.ravel())


def test_a_level_of_another_type_is_left_out(path):
    image_v2(path, "tyx", [PIXELS, PIXELS[:, ::2, ::2].astype("f4")])
    (layer,), words = opened(path)
    assert not layer[1]["multiscale"]
    assert "it holds float32, level 0 uint16" in words


# id: what is listed, what is said
LISTED = {
    "no-object": (["1"], ""),
    "twice": ([{"path": "1"}, {"path": "1"}], ""),
    "not-there": ([{"path": "9"}], "left out a level"),
    "outside": ([{"path": "../other"}], "left out a level"),
    "no-path": ([{}], ""),
    "from-the-root": ([{"path": "/1/"}], ""),
}


@pytest.mark.parametrize(("more", "said"), LISTED.values(), ids=LISTED)
def test_levels_that_are_listed_oddly(path, more, said):
    image_v2(path, "tyx", halved(PIXELS, "tyx"), datasets=[{"path": "0"}, *more])
    (layer,), words = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)
    assert said in words


# id: what stands in the place of the list of levels
# id: where level 0 is said to be, which lies at "0"
ELSEWHERE = {
    "another-name": "s0",
    "below-another-root": "/images/a/0",
    "of-another-image": "../b/0",
    "with-a-space": "0 ",
}


@pytest.mark.parametrize("said", ELSEWHERE.values(), ids=ELSEWHERE)
def test_levels_that_are_there_are_taken_where_no_listed_one_is(path, said):
    image_v2(path, "zyx", [PIXELS, PIXELS[:, ::2, ::2]])
    change(
        path / ".zattrs",
        lambda d: d["multiscales"][0].update(datasets=[{"path": said}]),
    )
    ((levels, _, _),), words = opened(path)
    assert [level.shape for level in levels] == [(6, 32, 32), (6, 16, 16)]
    assert "are not there: arrays 0, 1 are taken for them" in words


@pytest.mark.parametrize("said", ["/0", "//0", "0/", "./0"])
def test_no_level_leads_out_of_the_store(path, said):
    """What stands behind it is joined with what is said."""
    image_v2(path, "zyx", [PIXELS])
    change(
        path / ".zattrs",
        lambda d: d["multiscales"][0]["datasets"][0].update(path=said),
    )
    assert facts_of(path)["levels"][0]["shape"] == [6, 32, 32]
    (layer,), _ = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)


UNLISTED = {"none": None, "empty": [], "an-object": {"path": "0"}, "words": "0"}


@pytest.mark.parametrize("said", UNLISTED.values(), ids=UNLISTED)
def test_levels_that_are_not_listed_are_found(path, said):
    image_v2(path, "tyx", halved(PIXELS, "tyx"), datasets=said)
    (layer,), words = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)
    assert len(layer[0]) == 2
    assert "no levels are listed: arrays 0, 1 are taken" in words


@pytest.mark.parametrize("damaged", [[2], [1, 2], [1]])
def test_a_damaged_level_does_not_keep_the_others_from_being_shown(path, damaged):
    image_v2(path, "tyx", halved(PIXELS, "tyx", 3))
    for level in damaged:
        chunk = next((path / str(level) / "0").rglob("[0-9]*/[0-9]*"))
        chunk.write_bytes(b"cut off")
    (layer,), words = opened(path)
    ViewerModel().add_image(layer[0], **layer[1])
    np.testing.assert_array_equal(full_size(layer), PIXELS)
    left_out = [2] if damaged == [2] else [1, 2] if 2 in damaged else []
    shown = layer[0] if isinstance(layer[0], list) else [layer[0]]
    assert len(shown) == 3 - len(left_out)
    assert all(f"left out level {level}" in words for level in left_out)


def test_a_lost_level_0_is_said_with_those_that_are_there(path):
    image_v2(path, "tyx", halved(PIXELS, "tyx", 3))
    shutil.rmtree(path / "0")
    with pytest.raises(InvalidStore) as caught:
        layers_of(path)
    said, _, others = str(caught.value).partition(" cannot be opened")
    assert said.endswith(str(path / "0"))
    assert f"by themselves: {path / '1'}" in others
