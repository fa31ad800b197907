"""What a live layer shows of each step, without a window."""

import numpy as np
import pytest
from frames import planes

from napari_zarr_stream import DeviceKind, StorageProperties, ZarrStream
from napari_zarr_stream._viewer.live_image import LiveImage
from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.plan import plan


@pytest.fixture
def stream(tmp_path):
    """A stream of planes of 24 x 40, three levels, flushed by who needs it."""
    streams = []

    def open_stream(axes, shape, **options):
        properties = StorageProperties(
            tmp_path / "live.zarr",
            DeviceKind.ZARR_V3_LZ4,
            tile_width=10,
            tile_height=10,
            frames_per_chunk=1,
            sharded=True,
        )
        streams.append(
            ZarrStream(properties, axes=axes, shape=shape, dtype="u2", **options)
        )
        return streams[-1]

    yield open_stream
    for each in streams:
        each.close()


def image_of(stream, is_colour=False):
    return LiveImage(stream.plan, is_colour)


def test_steps_come_from_the_store_the_newest_from_memory(stream, tmp_path):
    frames = planes(6)
    recorded = stream("tyx", (None, 24, 40))
    image = image_of(recorded)
    full, half, quarter = image.levels
    assert full.shape == (1, 24, 40)
    assert not np.asarray(full[0]).any()  # before the first frame
    recorded.append(frames[:4])
    recorded.flush()
    image.newest = frames[5]
    image.grow(image.length_after(4), 4, tmp_path / "live.zarr")
    assert (full.shape, half.shape, quarter.shape) == (
        (5, 24, 40),
        (5, 12, 20),
        (5, 6, 10),
    )
    np.testing.assert_array_equal(full[:4], frames[:4])
    np.testing.assert_array_equal(full[4], frames[5])
    np.testing.assert_array_equal(half[4], frames[5, ::2, ::2])
    np.testing.assert_array_equal(quarter[4, 1:3, 4], frames[5, 4:12:4, 16])
    np.testing.assert_array_equal(full[2:, 3, 5:9], frames[[2, 3, 5], 3, 5:9])
    np.testing.assert_array_equal(full[::3, 3], frames[[0, 3], 3])
    np.testing.assert_array_equal(full[-1:], frames[5:])
    # another recording is longer
    image.grow(9, 4, tmp_path / "live.zarr")
    assert not np.asarray(full[4:8]).any()
    np.testing.assert_array_equal(full[8], frames[5])
    recorded.append(frames[4:])
    recorded.flush()
    image.grow(9, 6, tmp_path / "live.zarr")
    np.testing.assert_array_equal(full[:6], frames)


def test_colours_come_last(stream, tmp_path):
    frames = planes(9).reshape(3, 3, 24, 40)
    recorded = stream("tcyx", (None, 3, 24, 40), planes_per_frame=3)
    image = image_of(recorded, is_colour=True)
    recorded.append(frames[:2])
    recorded.flush()
    image.newest = frames[2]
    image.grow(3, 2, tmp_path / "live.zarr")
    full, half, _ = image.levels
    assert full.shape == (3, 24, 40, 3)
    np.testing.assert_array_equal(full, np.moveaxis(frames, 1, -1))
    np.testing.assert_array_equal(half[2], np.moveaxis(frames[2, :, ::2, ::2], 0, -1))


def test_the_newest_plane_stands_for_all_beside_it(stream, tmp_path):
    frames = planes(12).reshape(2, 2, 3, 24, 40)
    recorded = stream("tczyx", frames.shape)
    image = image_of(recorded)
    assert image.length_after(0) == 1
    assert [image.length_after(committed) for committed in (1, 2)] == [2, 2]
    recorded.append(frames[0].reshape(-1, 24, 40))
    recorded.flush()
    image.newest = frames[1, 1, 0]
    image.grow(2, 1, tmp_path / "live.zarr")
    full = image.levels[0]
    np.testing.assert_array_equal(full[0, 1, 2], frames[0, 1, 2])
    np.testing.assert_array_equal(full[1, 0, 2], frames[1, 1, 0])
    np.testing.assert_array_equal(full[1, :, 0, 5], [frames[1, 1, 0, 5]] * 2)
    recorded.append(frames[1].reshape(-1, 24, 40))
    recorded.flush()
    image.grow(2, 2, tmp_path / "live.zarr")
    np.testing.assert_array_equal(full, frames)


def test_what_is_not_there_is_said(tmp_path):
    properties = StorageProperties(tmp_path / "x.zarr")
    grid = plan(properties, axes="tyx", shape=(None, 8, 8), dtype="u1")
    image = LiveImage(grid, is_colour=False)
    image.grow(3, 2, None)  # whoever says so is wrong
    with pytest.raises(InvalidStore, match="nothing is committed"):
        np.asarray(image.levels[0][0])
    image.grow(3, 2, tmp_path / "gone.zarr")
    with pytest.raises(InvalidStore, match="cannot be opened"):
        np.asarray(image.levels[0][0])
