import itertools

import numpy as np
import pytest
import zarr
from stores import TestedStore

from napari_zarr_stream import InvalidProperties, WriteFailed
from napari_zarr_stream._writer.frame_log import ROWS_PER_CHUNK, FrameLog
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.ngff import serializer_of


@pytest.fixture(params=["0.4", "0.5"], ids=["v2", "v3"])
def serializer(request):
    return serializer_of(request.param)


def store_at(path, make=LocalStore):
    store = make(path, False)
    store.publish()
    return store


def read(path, name="id"):
    return zarr.open_group(path / "frame_log", mode="r")[name][:]


def test_columns_grow_and_can_be_read_at_any_time(tmp_path, serializer):
    path = tmp_path / "a.zarr"
    log = FrameLog(store_at(path), serializer)
    log.write()
    assert list(path.iterdir()) == []
    ids = np.arange(2 * ROWS_PER_CHUNK + 20, dtype=">u8")
    cuts = [0, 3, 10, ROWS_PER_CHUNK - 1, ROWS_PER_CHUNK, 2 * ROWS_PER_CHUNK + 7, None]
    for start, end in itertools.pairwise(cuts):
        log.add({"id": ids[start:end], "late": np.array([], bool)})
        log.write()
        np.testing.assert_array_equal(read(path), ids[:end])
    log.add({"late": np.array([True])})
    log.write()
    assert read(path, "late").tolist() == [True]
    np.testing.assert_array_equal(read(path), ids)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[1, 2]], "shape"),
        (["a"], "cannot be stored"),
        ([None], "cannot be stored"),
        ([0.5], "holds int64, not float64"),
    ],
)
def test_values_that_cannot_be_stored_are_refused_before_any_are_taken(
    tmp_path, serializer, values, words
):
    log = FrameLog(store_at(tmp_path / "a.zarr"), serializer)
    log.add({"id": [1], "wrong": [2]})
    with pytest.raises(InvalidProperties, match=words):
        log.add({"id": [3], "wrong": values})
    log.write()
    assert read(tmp_path / "a.zarr").tolist() == [1]


@pytest.mark.parametrize("fail_at", range(1, 40))
def test_what_could_not_be_written_is_written_the_next_time(
    tmp_path, serializer, fail_at
):
    path, store = tmp_path / "a.zarr", TestedStore()
    log = FrameLog(store_at(path, store), serializer)
    store.fail_at = len(store.calls) + fail_at
    ids = np.arange(ROWS_PER_CHUNK + 20)
    for rows in np.split(ids, [10, ROWS_PER_CHUNK - 5]):
        log.add({"id": rows, "square": rows**2})
        try:
            log.write()
        except WriteFailed:
            assert store.failed
    log.write()
    np.testing.assert_array_equal(read(path), ids)
    np.testing.assert_array_equal(read(path, "square"), ids**2)
