"""Layers of a store far away: no slider waits, and what comes is shown."""

import math
import threading

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from odd_stores import addressed
from qtpy.QtCore import QTimer
from servers import serving
from waiting import PATIENCE_S

from napari_zarr_stream import DeviceKind, StorageProperties, ZarrStream
from napari_zarr_stream._reading.far import without_waiting
from napari_zarr_stream._reading.kept import Chunks
from napari_zarr_stream._viewer.far_layers import MOST_FETCHED, far_layers_of
from napari_zarr_stream._viewer.opening import read_for

FRAMES = 9
PIXELS = addressed((FRAMES, 60, 80))


@pytest.fixture
def server(tmp_path):
    properties = StorageProperties(
        tmp_path / "a.zarr",
        DeviceKind.ZARR_V3_LZ4,
        tile_width=16,
        tile_height=16,
        sharded=True,
        enable_multiscale=True,
    )
    with ZarrStream(
        properties, axes="tyx", shape=(FRAMES, 60, 80), dtype="uint16"
    ) as stream:
        stream.append(PIXELS)
    with serving(tmp_path) as server:
        yield server


def shown(layer):
    return np.asarray(layer._slice.image.raw)


def come(viewer, qtbot):
    far = far_layers_of(viewer)
    qtbot.waitUntil(lambda: not far.is_waiting, timeout=1000 * PATIENCE_S)


def test_a_slider_waits_for_no_server(make_napari_viewer, server, qtbot):
    viewer = make_napari_viewer()
    address = f"{server.address}/a.zarr"
    (layer,) = viewer.open(address, plugin="napari-zarr-stream")
    come(viewer, qtbot)
    level = layer.data_level
    expected = np.asarray(layer.data[level])
    before = shown(layer)
    layer_steps = [7, 1]
    for step in layer_steps:
        forget(layer)
        # Nobody answers until the window is free again: it would hang here.
        with server.waiting():
            viewer.dims.set_current_step(0, step)
            assert far_layers_of(viewer).is_waiting
            np.testing.assert_array_equal(shown(layer), before)
        come(viewer, qtbot)
        np.testing.assert_array_equal(shown(layer), expected[step])
        before = shown(layer)
    server.asked.clear()
    viewer.dims.set_current_step(0, layer_steps[0])
    np.testing.assert_array_equal(shown(layer), expected[layer_steps[0]])


def forget(layer):
    for level in layer.data:
        level.stored._array._kept = Chunks(2**20)


def test_the_window_goes_on_while_a_store_is_opened(make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    beats, gate = [], threading.Event()
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(1))
    timer.timeout.connect(lambda: gate.set() if len(beats) > 5 else None)
    timer.start(1)

    def read():
        assert gate.wait(PATIENCE_S), "the window stood still"
        return []

    assert read_for(viewer, read) == []
    timer.stop()


def test_a_script_reads_true_pixels_at_once(make_napari_viewer, server, qtbot):
    viewer = make_napari_viewer()
    address = f"{server.address}/a.zarr"
    (layer,) = viewer.open(address, plugin="napari-zarr-stream")
    np.testing.assert_array_equal(layer.data[0][4], PIXELS[4])
    come(viewer, qtbot)
    with without_waiting() as missing:
        forget(layer)
        assert not np.asarray(layer.data[0][6]).any()
    assert len(missing) == 1
    missing[0]()
    with without_waiting() as missing:
        np.testing.assert_array_equal(layer.data[0][6], PIXELS[6])
    assert not missing


def test_a_server_that_is_gone_is_said_once(make_napari_viewer, server, qtbot):
    viewer = make_napari_viewer()
    address = f"{server.address}/a.zarr"
    (layer,) = viewer.open(address, plugin="napari-zarr-stream")
    come(viewer, qtbot)
    forget(layer)
    server.refusing = {""}
    before = shown(layer)
    for step in (7, 1):
        viewer.dims.set_current_step(0, step)
        come(viewer, qtbot)
    said = [str(record.message) for record in notification_manager.records]
    assert sum("403 Forbidden" in message for message in said) == 1
    np.testing.assert_array_equal(shown(layer), before)
    server.refusing = set()
    viewer.dims.set_current_step(0, 6)
    come(viewer, qtbot)
    level = layer.data_level
    np.testing.assert_array_equal(shown(layer), np.asarray(layer.data[level])[6])


def test_what_was_looked_at_is_shown_when_the_network_is_back(
    make_napari_viewer, server, qtbot
):
    """Nobody touches a slider any more: it is asked for again by itself."""
    viewer = make_napari_viewer()
    (layer,) = viewer.open(f"{server.address}/a.zarr", plugin="napari-zarr-stream")
    come(viewer, qtbot)
    expected = np.asarray(layer.data[layer.data_level])
    before = shown(layer)
    forget(layer)
    with server.away():
        viewer.dims.set_current_step(0, 7)
        for _ in range(2):  # once more by itself, which is not said again
            server.asked.clear()
            qtbot.waitUntil(lambda: bool(server.asked), timeout=1000 * PATIENCE_S)
            come(viewer, qtbot)
        np.testing.assert_array_equal(shown(layer), before)
    said = [str(record.message) for record in notification_manager.records]
    assert sum("closed the connection" in message for message in said) == 1
    assert "is asked for again until it comes" in said[-1]
    qtbot.waitUntil(
        lambda: np.array_equal(shown(layer), expected[7]), timeout=1000 * PATIENCE_S
    )


def test_what_a_dragged_slider_stops_at_is_fetched_where_all_before_it_failed(
    make_napari_viewer, server, qtbot
):
    viewer = make_napari_viewer()
    (layer,) = viewer.open(f"{server.address}/a.zarr", plugin="napari-zarr-stream")
    come(viewer, qtbot)
    level = layer.data[layer.data_level]
    expected = np.asarray(level)
    shards = math.prod(-(-size // 16) for size in level.shape[1:])
    forget(layer)
    server.asked.clear()
    server.refusing = {""}
    server.hold()
    for step in (7, 1, 6, 3):  # one more than are fetched at a time
        viewer.dims.set_current_step(0, step)
    server.let_through(MOST_FETCHED * shards)
    qtbot.waitUntil(
        lambda: len(server.asked) > MOST_FETCHED * shards, timeout=1000 * PATIENCE_S
    )
    server.refusing = set()
    server.go_on()
    come(viewer, qtbot)
    np.testing.assert_array_equal(shown(layer), expected[3])
