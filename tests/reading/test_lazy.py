"""A view that behaves as numpy's would, and reads only what is asked for."""

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from hypothesis.extra.numpy import basic_indices

from napari_zarr_stream._reading.lazy import LazyArray

SHAPE = (7, 5, 6)
PIXELS = np.arange(np.prod(SHAPE), dtype="uint16").reshape(SHAPE)


class Recording:
    """An array that keeps how many pixels were read from it."""

    def __init__(self, pixels=PIXELS):
        self._pixels = pixels
        self.shape, self.dtype = pixels.shape, pixels.dtype
        self.reads = []

    def __getitem__(self, key):
        for part in key:
            # What storage can do: forwards, from the beginning.
            assert isinstance(part, int | np.ndarray) or (part.step or 1) > 0
            assert isinstance(part, int | np.ndarray) or (part.start or 0) >= 0
        result = self._pixels[key]
        self.reads.append(result.size)
        return result


def same(lazy, expected):
    assert lazy.shape == expected.shape
    assert lazy.dtype == expected.dtype
    assert (lazy.ndim, lazy.size, lazy.nbytes) == (
        expected.ndim,
        expected.size,
        expected.nbytes,
    )
    np.testing.assert_array_equal(np.asarray(lazy), expected)


@given(basic_indices(SHAPE, allow_ellipsis=True, allow_newaxis=True))
def test_any_basic_index_is_as_in_numpy(index):
    source = Recording()
    view = LazyArray(source)[index]
    assert source.reads == [], "indexing alone reads nothing"
    expected = PIXELS[index]
    same(view, np.asarray(expected))
    assert source.reads == [expected.size], "what is asked for, once"


@given(st.data())
def test_slicing_composes(data):
    source, expected = Recording(), PIXELS
    view = LazyArray(source)
    for _ in range(3):
        slices = st.tuples(*(st.slices(max(size, 1)) for size in expected.shape))
        index = data.draw(slices)
        view, expected = view[index], expected[index]
    same(view, expected)
    assert source.reads == [expected.size]


@pytest.mark.parametrize(
    "index",
    [
        pytest.param([0, 3], id="list"),
        pytest.param((slice(None), [1, 0, 1]), id="list-inside"),
        pytest.param(PIXELS[:, 0, 0] > 60, id="mask"),
        pytest.param(PIXELS > 60, id="full-mask"),
        pytest.param(np.array([[0, 1], [2, -1]]), id="array"),
        pytest.param((None, 2), id="newaxis"),
        pytest.param((slice(None, None, -2), [0, 2], [1, 1]), id="mixed"),
        pytest.param(True, id="bool"),
    ],
)
def test_fancy_indices_are_as_in_numpy(index):
    result = LazyArray(Recording())[index]
    np.testing.assert_array_equal(result, PIXELS[index])


@st.composite
def any_index(draw):
    """What numpy takes: slices, ints, new axes, bools, lists, arrays and masks."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3))
    keys, axis = [], 0
    while axis < len(SHAPE):
        size = SHAPE[axis]
        kind = draw(st.sampled_from(["slice", "int", "new", "bool", "array", "mask"]))
        if kind == "mask" and axis + 1 < len(SHAPE) and draw(st.booleans()):
            keys.append(draw(hnp.arrays(bool, SHAPE[axis : axis + 2])))
            axis += 2
            continue
        places = st.integers(-size, size - 1)
        keys.append(
            {
                "slice": draw(st.slices(size)),
                "int": draw(places),
                "new": None,
                "bool": draw(st.booleans()),
                "array": draw(hnp.arrays(np.intp, shape, elements=places)),
                "mask": draw(hnp.arrays(bool, size)),
            }[kind]
        )
        axis += kind not in ("new", "bool")
        if draw(st.integers(0, 5)) == 0:
            break
    if draw(st.booleans()):
        keys.append(...)
    return tuple(keys)


@given(any_index())
def test_any_index_is_as_in_numpy(index):
    try:
        expected = PIXELS[index]
    except IndexError:
        with pytest.raises(IndexError):
            LazyArray(Recording())[index]
        return
    found = LazyArray(Recording())[index]
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("index", "pixels"),
    [
        pytest.param([3, 6], 60, id="two-planes"),
        pytest.param((None, 3), 30, id="a-new-axis"),
        pytest.param((slice(None), [0, 1, 0]), 84, id="a-row-twice"),
        pytest.param(([1, 2, 1], [4, 0, 4]), 12, id="pairs"),
        pytest.param(PIXELS[:, 0, 0] > 160, 30, id="a-mask"),
        pytest.param((slice(None, None, -3), 2), 18, id="backwards"),
        pytest.param(False, 0, id="nothing"),
        pytest.param([], 0, id="no-plane"),
    ],
)
def test_only_what_is_named_is_read(index, pixels):
    source = Recording()
    found = np.asarray(LazyArray(source)[index])
    np.testing.assert_array_equal(found, PIXELS[index])
    assert sum(source.reads) == pixels


def test_an_axis_of_its_own_can_be_cut():
    view = LazyArray(Recording())[None]
    for index in np.s_[0], np.s_[-1:], np.s_[1:], np.s_[:, 3], np.s_[::-1]:
        same(view[index], PIXELS[None][index])


def test_many_places_are_read_in_runs():
    source = Recording(np.arange(400 * 3).reshape(400, 3))
    index = np.r_[0:100, 300:400]
    np.testing.assert_array_equal(LazyArray(source)[index], source[index, :])
    assert source.reads[:2] == [300, 300]


@given(st.permutations(range(3)), basic_indices(SHAPE, allow_ellipsis=True))
def test_axes_in_another_order_are_a_view(order, index):
    source = Recording()
    view = LazyArray(source)[index]
    expected = PIXELS[index]
    order = [axis for axis in order if axis < expected.ndim]
    order += range(len(order), expected.ndim)
    view = view.transpose(order)
    assert source.reads == []
    same(view, np.asarray(expected.transpose(order)))
    assert source.reads == [expected.size]
    if expected.ndim and expected.size:
        same(view[-1], np.asarray(expected.transpose(order)[-1]))


def test_napari_cropping_first_reads_one_plane():
    """Crop y, x of the whole stack, then pick t: what napari does for a pyramid."""
    source = Recording()
    plane = np.asarray(LazyArray(source)[:, 1:4, 2:5][np.int64(6)])
    np.testing.assert_array_equal(plane, PIXELS[6, 1:4, 2:5])
    assert source.reads == [9]


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ((0, 0, 0, 0), "4 indices for an array of 3"),
        ((..., 0, ...), "Ellipsis"),
        (7, "out of range"),
        (-8, "out of range"),
    ],
)
def test_wrong_indices_are_refused_before_anything_is_read(index, words):
    source = Recording()
    with pytest.raises(IndexError, match=words):
        LazyArray(source)[index]
    assert source.reads == []


def test_as_an_array():
    view = LazyArray(Recording())
    np.testing.assert_array_equal(view.transpose(2, 0, 1), PIXELS.transpose(2, 0, 1))
    assert view.astype("float32").dtype == np.float32
    assert np.asarray(view, "float64").dtype == np.float64
    with pytest.raises(ValueError, match="copy"):
        np.array(view, copy=False)
    assert len(view) == 7
    assert str(SHAPE) in repr(view)


def test_over_zarr(tmp_path):
    array = zarr.create_array(tmp_path / "a", shape=SHAPE, dtype="u2", chunks=(2, 3, 4))
    array[:] = PIXELS
    for index in np.s_[::-1, 2, 1::2], np.s_[5:1:-3], np.s_[..., -1], np.s_[3:3]:
        same(LazyArray(array)[index], PIXELS[index])
    same(LazyArray(array)[1, 2, 3], np.asarray(PIXELS[1, 2, 3]))
    assert LazyArray(array).chunks == (2, 3, 4)
    assert LazyArray(array)[0, ::2].chunks == (1, 4)
