"""What a stream takes: arrays of any library, by whatever protocol they have."""

import dask.array
import numpy as np
import pytest
import tensorstore
import zarr
from frames import planes

from napari_zarr_stream import FrameMismatch, StorageProperties, ZarrStream

COUNT = 5


class OnlyArray:
    """Nothing but `__array__`."""

    def __init__(self, pixels):
        self._pixels = pixels

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self._pixels, dtype)


class OtherType(OnlyArray):
    """A lazy array whose type is of its own library, as torch's tensors."""

    dtype = "other.uint16"

    @property
    def shape(self):
        return self._pixels.shape

    def __getitem__(self, index):
        return OtherType(self._pixels[index])


def in_zarr(pixels):
    array = zarr.create_array({}, shape=pixels.shape, dtype=pixels.dtype)
    array[:] = pixels
    return array


LAZY = {
    "dask": lambda pixels: dask.array.from_array(pixels, chunks=20),
    "zarr": in_zarr,
    "tensorstore": tensorstore.array,
    "tensorstore-future": lambda pixels: tensorstore.array(pixels).read(),
    "only-__array__": OnlyArray,
    "type-of-its-own": OtherType,
    "memoryview": memoryview,
}


def stream_of(path):
    return ZarrStream(
        StorageProperties(path, "ZarrV3"),
        axes="tyx", shape=(None, 24, 40), dtype="uint16",
    )  # fmt: skip


@pytest.mark.parametrize("library", LAZY)
def test_arrays_of_other_libraries_are_taken(tmp_path, library):
    frames = planes(COUNT)
    with stream_of(tmp_path / "a.zarr") as stream:
        stream.append(LAZY[library](frames))
        stream.append(LAZY[library](frames[0]))
    read = zarr.open_group(tmp_path / "a.zarr", mode="r")["0"][:]
    np.testing.assert_array_equal(read, [*frames, frames[0]])


@pytest.mark.parametrize("library", LAZY)
def test_arrays_of_other_libraries_that_do_not_fit_are_refused(tmp_path, library):
    with stream_of(tmp_path / "a.zarr") as stream:
        with pytest.raises(FrameMismatch, match="float32"):
            stream.append(LAZY[library](planes(COUNT).astype("float32")))
        with pytest.raises(FrameMismatch, match="24, 39"):
            stream.append(LAZY[library](planes(COUNT)[..., :39].copy()))
        assert stream.status().frames_appended == 0
