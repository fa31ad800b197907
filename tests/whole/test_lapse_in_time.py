"""A time lapse by the clock: 20 frames every half second, each within 50 ms.

A measurement, which a busy machine may spoil: it is not among the tests of every day.
"""

import datetime
from contextlib import ExitStack, closing
from functools import partial

import numpy as np
import pytest
import zarr
from emulators import CONFIGURATION

from napari_zarr_stream import StorageProperties
from napari_zarr_stream._recording.together import Recordings
from napari_zarr_stream._sources.camera import CameraSource
from napari_zarr_stream._sources.take import Take
from napari_zarr_stream.cameras import CameraThread, SimulatedCamera
from napari_zarr_stream.cameras.micromanager import MicroManagerCamera

pytestmark = pytest.mark.long

FRAMES, INTERVAL_S, MOST_S = 20, 0.5, 0.05


def simulated(folder):
    return SimulatedCamera("cells", width=512, height=512, frame_rate=60)


def faster(folder):
    return SimulatedCamera("empty", width=128, height=96, frame_rate=200)


def demo(folder):
    """Micro-Manager's, with a shutter."""
    device = "Device,Shutter,DemoCamera,DShutter\n"
    lines = CONFIGURATION.replace("Device,Cam", f"{device}Device,Cam")
    path = folder / "demo.cfg"
    path.write_text(f"{lines}Property,Core,Shutter,Shutter\n")
    return MicroManagerCamera(str(path))


TOGETHER = {"simulated": [simulated], "demo": [demo], "two": [simulated, faster]}


@pytest.mark.parametrize("makes", TOGETHER.values(), ids=TOGETHER)
def test_each_frame_is_there_when_it_is_due(tmp_path, makes):
    path, between = tmp_path / "a.zarr", set()
    with ExitStack() as opened:
        threads = [CameraThread(partial(make, tmp_path), "camera") for make in makes]
        for thread in threads:
            opened.enter_context(closing(thread))
            thread.call(lambda camera: camera.open())
        sources = [
            CameraSource(thread, "camera", FRAMES, Take(INTERVAL_S))
            for thread in threads
        ]
        properties = StorageProperties(path, sharded=True)
        if len(sources) == 1:
            recordings = Recordings(sources, [properties])
        else:
            recordings = Recordings.in_one_store(sources, properties)
        recordings.start()
        core = getattr(threads[0]._camera, "_core", None)
        while not recordings.wait(0.02):
            left_s = recordings.status()[0].next_frame_s
            if core is not None and left_s is not None and 0.1 < left_s < 0.4:
                between.add((core.getShutterOpen(), core.isSequenceRunning()))
    assert between == ({(False, False)} if core is not None else set())
    for number, status in enumerate(recordings.status()):
        assert status.frames_committed == FRAMES
        assert (status.frames_lost, status.frames_late) == (0, 0)
        image = path / str(number) if len(makes) > 1 else path
        group = zarr.open_group(image, mode="r")
        record = dict(group.attrs)["napari_zarr_stream"]
        begun = datetime.datetime.fromisoformat(record["start_time"]).timestamp()
        due = begun + INTERVAL_S * np.arange(FRAMES)
        late = group["frame_log/time_ns"][:] / 1e9 - due
        assert late.min() > -0.002  # the record says milliseconds
        assert late.max() < MOST_S
