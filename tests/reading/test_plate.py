"""Plates and wells as one image."""

import shutil

import numpy as np
import pytest
from odd_stores import (
    change,
    full_size,
    group_v2,
    halved,
    image_v2,
    opened,
    write,
    write_group,
)

from napari_zarr_stream import InvalidStore
from napari_zarr_stream._reading import fields as many
from napari_zarr_stream._reading import plate
from napari_zarr_stream._reading.far import is_far, without_waiting
from napari_zarr_stream._reading.info import facts_of
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._reading.zarr_array import ZarrArray
from napari_zarr_stream.cli import main


def test_a_plate_is_put_together(tmp_path):
    root = tmp_path / "26.11. plate.zarr"
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
        "26.11. plate",
        "red",
        [0.5, 0.5],
    )
    ((data, _, _),) = layers_of(root / "A" / "2")
    assert data[0].shape == (20, 24)
    shutil.rmtree(root / "A" / "1")
    with pytest.warns(UserWarning, match="1 of 4 wells .* are not there"):
        ((data, _, _),) = layers_of(root)
    np.testing.assert_array_equal(data[0][::30, ::40], [[0, 1], [2, 3]])
    for well in wells[1:]:
        shutil.rmtree(root / well)
    with pytest.raises(InvalidStore, match="none of its 4 fields is there"):
        layers_of(root)


# Plates of others


def put_plate(path, there, **said):
    """A plate of OME-NGFF 0.4; `there` has the images of each well, None for none."""
    rows = sorted({well.split("/")[0] for well in there})
    columns = sorted({well.split("/")[1] for well in there})
    plate = {
        "version": "0.4",
        "rows": [{"name": row} for row in rows],
        "columns": [{"name": column} for column in columns],
        "wells": [
            {
                "path": well,
                "rowIndex": rows.index(well.split("/")[0]),
                "columnIndex": columns.index(well.split("/")[1]),
            }
            for well in there
        ],
    }
    plate |= said
    group_v2(path, {"plate": {k: v for k, v in plate.items() if v is not ...}})
    for well, images in there.items():
        if images is not None:
            group_v2(path / well.split("/")[0])
            group_v2(path / well, {"well": {"version": "0.4", "images": images}})


def put_field(path, value, shape=(20, 30), axes="yx", levels=2, dtype="u2", **entry):
    pixels = np.full(shape, value, dtype)
    image_v2(path, axes, halved(pixels, axes, levels), attributes=entry)


FIELD = [{"path": "0"}]

# id: shape and value of the field in each of three wells, shape of the whole
SIZES = {
    # fractal-analytics-platform/fractal-tasks-core 52, ome/ome-zarr-py 241
    "alike": ([((20, 30), 10), ((20, 30), 20), ((20, 30), 30)], (20, 90)),
    "wider": ([((20, 30), 10), ((20, 40), 20), ((20, 30), 30)], (20, 120)),
    "higher": ([((20, 30), 10), ((30, 30), 20), ((25, 20), 30)], (30, 90)),
    "other-t": ([((2, 20, 30), 10), ((1, 20, 30), 20), ((1, 20, 30), 30)], (2, 20, 90)),
    "none-yet": (
        [((0, 20, 30), 10), ((2, 20, 30), 20), ((1, 20, 30), 30)],
        (2, 20, 90),
    ),
    "more-z": ([((2, 20, 30), 10), ((5, 20, 30), 20), ((1, 20, 30), 30)], (5, 20, 90)),
    "first-is-smallest": ([((8, 8), 10), ((80, 80), 20), ((9, 9), 30)], (80, 240)),
}


@pytest.mark.parametrize(("fields", "whole"), SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_wells_of_other_sizes(path, fields, whole, levels):
    put_plate(path, {f"A/{i}": FIELD for i in range(3)})
    for i, (shape, value) in enumerate(fields):
        axes = "zyx"[-len(shape) :]
        put_field(path / f"A/{i}/0", value, shape, axes, levels if i else 1)
    (layer,), words = opened(path)
    pixels = full_size(layer)
    assert pixels.shape == whole
    side = whole[-1] // 3
    for i, (shape, value) in enumerate(fields):
        part = pixels[..., i * side : (i + 1) * side]
        inside = tuple(slice(size) for size in shape)
        assert (part[inside] == value).all()
        assert part.sum() == part[inside].sum()
    alike = len({shape for shape, _ in fields}) == 1
    assert ("have other sizes" in words) == (not alike)


@pytest.mark.parametrize("levels", [(3, 1), (1, 3), (3, 2)])
def test_wells_of_other_levels(path, levels):
    put_plate(path, {"A/1": FIELD, "A/2": FIELD})
    for well, count, value in zip(("A/1", "A/2"), levels, (10, 20), strict=True):
        put_field(path / well / "0", value, (40, 60), levels=count)
    (layer,), words = opened(path)
    data = layer[0] if layer[1]["multiscale"] else [layer[0]]
    for i, level in enumerate(data):
        assert level.shape == (40 >> i, 120 >> i)
        side = 60 >> i
        np.testing.assert_array_equal(level[:, :side], 10)
        np.testing.assert_array_equal(level[:, side:], 20)
    assert words == ""


# id: images of wells A/1, A/2, B/1 (None: not there), what is said of the plate, values
# of fields that lie at each path, values that are seen, what is told
LAID_OUT = {
    # fractal-analytics-platform/fractal-tasks-core 51, ome/ome-zarr-py 263, 296, 486
    "all": ((FIELD, FIELD, FIELD), {}, {10, 20, 30}, ""),
    "one-missing": ((FIELD, None, FIELD), {}, {0, 10, 30}, "1 of 3 wells"),
    "first-missing": ((None, FIELD, FIELD), {}, {0, 20, 30}, "1 of 3 wells"),
    "last-missing": ((FIELD, FIELD, None), {}, {0, 10, 20}, "1 of 3 wells"),
    # ome/ome-zarr-py 77: fields are called as their writer calls them
    "other-names": (([{"path": "4"}], FIELD, [{"path": "f"}]), {}, {10, 20, 30}, ""),
    "no-fields": (([], FIELD, FIELD), {}, {0, 20, 30}, ""),
    "odd-fields": (([3, None], FIELD, [{}]), {}, {0, 20}, ""),
    "two-fields": (([{"path": "0"}, {"path": "1"}], FIELD, FIELD), {}, {10, 20, 30},
        ""),
    # versions and writers of plates: 0.1 has no indices, others no rows or columns
    "no-rows": ((FIELD, FIELD, FIELD), {"rows": ..., "columns": ...}, {10, 20, 30}, ""),
    "no-indices": ((FIELD, FIELD, FIELD), {"wells": [
        {"path": "A/1"}, {"path": "A/2"}, {"path": "B/1"}]}, {10, 20, 30}, ""),
    "wrong-indices": ((FIELD, FIELD, FIELD), {"wells": [
        {"path": "A/1", "rowIndex": 9}, {"path": "A/2"}, {"path": "B/1"}]},
        {10, 20, 30}, ""),
    "odd-wells": ((FIELD, FIELD, FIELD), {"wells": [
        3, {"path": 4}, {"path": "A/1"}, {"path": "A/2"}, {"path": "B/1"}]},
        {10, 20, 30}, "is no well of"),
    "a-well-outside": ((FIELD, FIELD, FIELD), {"wells": [
        {"path": "../1", "rowIndex": 0, "columnIndex": 0},
        {"path": "A/1"}, {"path": "A/2"}, {"path": "B/1"}]}, {10, 20, 30},
        "is not in the store"),
    "a-field-outside": (([{"path": "../../../0"}, {"path": "0"}], FIELD, FIELD), {},
        {10, 20, 30}, "is not in the store"),
    "wells-by-path": ((FIELD, FIELD, FIELD), {"wells": ["A/1", "A/2", "B/1"]},
        {10, 20, 30}, ""),
    "odd-version": ((FIELD, FIELD, FIELD), {"version": "9"}, {10, 20, 30}, ""),
    "no-version": ((FIELD, FIELD, FIELD), {"version": ...}, {10, 20, 30}, ""),
    "odd-acquisitions": ((FIELD, FIELD, FIELD), {"acquisitions": [3, {"id": "a"}]},
        {10, 20, 30}, ""),
}  # fmt: skip


@pytest.mark.parametrize(
    ("images", "said", "values", "told"), LAID_OUT.values(), ids=LAID_OUT
)
def test_wells_as_others_lay_them_out(path, images, said, values, told):
    wells = dict(zip(("A/1", "A/2", "B/1"), images, strict=True))
    put_plate(path, wells, **said)
    for i, (well, fields) in enumerate(wells.items()):
        for field in fields or []:
            if isinstance(field, dict) and "path" in field:
                put_field(path / well / field["path"], 10 * (i + 1))
    (layer,), words = opened(path)
    pixels = full_size(layer)
    assert set(np.unique(pixels)) - {0} == values - {0}
    if 10 in values:
        assert (pixels[:20, :30] == 10).all()
    if 30 in values:
        assert (pixels[20:, :30] == 30).all()
    assert told in words
    assert bool(told) == bool(words)


def test_a_field_that_is_damaged_hides_no_other(path):
    put_plate(path, {f"A/{i}": FIELD for i in range(4)})
    for i in range(4):
        put_field(path / f"A/{i}/0", 10 * (i + 1))
    (path / "A/0/0/.zattrs").write_text("{")
    (path / "A/1/0/0/.zarray").write_text("{")
    for i in range(2):
        array = path / f"A/2/0/{i}/.zarray"
        change(array, lambda d: d.update(compressor={"id": "zlib"}))
    with pytest.warns(UserWarning, match="2 fields cannot be opened"):
        ((data, _, _),) = layers_of(path)
    with pytest.warns(UserWarning, match="left out a field"):
        pixels = np.asarray(data[0])
    assert set(np.unique(pixels)) == {0, 40}
    np.testing.assert_array_equal(np.asarray(data[0]), pixels)  # said once


def test_a_field_that_is_not_there_is_said(path):
    put_plate(path, {"A/1": FIELD, "A/2": FIELD})
    put_field(path / "A/2/0", 20)
    (layer,), words = opened(path)
    assert set(np.unique(full_size(layer))) == {0, 20}
    assert "1 of 2 fields" in words


def test_a_damaged_level_of_a_field_leaves_its_others(path):
    put_plate(path, {"A/1": FIELD, "A/2": FIELD})
    for i, well in enumerate(("A/1", "A/2")):
        put_field(path / well / "0", 10 * (i + 1))
    (path / "A/2/0/1/0/0").write_bytes(b"cut off")
    (layer,), _ = opened(path)
    with pytest.warns(UserWarning, match="left out a level of a field"):
        smaller = np.asarray(layer[0][1])
    assert set(np.unique(smaller)) == {10, 20}
    assert set(np.unique(full_size(layer))) == {10, 20}


def test_most_fields_say_what_axes_a_plate_has(path):
    put_plate(path, {f"A/{i}": FIELD for i in range(3)})
    put_field(path / "A/0/0", 10, (3, 2, 20, 30), "tcyx")
    for i in (1, 2):
        put_field(path / f"A/{i}/0", 10 * (i + 1))
    (layer,), words = opened(path)
    assert set(np.unique(full_size(layer))) == {0, 20, 30}
    assert "1 fields have other axes: left out" in words


@pytest.mark.parametrize(("types", "dtype"), [
    (("u1", "u2"), "u2"), (("u2", "f4"), "f4"), (("i1", "u1"), "i2")
])  # fmt: skip
def test_fields_of_other_types_lose_no_value(path, types, dtype):
    put_plate(path, {"A/1": FIELD, "A/2": FIELD})
    largest = {"u1": 255, "i1": -128, "u2": 65535, "f4": -0.5}
    for well, given in zip(("A/1", "A/2"), types, strict=True):
        put_field(path / well / "0", largest[given], dtype=given)
    (layer,), _ = opened(path)
    assert full_size(layer).dtype == dtype
    low, high = layer[1]["contrast_limits"]
    assert low <= min(largest[t] for t in types)
    assert high >= max(largest[t] for t in types)
    assert set(np.unique(full_size(layer))) == {largest[given] for given in types}


def channels(*names):
    return {"omero": {"channels": [{"label": name} for name in names]}}


def put_two_acquisitions(path, names=("cycle 0", "cycle 1")):
    listed = [{"id": i, "name": name} for i, name in enumerate(names)]
    images = [{"path": "0", "acquisition": 0}, {"path": "1", "acquisition": 1}]
    put_plate(path, {"B/03": images, "B/05": images}, acquisitions=listed)
    for well in ("B/03", "B/05"):
        for i, stains in enumerate((("DAPI", "GFP"), ("Cy3", "Cy5"))):
            field = path / well / str(i)
            put_field(field, 10 + i, (2, 20, 30), "cyx", **channels(*stains))
            group_v2(field / "labels", {"labels": ["nuclei"]})
            put_field(field / "labels/nuclei", 1 + i, dtype="u4", **{"image-label": {}})


def test_acquisitions_are_told_apart_and_have_their_labels(path):
    """ome/ome-zarr-py 62, 207, 225, mobie/mobie-viewer-fiji 1066."""
    put_two_acquisitions(path)
    for root, shape in ((path, (20, 60)), (path / "B/03", (20, 30))):
        layers, words = opened(root)
        assert [(meta["name"], kind) for _, meta, kind in layers] == [
            ("cycle 0: DAPI", "image"),
            ("cycle 0: GFP", "image"),
            ("cycle 0: nuclei", "labels"),
            ("cycle 1: Cy3", "image"),
            ("cycle 1: Cy5", "image"),
            ("cycle 1: nuclei", "labels"),
        ]
        values = [np.unique(full_size(layer)).tolist() for layer in layers]
        assert values == [[10], [10], [1], [11], [11], [2]]
        assert {full_size(layer).shape for layer in layers} == {shape}
        assert words == ""


def test_labels_that_only_some_fields_have(path):
    wells = [f"A/{i}" for i in range(1, 8)]
    put_plate(path, dict.fromkeys(wells, FIELD))
    for well in wells:
        put_field(path / well / "0", 10, levels=1)
    field = path / "A/7/0"
    group_v2(field / "labels", {"labels": ["cells"]})
    put_field(field / "labels/cells", 7, dtype="u4", **{"image-label": {}})
    (_, labels), _ = opened(path)
    assert labels[2] == "labels"
    pixels = full_size(labels)
    assert pixels.shape == (20, 210)
    assert (pixels[:, 180:] == 7).all()
    assert not pixels[:, :180].any()


def test_fields_of_a_well_in_a_square(path):
    put_plate(path, {"A/1": [{"path": str(i)} for i in range(5)]})
    for i in range(5):
        put_field(path / "A/1" / str(i), i + 1)
    (layer,), _ = opened(path / "A/1")
    pixels = full_size(layer)
    assert pixels.shape == (40, 90)
    assert pixels[::20, ::30].tolist() == [[1, 2, 3], [4, 5, 0]]


def moved(x, y):
    """A field by OME-NGFF's own word, in pixels; y downwards."""
    move = [{"type": "scale", "scale": [1, 1]},
            {"type": "translation", "translation": [y, x]}]  # fmt: skip
    return {"multiscales": [{"version": "0.4", "axes": [
        {"name": "y", "type": "space"}, {"name": "x", "type": "space"}],
        "datasets": [{"path": "0", "coordinateTransformations": move}]}]}  # fmt: skip


# id: where each field of a well is, and what lies where in its tile
TILES = {
    "nothing-said": ([{}] * 3, [[1, 2], [3, 0]]),
    "a-row": ([moved(x, 5) for x in (0, 30, 60, 90)], [[1, 2, 3, 4]]),
    "a-column-upwards": ([moved(0, y) for y in (40, 20, 0)], [[3], [2], [1]]),
    "meandering": (
        [moved(*at) for at in ((0, 0), (30, 0), (30, 20), (0, 20))], [[1, 2], [4, 3]]),
    "overlapping-and-jittering": (
        [moved(*at) for at in ((0, 0), (27, 1), (1, 19), (28, 18))], [[1, 2], [3, 4]]),
    "round": (
        [moved(*at) for at in ((30, 0), (0, 20), (30, 20), (60, 20), (30, 40))],
        [[0, 1, 0], [2, 3, 4], [0, 5, 0]]),
    "random": (
        [moved(*at) for at in ((0, 300), (80, 100), (170, 0), (260, 200), (420, 70))],
        [[1, 2, 3], [4, 5, 0]]),
}  # fmt: skip


@pytest.mark.parametrize(("said", "tile"), TILES.values(), ids=TILES)
def test_fields_lie_in_the_tile_of_their_well(path, said, tile):
    listed = [{"path": str(i)} for i in range(len(said))]
    put_plate(path, {"A/1": listed, "A/2": listed[:1], "B/2": listed[::-1]})
    for well, tens in (("A/1", 10), ("A/2", 20), ("B/2", 30)):
        for i, words in enumerate(said[:1] if well == "A/2" else said):
            put_field(path / well / str(i), tens + i + 1, **words)
    for where, wells in (
        (path, [[10, 20], [0, 30]]),
        (path / "A/1", [[10]]),
    ):
        (layer,), told = opened(where)
        assert "not shown" not in told
        whole = np.block(
            [
                [
                    np.where(
                        (np.array(tile) == 1) | (tens != 20),
                        np.where(tile, np.array(tile) + tens, 0),
                        0,
                    )
                    * (tens > 0)
                    for tens in row
                ]
                for row in wells
            ]
        )
        pixels = full_size(layer)
        assert pixels[::20, ::30].tolist() == whole.tolist()


def test_fields_that_each_well_names_its_own_way(path):
    names = {"A/1": ("a", "b"), "A/2": ("c", "d")}
    put_plate(
        path, {well: [{"path": n} for n in fields] for well, fields in names.items()}
    )
    for number, (well, name) in enumerate(
        (well, name) for well, fields in names.items() for name in fields
    ):
        put_field(path / well / name, number + 1)
    (layer,), _ = opened(path)
    assert full_size(layer)[::20, ::30].tolist() == [[1, 2, 3, 4]]


def test_of_too_many_fields_the_first_of_each_well_are_shown(path, monkeypatch):
    monkeypatch.setattr(plate, "MAX_LOOKED", 3)
    listed = [{"path": "0"}, {"path": "1"}]
    put_plate(path, {"A/1": listed, "A/2": listed})
    for well in ("A/1", "A/2"):
        for i in range(2):
            put_field(path / well / str(i), i + 1)
    (layer,), told = opened(path)
    assert full_size(layer)[::20, ::30].tolist() == [[1, 1]]
    assert "2 more fields of wells are not shown: open the wells" in told


def test_a_plate_without_a_field_says_so(path):
    put_plate(path, {"A/1": None, "A/2": None})
    with pytest.raises(InvalidStore, match="none of its 2 fields is there"):
        layers_of(path)
    assert facts_of(path)["wells"] == 2


def test_a_plate_is_exported_whole(path, tmp_path):
    put_plate(path, {"A/1": FIELD, "A/2": FIELD})
    put_field(path / "A/1/0", 10, (20, 30))
    put_field(path / "A/2/0", 20, (25, 40))
    with pytest.warns(UserWarning, match="have other sizes"):
        assert main(["export", str(path), str(tmp_path / "out.zarr")]) == 0
    (layer,), _ = opened(tmp_path / "out.zarr")
    assert set(np.unique(full_size(layer))) == {0, 10, 20}


@pytest.mark.parametrize("fields", [1, pytest.param(4, marks=pytest.mark.long)])
def test_a_large_plate_opens_no_field_before_it_is_looked_at(path, monkeypatch, fields):
    rows = [f"{chr(65 + i)}" for i in range(16)]
    listed = [{"path": str(i)} for i in range(fields)]
    wells = {f"{row}/{column}": listed for row in rows for column in range(24)}
    put_plate(path, wells)
    for well in wells:
        for field in listed:
            put_field(path / well / field["path"], 1, (8, 8), levels=1)
    opened_arrays = []
    real = ZarrArray.__init__

    def counting(self, where):
        opened_arrays.append(where)
        real(self, where)

    monkeypatch.setattr(ZarrArray, "__init__", counting)
    ((data, _, _),) = layers_of(path)
    assert len(opened_arrays) <= 8
    assert (np.asarray(data[:8, :16]) == 1).all()
    assert len(opened_arrays) <= 10


def test_no_window_waits_for_many_fields(path, monkeypatch):
    """Nor does it for those few of a large plate that are in view."""
    monkeypatch.setattr(many, "OPENED_SOON", 2)
    wells = [f"{row}/{column}" for row in "AB" for column in (1, 2)]
    put_plate(path, dict.fromkeys(wells, FIELD))
    for number, well in enumerate(wells):
        put_field(path / well / "0", 10 + number)
    ((data, _, _),) = layers_of(path)
    assert all(map(is_far, data))
    with without_waiting() as missing:
        assert (np.asarray(data[0][:20, :60]) == [10] * 30 + [11] * 30).all()
        assert not missing
    monkeypatch.setattr(many, "READ_SOON", 2)
    whole = data[0][:40, :60]
    with without_waiting() as missing:
        assert (np.asarray(whole) == 0).all()
    [fetch] = missing
    fetch()
    with without_waiting() as missing:
        shown = np.asarray(whole)
        assert not missing
    np.testing.assert_array_equal(shown[::20, ::30], [[10, 11], [12, 13]])
    shown[:] = 0  # it is whose it was given to
    np.testing.assert_array_equal(np.asarray(whole)[::20, ::30], [[10, 11], [12, 13]])


def test_few_fields_are_there_at_once(path):
    put_plate(path, {"A/1": FIELD, "A/2": FIELD})
    for well in ("A/1", "A/2"):
        put_field(path / well / "0", 1)
    ((data, _, _),) = layers_of(path)
    assert not any(map(is_far, data))
