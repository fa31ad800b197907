"""Positions of a series: behind one slider, or side by side by their places."""

import warnings

import numpy as np
import pytest
from odd_stores import change, group_v2, halved, image_v2

from napari_zarr_stream import (
    Channel,
    DeviceKind,
    ImageDescription,
    ImageSet,
    InvalidStore,
    StorageProperties,
    open_layers,
)
from napari_zarr_stream._reading.info import facts_of
from napari_zarr_stream._reading.positions import POSITIONS_KEY

T, C, Z, HEIGHT, WIDTH = 2, 2, 3, 48, 72
STAINS = (Channel("DAPI", "0000ff"), Channel("FITC", "00ff00"))


def value_of(p, t, c, z):
    return 1 + 1000 * (p % 60) + 100 * t + 10 * c + z


def described(number, shape=(T, C, Z, HEIGHT, WIDTH), channels=STAINS, record=None):
    return ImageDescription(
        str(number),
        name=f"site {number}",
        axes="tczyx",
        shape=(None, *shape[1:]),
        dtype="uint16",
        scale={"z": 1.0, "y": 0.5, "x": 0.5},
        units={"z": "um", "y": "um", "x": "um"},
        channels=channels,
        record=record or {},
    )


def make_set(path, images, steps=None, kind=DeviceKind.ZARR_V3_LZ4, **changes):
    """Planes of one value each; `steps` along t of each image."""
    given = {"tile_width": 32, "tile_height": 32, "sharded": False} | changes
    with ImageSet(StorageProperties(path, kind, **given), images) as made:
        for p, image in enumerate(images):
            for t in range(T if steps is None else steps[p]):
                for c, z in np.ndindex(*image.shape[1:3]):
                    plane = np.full(image.shape[-2:], value_of(p, t, c, z), "uint16")
                    made.put(p, (t, c, z), plane)
    return path


def opened(path, *how):
    """Layers of a store, and all that was said of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        layers = open_layers(path, *how)
    return layers, "\n".join(str(w.message) for w in caught)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Three positions alike."""
    path = tmp_path_factory.mktemp("three") / "three.ome.zarr"
    return make_set(path, [described(p) for p in range(3)])


def test_positions_are_behind_one_slider(three):
    layers, words = opened(three)
    assert [meta["name"] for _, meta, _ in layers] == ["DAPI", "FITC"]
    assert words == ""
    for c, (data, meta, kind) in enumerate(layers):
        assert kind == "image"
        assert meta["axis_labels"] == ["p", "t", "z", "y", "x"]
        assert meta["scale"] == [1.0, 1.0, 1.0, 0.5, 0.5]
        assert meta["units"] == ["pixel", "pixel", *["micrometer"] * 3]
        assert meta["metadata"][POSITIONS_KEY] == ["site 0", "site 1", "site 2"]
        assert meta["contrast_limits"][1] < 65535
        assert [level.shape[-2:] for level in data] == [(48, 72), (24, 36), (12, 18)]
        assert data[0].chunks == (1, 1, 1, 32, 32)
        for level in data:
            assert level.shape[:-2] == (3, T, Z)
            for p, t, z in np.ndindex(3, T, Z):
                assert (np.asarray(level[p, t, z]) == value_of(p, t, c, z)).all()
        np.testing.assert_array_equal(data[0][::-2, 1, 0, 5:9, 7], [
            [value_of(p, 1, c, 0)] * 4 for p in (2, 0)
        ])  # fmt: skip


@pytest.mark.parametrize("kind", [DeviceKind.ZARR, DeviceKind.ZARR_V3_ZSTD])
def test_positions_of_other_kinds_of_store(tmp_path, kind):
    path = make_set(tmp_path / "a.zarr", [described(p) for p in range(2)], kind=kind)
    layers, _ = opened(path)
    assert [data[0].shape for data, _, _ in layers] == [(2, T, Z, HEIGHT, WIDTH)] * 2


# id: steps of each position that came
STEPS = {"cut-short": (2, 1, 1), "one-without": (2, 0, 1), "first-without": (0, 1, 2)}


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_shorter_positions_have_black_behind_them(tmp_path, steps):
    path = make_set(tmp_path / "a.zarr", [described(p) for p in range(3)], steps)
    layers, words = opened(path)
    assert len(layers) == 2
    assert "positions of" in words
    assert "other sizes" in words
    pixels = np.asarray(layers[0][0][0])
    for p, t, z in np.ndindex(*pixels.shape[:3]):
        expected = value_of(p, t, 0, z) if t < steps[p] else 0
        assert (pixels[p, t, z] == expected).all()


def test_other_depths_are_one_slider_and_other_pixels_are_not(tmp_path):
    images = [
        described(0),
        described(1, (T, C, 1, HEIGHT, WIDTH)),
        described(2, (T, C, Z, 20, 30)),
        described(3, channels=(Channel("Cy5", "ff0000"), STAINS[1])),
    ]
    path = make_set(tmp_path / "a.zarr", images)
    layers, words = opened(path)
    assert "other sizes, up to (2, 2, 3, 48, 72)" in words
    assert [level_0(layer).shape for layer in layers] == [
        *[(2, T, Z, HEIGHT, WIDTH)] * 2,
        *[(T, Z, 20, 30)] * 2,
        *[(T, Z, HEIGHT, WIDTH)] * 2,
    ]
    assert (np.asarray(level_0(layers[0])[1, :, 1:]) == 0).all()
    assert len({meta["name"] for _, meta, _ in layers}) == 6


def level_0(layer):
    data = layer[0]
    return data[0] if isinstance(data, list) else data


def test_nothing_came_at_all(tmp_path):
    path = make_set(tmp_path / "a.zarr", [described(p) for p in range(2)], (0, 0))
    with pytest.raises(InvalidStore):
        opened(path)


def test_a_damaged_position_is_black_and_said(tmp_path):
    path = make_set(tmp_path / "a.zarr", [described(p) for p in range(4)])
    change(path / "1" / "0" / "zarr.json", lambda d: d.update(codecs=[{"name": "?"}]))
    (data, _, _), _ = opened(path)[0]
    with pytest.warns(UserWarning, match="left out"):
        assert not np.asarray(data[0][1, 0, 0]).any()
    assert (np.asarray(data[0][2, 0, 0]) == value_of(2, 0, 0, 0)).all()


@pytest.mark.long
def test_many_positions_are_few_layers(tmp_path):
    images = [described(p, (1, C, 1, 16, 16)) for p in range(300)]
    path = make_set(tmp_path / "a.zarr", images, [0] * 299 + [1])
    layers, _ = opened(path)
    assert [level_0(layer).shape for layer in layers] == [(300, 1, 1, 16, 16)] * 2
    assert (np.asarray(level_0(layers[1])[-1]) == value_of(299, 0, 1, 0)).all()
    assert len(facts_of(path)["images"]) == 300


# Side by side. Places in um; a pixel is 0.5 um: a field is 36 um wide and 24 um high.

PLACES = [(0, 0), (40, 0), (0, -30), (40, -30)]
CORNERS = [(0, 0), (0, 80), (60, 0), (60, 80)]


def by_record(path):
    images = [
        described(p, record={"position": {"name": "a", "x_um": x, "y_um": y}})
        for p, (x, y) in enumerate(PLACES)
    ]
    return make_set(path, images)


def by_xml(path):
    plane = (
        '<Plane PositionX="{}" PositionXUnit="mm" PositionY="{}" PositionYUnit="mm"/>'
    )
    return put_series(path, [plane.format(x / 1e3, y / 1e3) for x, y in PLACES])


def by_ngff(path):
    return put_series(path, [""] * 4, [(y / 2, x / 2) for y, x in CORNERS])


def put_series(path, planes, translations=None, more=""):
    """A series as others write it."""
    group_v2(path, {"bioformats2raw.layout": 3})
    group_v2(path / "OME", {"series": [str(p) for p in range(len(planes))]})
    images = "".join(f"<Image><Pixels>{plane}</Pixels></Image>" for plane in planes)
    xml = path / "OME" / "METADATA.ome.xml"
    xml.write_text(f'<OME xmlns="http://www.openmicroscopy.org/x">{images}{more}</OME>')
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    for p in range(len(planes)):
        pixels = halved(np.full((HEIGHT, WIDTH), value_of(p, 0, 0, 0), "u2"), "yx")
        transforms = [{"type": "scale", "scale": [0.5, 0.5]}]
        if translations:
            transforms.append({"type": "translation", "translation": translations[p]})
        datasets = [
            {"path": str(i), "coordinateTransformations": transforms} for i in range(2)
        ]
        image_v2(path / str(p), "yx", pixels, axes=axes, datasets=datasets)
    return path


@pytest.mark.parametrize("make", [by_record, by_xml, by_ngff])
def test_side_by_side_where_the_stage_had_them(path, make):
    layer = opened(make(path), "side by side")[0][0]
    pixels = level_0(layer)
    assert pixels.shape[-2:] == (60 + HEIGHT, 80 + WIDTH)
    seen = np.asarray(pixels)
    seen = seen.reshape(-1, *seen.shape[-2:])[0]
    expected = np.zeros_like(seen)
    for p, (y, x) in enumerate(CORNERS):
        expected[y : y + HEIGHT, x : x + WIDTH] = value_of(p, 0, 0, 0)
    np.testing.assert_array_equal(seen, expected)
    part = (..., slice(3, None, 7), slice(5, 140, 3))
    assert np.array_equal(np.asarray(pixels[part]).reshape(-1, 15, 45)[0], seen[part])
    smaller = np.asarray(layer[0][1])
    assert smaller.reshape(-1, *smaller.shape[-2:])[0][30 + 5, 40 + 5] == seen[70, 90]


def test_side_by_side_without_places_is_rows(three):
    layers, words = opened(three, "side by side")
    assert "nothing says where" in words
    assert level_0(layers[0]).shape == (T, Z, 2 * HEIGHT, 2 * WIDTH)
    with pytest.raises(ValueError, match="stacked"):
        open_layers(three, "stacked")


def test_far_apart_there_are_smaller_levels(tmp_path):
    images = [
        described(p, record={"position": {"x_um": 20_000 * p, "y_um": 0}})
        for p in range(2)
    ]
    layers, _ = opened(make_set(tmp_path / "a.zarr", images), "side by side")
    data = layers[0][0]
    assert data[0].shape[-2:] == (HEIGHT, 40_000 + WIDTH)
    assert max(data[-1].shape) <= 2048
    assert np.asarray(data[-1][0, 0])[0, -1] == value_of(1, 0, 0, 0)


# id: how a series of others is made, shapes of its layers
OTHERS = {
    "of-one-kind": (lambda path: put_series(path, [""] * 3), [(48, 72)] * 3),
    "at-places": (by_xml, [(4, 48, 72)]),
    "many": (lambda path: put_series(path, [""] * 17), [(17, 48, 72)]),
}


@pytest.mark.parametrize(("make", "shapes"), OTHERS.values(), ids=OTHERS)
def test_series_of_others(path, make, shapes):
    layers, words = opened(make(path))
    assert [level_0(layer).shape for layer in layers] == shapes
    assert words == ""


# id: what OME-XML says; damaged or hostile, it hides no pixels
XML = {
    "broken": "<Image",
    "entities": '<!DOCTYPE a [<!ENTITY b "c">]>&b;',
    "no-number": '<Image><Pixels><Plane PositionX="a" PositionY="1"/></Pixels></Image>',
}


@pytest.mark.parametrize("more", XML.values(), ids=XML)
def test_odd_xml_hides_nothing(path, more):
    layers, _ = opened(put_series(path, [""] * 2, more=more), "side by side")
    assert [level_0(layer).shape for layer in layers] == [(48, 72)] * 2
