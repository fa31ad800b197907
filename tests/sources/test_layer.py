"""Layers as sources: which axis is which, and every plane at its place."""

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels, Points

from napari_zarr_stream import InvalidProperties, SourceFailed
from napari_zarr_stream._reading.lazy import LazyArray
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._sources.plane_reader import (
    CHUNK_BATCH_BYTES,
    MEMORY_BATCH_BYTES,
)


def addressed(shape, dtype="u4"):
    """Pixels that carry their address."""
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def all_planes(source):
    description = source.describe()
    source.start()
    batches, taken = [], 0
    while taken < source.planes:
        pixels = source.read(1.0).pixels
        assert pixels.ndim == 3
        assert pixels.dtype == description.dtype
        assert len(pixels) > 0
        batches.append(pixels.copy())
        taken += len(pixels)
    assert source.lost == 0
    with pytest.raises(SourceFailed, match="were read"):
        source.read(1.0)
    source.stop()
    source.stop()
    assert taken == source.planes
    return np.concatenate(batches).reshape(description.shape)


def kinds_of_array(array, tmp_path):
    chunks = tuple(max(1, size // 2) for size in array.shape)
    stored = zarr.create_array(
        str(tmp_path / "a.zarr"), shape=array.shape, dtype=array.dtype, chunks=chunks
    )
    stored[...] = array
    return {
        "numpy": array,
        "fortran": np.asfortranarray(array),
        "dask": da.from_array(array, chunks=chunks),
        "zarr": stored,
        "lazy": LazyArray(stored),
    }


# Which axis is which


@pytest.mark.parametrize(
    ("ndim", "labels", "units", "expected"),
    [
        (2, None, None, "yx"),
        (3, None, None, "zyx"),
        (3, None, ("s", "um", "um"), "tyx"),
        (3, None, ("um", "um", "um"), "zyx"),
        (3, ("-3", "-2", "-1"), ("minute", "pixel", "pixel"), "tyx"),
        (4, None, None, "tzyx"),
        (5, None, None, "tczyx"),
        (3, ("t", "y", "x"), None, "tyx"),
        (3, ("Time", "Height", "Width"), None, "tyx"),
        (3, ("CHANNEL", "y", "x"), None, "cyx"),
        (4, ("c", "", "", ""), None, "czyx"),
        (4, ("", "c", "", ""), None, "zcyx"),
        (3, ("x", "y", "t"), None, "xyt"),
        (5, ("", "", "t", "", ""), None, "cztyx"),
        (4, None, ("s", "um", "um", "um"), "tzyx"),
        (4, ("", "t", "", ""), ("um", "s", "um", "um"), "ztyx"),
    ],
)
def test_axes_are_guessed_as_a_biologist_would(ndim, labels, units, expected):
    meta = {"axis_labels": labels, "units": units, "rgb": False}
    source = LayerSource(np.zeros((2,) * ndim, "u1"), meta)
    description = source.describe()
    assert description.record["layer_axes"] == expected
    assert description.axes == "".join(a for a in "tczyx" if a in expected)


@pytest.mark.parametrize(
    ("ndim", "labels", "units", "guessed"),
    [
        (2, None, None, ""),
        (3, None, None, "z"),
        (4, None, None, "tz"),
        (5, None, None, "tcz"),
        (3, ("-3", "-2", "-1"), None, "z"),
        (3, ("t", "-2", "-1"), None, ""),
        (4, ("t", "-3", "-2", "-1"), None, "z"),
        (3, None, ("s", "um", "um"), ""),
        (3, None, ("um", "um", "um"), ""),
    ],
)
def test_what_was_guessed_is_known(ndim, labels, units, guessed):
    meta = {"axis_labels": labels, "units": units, "rgb": False}
    pixels = np.zeros((2,) * ndim, "u1")
    assert LayerSource(pixels, meta).guessed == guessed
    assert LayerSource(pixels, {}, axes="tczyx"[-ndim:]).guessed == ""


@pytest.mark.parametrize(
    ("meta", "shape", "said"),
    [
        ({}, (2,) * 6, "at most five"),
        ({"axis_labels": ("angle", "y", "x")}, (2, 2, 2), "'angle'"),
        ({"axis_labels": ("y", "y", "x")}, (2, 2, 2), "'yyx'"),
        ({"axis_labels": ("t", "time", "y", "x")}, (2, 2, 2, 2), "'ttyx'"),
        ({"axis_labels": ("y", "x")}, (2, 2, 2), "2 axis labels for 3"),
        (
            {"units": ("um", "um", "um", "um")},
            (2, 2, 2, 2),
            "'t' is not an OME-NGFF unit",
        ),
        ({"units": ("um", "um")}, (2, 2, 2), "2 units for 3"),
        ({"scale": (1, 1, 1, 1)}, (2, 2, 2), "4 values for 3"),
        ({"scale": (0, 1)}, (2, 2), "positive"),
        ({"translate": (np.nan, 1)}, (2, 2), "finite"),
        ({"rotate": 30.0}, (2, 2), "rotate"),
        ({"rotate": (0, 0, 5)}, (2, 2, 2), "rotate"),
        ({"shear": (0.1,)}, (2, 2), "shear"),
        ({"affine": [[0, 1, 0], [1, 0, 0], [0, 0, 1]]}, (2, 2), "affine"),
        ({}, (0, 2, 2), r"\(0, 2, 2\)"),
        ({}, (2,), r"\(2,\)"),
        ({"rgb": True, "axis_labels": ("c", "y", "x")}, (2, 9, 9, 3), "has colours"),
        ({"rgb": True}, (2, 2, 2, 9, 9, 3), "has colours.*tczyx"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_name(meta, shape, said):
    with pytest.raises(InvalidProperties, match=said) as caught:
        LayerSource(np.zeros(shape, "u1"), {"name": "my layer", "rgb": False} | meta)
    assert "my layer" in str(caught.value) or "positive" in said or "finite" in said


@pytest.mark.parametrize("levels", [1, 2])
def test_a_dask_array_of_unknown_size_is_refused(levels):
    unknown = da.zeros((8, 8), chunks=4, dtype="u1")
    unknown = unknown[(unknown == 0).all(axis=1)]
    data = [np.zeros((16, 16), "u1"), unknown][-levels:]
    meta = {"name": "my layer", "multiscale": levels > 1}
    with pytest.raises(InvalidProperties, match=r"my layer.*compute_chunk_sizes"):
        LayerSource(data if levels > 1 else unknown, meta)


@pytest.mark.parametrize("kind", LayerSource.KINDS)
@pytest.mark.parametrize("meta", [{}, {"name": ""}, {"name": " "}, {"name": None}])
def test_a_layer_without_a_name_is_called_by_its_kind(meta, kind):
    """And not as the folder that it is written in before that has its name."""
    source = LayerSource(np.zeros((4, 4), "u1"), meta, kind)
    assert source.name == source.describe().name == kind


@pytest.mark.parametrize("dtype", ["f2", "c8", "U3", "O", "M8[s]"])
def test_types_that_cannot_be_stored_are_refused_with_those_that_can(dtype):
    with pytest.raises(InvalidProperties, match=r"my layer.*float32"):
        LayerSource(np.zeros((4, 4), dtype), {"name": "my layer"})


def test_neutral_transforms_are_none():
    meta = {"rotate": np.eye(2), "shear": [0.0], "affine": np.eye(3)}
    LayerSource(np.zeros((4, 4), "u1"), meta)


def test_other_layers_are_refused():
    with pytest.raises(InvalidProperties, match="points layer"):
        LayerSource.of(Points(np.zeros((3, 2))))


# Every plane at its place


@pytest.mark.parametrize(
    "axes", ["yx", "tyx", "zyx", "tczyx", "zcyx", "xyt", "ytx", "yxczt"]
)
@pytest.mark.parametrize("kind", ["numpy", "fortran", "dask", "zarr", "lazy"])
def test_planes_come_in_the_order_of_ngff(axes, kind, tmp_path):
    array = addressed(tuple(range(3, 3 + len(axes))))
    source = LayerSource(
        kinds_of_array(array, tmp_path)[kind], {"rgb": False}, axes=axes
    )
    order = sorted(range(len(axes)), key=lambda i: "tczyx".index(axes[i]))
    assert source.describe().shape == array.transpose(order).shape
    np.testing.assert_array_equal(all_planes(source), array.transpose(order))


@pytest.mark.parametrize("kind", ["numpy", "dask", "lazy"])
def test_a_mirrored_layer_stays_where_it_is(kind, tmp_path):
    array = addressed((3, 4, 5, 6))
    meta = {"scale": (-2.0, 1, -0.5, 0.25), "translate": (10.0, 0, 4, 0)}
    source = LayerSource(kinds_of_array(array, tmp_path)[kind], meta, axes="tzyx")
    description = source.describe()
    assert description.scale == (2.0, 1, 0.5, 0.25)
    # the last pixel is now the first
    assert description.translation == (10 - 2 * 2, 0, 4 - 0.5 * 4, 0)
    np.testing.assert_array_equal(all_planes(source), array[::-1, :, ::-1])


def test_planes_in_memory_come_in_batches_of_bounded_size():
    source = LayerSource(np.zeros((4, 64, 256, 256), "u1"), {})
    source.start()
    assert source.read(1.0).pixels.nbytes == MEMORY_BATCH_BYTES
    small = LayerSource(np.zeros((4, 8, 16, 16), "u1"), {"rgb": False})
    small.start()
    assert len(small.read(1.0).pixels) == 32
    large = LayerSource(np.zeros((2, 2, 3000, 3000), "u1"), {})
    large.start()
    assert len(large.read(1.0).pixels) == 1


class Counting:
    """An array that counts how often it is read."""

    def __init__(self, array, chunks):
        self.array, self.chunks, self.reads = array, chunks, 0
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, key):
        self.reads += 1
        return self.array[key]


def test_planes_of_one_chunk_are_read_at_once():
    array = addressed((10, 2, 3, 8, 8))
    source = LayerSource(counting := Counting(array, (5, 1, 3, 8, 8)), {"rgb": False})
    np.testing.assert_array_equal(all_planes(source), array)
    assert counting.reads == 2


def test_chunks_that_are_too_large_are_read_in_parts():
    plane = (2048, 2048)
    array = np.broadcast_to(np.zeros(plane, "u1"), (100, *plane))
    source = LayerSource(Counting(array, (100, 512, 512)), {})
    source.start()
    assert source.read(1.0).pixels.nbytes <= CHUNK_BATCH_BYTES


def test_a_dask_array_is_computed_plane_by_plane():
    seen = []

    def compute(block):
        seen.append(block.shape)
        return block

    lazy = da.zeros((6, 8, 8), "u2", chunks=(1, 8, 8)).map_blocks(compute, dtype="u2")
    seen.clear()
    source = LayerSource(lazy, {})
    source.start()
    assert len(source.read(1.0).pixels) == 1
    assert seen == [(1, 8, 8)]


def test_failure_names_layer_and_plane():
    def fail(block, block_info=None):
        if block_info[0]["chunk-location"][0] == 2:
            raise OSError("disk on fire")
        return block

    lazy = da.zeros((4, 8, 8), "u2", chunks=(1, 8, 8)).map_blocks(
        fail, dtype="u2", meta=np.empty((0, 0, 0), "u2")
    )
    source = LayerSource(lazy, {"name": "broken"})
    source.start()
    source.read(1.0)
    source.read(1.0)
    with pytest.raises(SourceFailed, match=r"plane 2 of 4 of layer 'broken'.*on fire"):
        source.read(1.0)


# What the stream is told


def test_rgb_becomes_channels():
    array = addressed((40, 50, 3), "u1")
    source = LayerSource.of(Image(array, rgb=True, name="skin", scale=(0.5, 0.5)))
    description = source.describe()
    assert description.axes == "cyx"
    assert description.scale == (1.0, 0.5, 0.5)
    shown = [(c.name, c.color, c.contrast_limits) for c in description.channels]
    assert shown == [
        ("Red", "FF0000", (0, 255)),
        ("Green", "00FF00", (0, 255)),
        ("Blue", "0000FF", (0, 255)),
    ]
    np.testing.assert_array_equal(all_planes(source), array.transpose(2, 0, 1))


def test_an_rgba_time_lapse_is_tcyx():
    array = addressed((2, 40, 50, 4), "u2")
    source = LayerSource(
        array, {"axis_labels": ("t", "y", "x")}
    )  # rgb as napari guesses
    assert source.describe().axes == "tcyx"
    assert source.describe().channels[3].name == "Alpha"
    np.testing.assert_array_equal(all_planes(source), array.transpose(0, 3, 1, 2))


def test_channel_axis_of_a_reader_has_lists():
    meta = {
        "channel_axis": 0,
        "name": ["DAPI", "GFP"],
        "colormap": ["blue", "#00ff10"],
        "contrast_limits": [(1, 100), (2, 200)],
        "scale": (0.5, 0.25),
    }
    source = LayerSource(addressed((2, 8, 9), "u2"), meta)
    description = source.describe()
    assert description.axes == "cyx"
    assert description.scale == (1, 0.5, 0.25)
    assert [(c.name, c.color, c.contrast_limits) for c in description.channels] == [
        ("DAPI", "0000FF", (1, 100)),
        ("GFP", "00FF10", (2, 200)),
    ]


def test_a_napari_layer_says_how_it_is_shown():
    layer = Image(
        np.zeros((3, 4, 5), "u2"),
        name="cells",
        scale=(2, 0.5, 0.25),
        translate=(1, 2, 3),
        units=("second", "micrometer", "micrometer"),
        colormap="green",
        contrast_limits=(100, 900),
    )
    layer.contrast_limits_range = (0, 4095)
    description = LayerSource.of(layer).describe()
    assert (description.name, description.axes) == ("cells", "tyx")
    assert description.scale == (2, 0.5, 0.25)
    assert description.translation == (1, 2, 3)
    assert description.units == ("second", "micrometer", "micrometer")
    (channel,) = description.channels
    assert (channel.name, channel.color) == ("cells", "00FF00")
    assert channel.contrast_limits == (100, 900)
    assert channel.value_range == (0, 4095)
    assert not description.is_label


def test_only_the_full_size_of_a_pyramid_is_read():
    levels = [addressed((8, 8)), addressed((4, 4))]
    for source in (
        LayerSource.of(Image(levels, multiscale=True)),
        LayerSource(levels, {}),
    ):
        np.testing.assert_array_equal(all_planes(source), levels[0])


def test_labels_are_labels_and_bool_becomes_integer():
    objects = addressed((4, 5), "i4")
    source = LayerSource.of(Labels(objects))
    assert source.describe().is_label
    assert [channel.name for channel in source.describe().channels] == ["objects"]
    np.testing.assert_array_equal(all_planes(source), objects)
    mask = LayerSource(objects > 3, {}, "labels")
    assert mask.describe().dtype == np.uint8
    np.testing.assert_array_equal(all_planes(mask), objects > 3)
    image = LayerSource(objects > 3, {})
    assert image.describe().dtype == bool
    with pytest.raises(InvalidProperties, match="integers"):
        LayerSource(np.zeros((4, 4), "f4"), {}, "labels")


def test_big_endian_is_stored_little_endian():
    array = addressed((3, 4, 5), ">u2")
    source = LayerSource(array, {})
    assert source.describe().dtype == np.dtype("<u2")
    np.testing.assert_array_equal(all_planes(source), array)
