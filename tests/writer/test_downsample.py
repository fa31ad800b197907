"""A plane -> the plane of the next level, against Python's own arithmetic."""

import collections
import itertools

import numpy as np
import pytest
from frames import DTYPES
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from programs import run_python

from napari_zarr_stream import DownsamplingMethod, InvalidProperties, StorageProperties
from napari_zarr_stream._writer.downsample import ROWS_BYTES, check_label, halve

METHODS = list(DownsamplingMethod)
SIZES = [(4, 6), (5, 7), (1, 1), (1, 6), (5, 1), (2, 3), (3, 2)]


def mean(pixels):
    if isinstance(pixels[0], float):
        return sum(pixel / len(pixels) for pixel in pixels)
    # half up, towards positive infinity
    return (2 * sum(pixels) + len(pixels)) // (2 * len(pixels))


def mode(pixels):
    counts = collections.Counter(pixels)
    return max(pixels, key=lambda pixel: (counts[pixel], -pixels.index(pixel)))


ONE_OF = {
    "mean": mean,
    "decimate": lambda pixels: pixels[0],
    "min": min,
    "max": max,
    "mode": mode,
}


def reference(planes, method):
    """Block by block, of the pixels that are there."""
    height, width = planes[0].shape
    out = np.empty((-(-height // 2), -(-width // 2)), planes[0].dtype)
    for y, x in np.ndindex(out.shape):
        rows = range(2 * y, min(2 * y + 2, height))
        columns = range(2 * x, min(2 * x + 2, width))
        places = itertools.product(planes, rows, columns)
        pixels = [plane[row, column].item() for plane, row, column in places]
        out[y, x] = ONE_OF[method](pixels)
    return out


def along_z(planes, method):
    """Pixel by pixel, of the planes that are there."""
    out = np.empty_like(planes[0])
    for y, x in np.ndindex(out.shape):
        out[y, x] = ONE_OF[method]([plane[y, x].item() for plane in planes])
    return out


def halved(planes, method):
    height, width = planes[0].shape
    out = np.empty((-(-height // 2), -(-width // 2)), planes[0].dtype)
    halve(planes, out, DownsamplingMethod(method))
    return out


def random_planes(count, size, dtype):
    """Many pixels at the ends of the type's range, some in between, many alike."""
    rng = np.random.default_rng(count * size[0] * size[1])
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return list(rng.random((count, *size)) < 0.5)
    if dtype.kind == "f":
        values = rng.choice([0.0, -1.5, 2.25, 1e-3, 3e7], (count, *size))
        return list(values.astype(dtype))
    limits = np.iinfo(dtype)
    choices = [limits.min, limits.min + 1, limits.max, limits.max - 1, 0, 1, 2, 3]
    values = np.array(choices, dtype)[rng.integers(0, 8, (count, *size))]
    return list(values)


@pytest.mark.parametrize("count", [1, 2], ids=["2x2", "2x2x2"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_method_and_odd_size(dtype, method, count):
    for size in SIZES:
        planes = random_planes(count, size, dtype)
        expected = reference(planes, method)
        if np.dtype(dtype).kind == "f" and method == "mean":
            np.testing.assert_allclose(halved(planes, method), expected, rtol=1e-6)
        else:
            np.testing.assert_array_equal(halved(planes, method), expected)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_z_alone(dtype, method, count):
    for size in [*SIZES, (5, ROWS_BYTES // 4)]:
        pair = random_planes(count, size, dtype)
        out = np.empty(size, dtype)
        halve(pair, out, method)
        if size in SIZES:
            np.testing.assert_array_equal(out, along_z(pair, method))
        else:  # in more than one strip of rows
            np.testing.assert_array_equal(
                out[:, -9:], along_z([plane[:, -9:] for plane in pair], method)
            )


@pytest.mark.parametrize("dtype", ["uint16", "int64"])
@pytest.mark.parametrize("method", METHODS)
def test_planes_of_more_than_one_strip_of_rows(method, dtype):
    """Rows are worked on in groups: none is missed or used twice between them."""
    width = 501
    rows = ROWS_BYTES // (2 * width * np.dtype(dtype).itemsize)
    height = 4 * rows + 3
    plane = np.random.default_rng(1).integers(0, 5000, (height, width)).astype(dtype)
    out = halved([plane], method)
    at = [0, rows - 1, rows, rows + 1, 2 * rows - 1, 2 * rows, out.shape[0] - 1]
    for y in at:
        strip = plane[2 * y : 2 * y + 2]
        np.testing.assert_array_equal(out[y : y + 1], reference([strip], method))


@given(arrays(st.sampled_from(["u8", "i8", "i1", "u2"]), (2, 3, 5)))
def test_mean_of_any_integers(planes):
    np.testing.assert_array_equal(
        halved(list(planes), "mean"), reference(list(planes), "mean")
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mean_of_the_largest_floats_does_not_overflow(dtype):
    largest = np.finfo(dtype).max
    plane = np.full((4, 4), largest, dtype)
    plane[0, :2] = -largest
    out = halved([plane, plane], "mean")
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out, [[0, largest], [largest, largest]])


@pytest.mark.parametrize("method", ["mean", "min", "max"])
def test_what_is_not_a_number_stays_in_its_block(method):
    plane = np.ones((4, 4), "float32")
    plane[1, 1] = np.nan
    np.testing.assert_array_equal(halved([plane], method), [[np.nan, 1], [1, 1]])


def test_infinity_is_no_error():
    plane = np.array([[np.inf, 0], [0, 0]], "float32")
    assert halved([plane], "mean")[0, 0] == np.inf


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        pytest.param([[7, 3], [3, 7]], 7, id="two-and-two"),
        pytest.param([[7, 3], [3, 3]], 3, id="three"),
        pytest.param([[4, 3], [2, 1]], 4, id="all-different"),
        pytest.param([[1, 9], [9, 2]], 9, id="a-pair-beats-the-first"),
    ],
)
def test_of_equally_frequent_values_the_first_is_taken(block, expected):
    assert halved([np.array(block, "uint32")], "mode")[0, 0] == expected


def test_a_result_can_be_a_strided_view():
    plane = np.arange(36, dtype="uint8").reshape(6, 6)
    out = np.zeros((3, 6), "uint8")
    halve([plane], out[:, ::2], DownsamplingMethod.MEAN)
    np.testing.assert_array_equal(out[:, ::2], reference([plane], "mean"))
    assert not out[:, 1::2].any()


@pytest.mark.parametrize(
    ("method", "multiscale", "refused"),
    [
        ("mean", True, True),
        ("min", True, True),
        ("max", True, True),
        ("mode", True, False),
        ("decimate", True, False),
        ("mean", False, False),
    ],
)
def test_labels_are_never_mixed(method, multiscale, refused):
    properties = StorageProperties(
        "a.zarr", downsampling_method=method, enable_multiscale=multiscale
    )
    check_label(False, properties)
    if refused:
        with pytest.raises(InvalidProperties, match=f"{method}.*mode or decimate"):
            check_label(True, properties)
    else:
        check_label(True, properties)


COUNTS_COMPILERS = """
import sys
import numpy as np
from napari_zarr_stream._writer.downsample import TileHalver, compile_apart
if sys.argv[1] == "apart":
    compile_apart(["u2", "f4"])
from napari_zarr_stream._writer.kernels import mean_of_tiles
TileHalver(np.dtype("u2")), TileHalver(np.dtype("f4"))
print(sum(mean_of_tiles.stats.cache_misses.values()))
"""


@pytest.mark.long
def test_what_was_compiled_apart_is_not_compiled_again(tmp_path):
    """A second of the window's thread for each type."""
    for where, compiled in [("here", "2"), ("apart", "0")]:
        folder = str(tmp_path / where)
        done = run_python(COUNTS_COMPILERS, where, NUMBA_CACHE_DIR=folder)
        assert done.stdout.strip() == compiled
