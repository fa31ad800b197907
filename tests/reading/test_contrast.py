"""Contrast limits of images that came without: what is there is seen."""

import json

import numpy as np
import pytest
from odd_stores import (
    array_v2,
    full_size,
    group_v2,
    halved,
    image_v2,
    opened,
)

from napari_zarr_stream._reading.contrast import contrast_of
from napari_zarr_stream._reading.layers import RANGE_KEY
from napari_zarr_stream._reading.lazy import LazyArray

RNG = np.random.default_rng(1)
CELLS = RNG.poisson(400, (20, 64, 64)).astype("u2")
NEAR = (300, 370, 440, 500)
"""The lower limit lies between the first two, the upper between the others."""


def only(*planes):
    stack = np.zeros_like(CELLS)
    stack[list(planes)] = CELLS[list(planes)]
    return stack


def with_hot(value, *places):
    stack = CELLS.copy()
    for place in places:
        stack[place] = value
    return stack


def spots():
    """A black ground with a few bright pixels: 0.1 % of all."""
    stack = np.zeros_like(CELLS)
    stack[:, 10, 10:14] = [900, 950, 1000, 980]
    return stack


def patch(y, x):
    """A large plane that is empty but for one place."""
    plane = np.zeros((1, 1200, 1200), "u2")
    plane[0, y : y + 300, x : x + 300] = RNG.poisson(400, (300, 300))
    return plane


# id: pixels, between what the limits lie
SEEN = {
    # napari 5608, 7430, 8755 and 9489, mobie/mobie-viewer-fiji 1145
    "all": (CELLS, NEAR),
    "nothing-in-the-middle": (only(*range(5), *range(15, 20)), NEAR),
    "stopped-early": (only(*range(6)), NEAR),
    "only-the-first": (only(0), NEAR),
    "only-the-last": (only(19), NEAR),
    "only-one": (only(7), NEAR),
    "hot-pixel": (with_hot(65535, np.s_[1, 5, 5]), NEAR),
    "hot-column": (with_hot(65535, np.s_[:, :4, 5]), NEAR),
    "dead-pixels": (with_hot(0, np.s_[:, 5, 5]), NEAR),
    "spots": (spots(), (0, 1, 900, 1001)),
    "signed": ((CELLS - 1000.0).astype("i2"), (-700, -630, -560, -500)),
    "float": (CELLS.astype("f4") / 400, (0.75, 0.92, 1.1, 1.3)),
    "float-with-nan": (
        np.where(CELLS > 420, np.nan, CELLS).astype("f4"), (300, 370, 415, 421)
    ),
    "in-a-corner": (patch(0, 0), (0, 370, 400, 500)),
    "in-the-last-corner": (patch(900, 900), (0, 370, 400, 500)),
}  # fmt: skip


@pytest.mark.parametrize(("pixels", "near"), SEEN.values(), ids=SEEN)
@pytest.mark.parametrize("chunks", ["planes", "one", "tiles"])
def test_what_is_there_is_seen(path, pixels, near, chunks):
    sides = {
        "planes": (1, *pixels.shape[1:]),
        "one": pixels.shape,
        "tiles": (4, 40, 40),
    }
    image_v2(path, "zyx", halved(pixels, "zyx"), sides[chunks])
    (layer,), words = opened(path)
    low, high = layer[1]["contrast_limits"]
    assert near[0] <= low <= near[1]
    assert near[2] <= high <= near[3]
    assert words == ""
    span = layer[1]["metadata"][RANGE_KEY]
    if pixels.dtype.kind in "iu":
        info = np.iinfo(pixels.dtype)
        assert span == (info.min, info.max)
    else:
        assert span[0] <= low < high <= span[1]


# id: pixels, limits
UNIFORM = {
    "nothing": (np.zeros((3, 8, 9), "u2"), (0, 65535)),
    "nothing-signed": (np.zeros((3, 8, 9), "i2"), (-32768, 32767)),
    "nothing-float": (np.zeros((3, 8, 9), "f4"), (0, 1)),
    "one-value": (np.full((3, 8, 9), 7, "u2"), (0, 7)),
    "one-value-below": (np.full((3, 8, 9), -7, "i2"), (-7, 0)),
    "nan": (np.full((3, 8, 9), np.nan, "f4"), (0, 1)),
    "bytes": (np.full((3, 8, 9), 7, "u1"), (0, 255)),
    "bool": (np.ones((3, 8, 9), bool), (0, 1)),
}


@pytest.mark.parametrize(("pixels", "limits"), UNIFORM.values(), ids=UNIFORM)
def test_planes_of_one_value_are_not_white(path, pixels, limits):
    image_v2(path, "zyx", [pixels])
    (layer,), _ = opened(path)
    assert layer[1]["contrast_limits"] == limits


def test_a_large_chunk_is_looked_into(path):
    """400 MB in one chunk, of which little is on disk."""
    shape = (100, 2048, 1024)
    data = np.memmap(path.with_suffix(".raw"), "u2", "w+", shape=shape)
    data[40] = 400
    data[40, ::2] = 500
    del data  # Windows gives nothing that is mapped another name
    array_v2(path / "0", np.zeros((1, 1, 1), "u2"), chunks=(1, 1, 1))
    document = json.loads((path / "0" / ".zarray").read_text())
    document |= {"shape": shape, "chunks": shape}
    (path / "0" / ".zarray").write_text(json.dumps(document))
    chunk = path / "0" / "0" / "0" / "0"
    chunk.unlink()
    path.with_suffix(".raw").rename(chunk)
    (layer,), _ = opened(path / "0")
    assert layer[1]["contrast_limits"] == (0, 500) or (
        400 <= layer[1]["contrast_limits"][1] <= 500
    )


class Counting:
    """An array that keeps how many bytes its chunks had, of all that were read."""

    def __init__(self, shape, chunks, dtype="u2"):
        self.shape, self.chunks, self.dtype = shape, chunks, np.dtype(dtype)
        self.read = 0

    def __getitem__(self, key):
        spans = [range(n)[k] for n, k in zip(self.shape, key, strict=True)]
        touched = [
            len({i // c for i in s}) for s, c in zip(spans, self.chunks, strict=True)
        ]
        self.read += (
            int(np.prod(touched)) * int(np.prod(self.chunks)) * self.dtype.itemsize
        )
        return np.zeros([len(s) for s in spans], self.dtype)


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [
        ((10**5, 2048, 2048), (1, 2048, 2048)),
        ((10**4, 20000, 20000), (1, 512, 512)),
        ((100, 100, 20000, 20000), (16, 16, 64, 64)),
        ((1000, 4096, 4096), (500, 256, 256)),
        ((64, 10**6, 10**6), (64, 1024, 1024)),
        ((3, 10**5, 10**5), (1, 10**4, 10**4)),
    ],
)
def test_reads_are_bounded(shape, chunks):
    array = Counting(shape, chunks)
    contrast_of([LazyArray(array)], [])
    assert array.read <= 2**30


def test_a_chunk_that_no_memory_holds_is_not_read():
    array = Counting((4, 10**5, 10**5), (1, 10**5, 10**5))
    assert contrast_of([LazyArray(array)], []) == ((0, 65535), (0, 65535))
    assert array.read == 0


# id: "window" of omero, limits, range
WINDOWS = {
    # ome/ngff 160, ome/omero-cli-zarr 93: min and max are the range of the slider
    "whole": ({"min": 0, "max": 4095, "start": 10, "end": 99}, (10, 99), (0, 4095)),
    "outside": ({"min": 50, "max": 60, "start": 10, "end": 99}, (10, 99), (10, 99)),
    "no-range": ({"start": 10, "end": 99}, (10, 99), (0, 65535)),
    "range-only": ({"min": 0, "max": 4095}, None, (0, 4095)),
    "words": ({"min": "0", "max": "4095", "start": "1", "end": "9"}, (1, 9), (0, 4095)),
    "equal": ({"start": 5, "end": 5}, None, (0, 65535)),
    "falling": ({"start": 9, "end": 5, "min": 7, "max": 2}, None, (0, 65535)),
    "nan": ({"start": float("nan"), "end": 5}, None, (0, 65535)),
    "no-object": ([1, 2], None, (0, 65535)),
}


@pytest.mark.parametrize(("window", "limits", "span"), WINDOWS.values(), ids=WINDOWS)
def test_windows_of_omero(path, window, limits, span):
    omero = {"channels": [{"label": "a", "window": window}]}
    image_v2(path, "zyx", [CELLS], attributes={"omero": omero})
    (layer,), _ = opened(path)
    found = layer[1]["contrast_limits"]
    assert layer[1]["metadata"][RANGE_KEY] == span
    if limits:
        assert found == limits
    else:
        assert 300 < found[0] < 370 < 440 < found[1] < 500


def test_contrast_of_a_sparse_plate(path):
    wells = ["A/1", "H/12"]
    rows, columns = "ABCDEFGH", [str(i) for i in range(1, 13)]
    plate = {
        "rows": [{"name": row} for row in rows],
        "columns": [{"name": column} for column in columns],
        "wells": [
            {"path": w, "rowIndex": 7 * i, "columnIndex": 11 * i}
            for i, w in enumerate(wells)
        ],
    }
    group_v2(path, {"plate": plate})
    for well in wells:
        group_v2(path / well, {"well": {"images": [{"path": "0"}]}})
        pixels = RNG.poisson(400, (300, 300)).astype("u2")
        image_v2(path / well / "0", "yx", [pixels], (100, 100))
    (layer,), _ = opened(path)
    low, high = layer[1]["contrast_limits"]
    assert 300 < low < 370 < 440 < high < 500
    assert full_size(layer).shape == (2400, 3600)


def test_the_slider_of_a_window_goes_through_all_values(path, make_napari_viewer):
    """napari takes what is first shown for all that there is."""
    windows = [
        {"min": 0, "max": 4095, "start": 10, "end": 99},
        {"start": 10, "end": 99},
    ]
    omero = {
        "channels": [{"label": str(i), "window": w} for i, w in enumerate(windows)]
    }
    image_v2(path, "cyx", [CELLS[:2]], attributes={"omero": omero})
    viewer = make_napari_viewer()
    for _ in range(2):
        ranged, plain = viewer.open(path, plugin="napari-zarr-stream")
        assert ranged.contrast_limits == plain.contrast_limits == [10, 99]
        assert ranged.contrast_limits_range == [0, 4095]
        assert plain.contrast_limits_range == [0, 65535]
