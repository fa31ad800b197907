"""Stores that another program writes, open in a viewer."""

import numpy as np
import pytest
from docks import open_dock
from frames import planes
from programs import start_python
from windows import click, messages, wait_until

from napari_zarr_stream import Channel, DeviceKind, StorageProperties, ZarrStream
from napari_zarr_stream._viewer.watching import watching_of

FRAMES = planes(40, (48, 64))


def stream_to(path, sharded=True):
    properties = StorageProperties(
        path,
        DeviceKind.ZARR_V3_LZ4 if sharded else DeviceKind.ZARR_LZ4,
        tile_width=16,
        tile_height=16,
        sharded=sharded,
        frames_per_chunk=1 if sharded else 4,
    )
    return ZarrStream(
        properties,
        axes="tyx",
        shape=(None, 48, 64),
        dtype="u2",
        channels=[Channel("camera", value_range=(0, 40950))],
    )


def commit(stream, first, last):
    stream.append(FRAMES[first:last])
    stream.flush()


def length(layer):
    return layer.data[0].shape[0]


def drawn(layer):
    """The number of the frame of which level 0 is drawn: its address is in it."""
    layer.data_level = 0
    return int(np.asarray(layer._slice.image.raw)[0, 0])


@pytest.mark.parametrize("sharded", [True, pytest.param(False, marks=pytest.mark.long)])
def test_what_another_writes_grows_and_is_followed_on_demand(
    viewer, qtbot, tmp_path, let, sharded
):
    let()
    path = tmp_path / "other.zarr"
    stream = stream_to(path, sharded)
    commit(stream, 0, 8)
    viewer.open(path, plugin="napari-zarr-stream")
    watching = watching_of(viewer)
    wait_until(lambda: watching.can_follow)
    [layer] = viewer.layers
    assert "is being recorded: 8 frames" in messages()[-1]
    assert layer.contrast_limits[1] <= FRAMES.max()  # of what there is
    viewer.dims.set_current_step(0, 3)
    commit(stream, 8, 16)
    wait_until(lambda: length(layer) == 16)
    assert viewer.dims.current_step[0] == 3
    assert viewer.dims.nsteps[0] == 16
    # a dock that is opened later has the line, and Follow
    widget = open_dock(viewer, tmp_path / "out")
    assert "being recorded: 16 frames" in widget.watched.value
    assert not widget.follow.native.isChecked()
    click(widget.follow, qtbot)
    assert viewer.dims.current_step[0] == 15
    commit(stream, 16, 24)
    wait_until(lambda: viewer.dims.current_step[0] == 23)
    assert drawn(layer) == 23
    assert "24 frames" in widget.watched.value
    viewer.dims.set_current_step(0, 20)  # looks back
    assert not widget.follow.native.isChecked()
    viewer.dims.set_current_step(0, 23)  # the end of the slider
    assert widget.follow.native.isChecked()
    click(widget.follow, qtbot)
    stream.append(FRAMES[24:])
    stream.close()
    wait_until(lambda: not watching.can_follow)
    assert "ended (completed), 40 frames" in messages()[-1]
    assert "40 frames" in widget.watched.value
    assert not widget.follow.native.isVisible()
    assert viewer.dims.current_step[0] == 23
    np.testing.assert_array_equal(layer.data[0], FRAMES)
    viewer.layers.clear()
    wait_until(lambda: not widget.watched.value)


WRITER = """
import sys, time
import numpy as np
from napari_zarr_stream import StorageProperties, ZarrStream
stream = ZarrStream(
    StorageProperties(sys.argv[1], "ZarrV3Blosc1Lz4ByteShuffle", sharded=True),
    axes="tyx", shape=(None, 48, 64), dtype="u2",
)
stream.append(np.ones((5, 48, 64), "u2"))
stream.flush()
print("there", flush=True)
time.sleep(600)
"""


def test_a_writer_that_is_gone_is_said(viewer, tmp_path):
    path = tmp_path / "other.zarr"
    writer = start_python(WRITER, path)
    assert writer.stdout.readline().strip() == "there"
    try:
        viewer.open(path, plugin="napari-zarr-stream")
        watching = watching_of(viewer)
        wait_until(lambda: watching.can_follow)
    finally:
        writer.kill()
        writer.communicate()
    wait_until(lambda: not watching.can_follow)
    assert "left open by a program that did not end properly" in messages()[-1]
    [layer] = viewer.layers
    assert layer.data.shape == (5, 48, 64)
    assert np.asarray(layer.data).all()
