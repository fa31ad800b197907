"""Micro-Manager's demo microscope, and copies of all that its engine gives."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import zarr
from waiting import PATIENCE_S

from napari_zarr_stream import StorageProperties
from napari_zarr_stream.cameras.micromanager.core import own_core, release

WIDTH, HEIGHT = 96, 64
DEMO = "MMConfig_demo.cfg"


class CopyingEngine:
    """An engine around that of a core: copies each frame before anybody has it."""

    def __init__(self, inner):
        self.inner, self.frames, self.hardware = inner, [], 0

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def __iter__(self):
        return iter(self.frames)

    def setup_sequence(self, sequence):
        self.frames, self.hardware = [], 0
        return self.inner.setup_sequence(sequence)

    def setup_event(self, event):
        self.inner.setup_event(event)

    def event_iterator(self, events):
        return self.inner.event_iterator(events)

    def teardown_event(self, event):
        self.inner.teardown_event(event)

    def teardown_sequence(self, sequence):
        self.inner.teardown_sequence(sequence)

    def exec_event(self, event):
        self.hardware += hasattr(event, "events")
        frames = iter(self.inner.exec_event(event))
        send, signal = getattr(frames, "send", None), None
        while True:
            try:
                payload = send(signal) if send and signal else next(frames)
            except StopIteration:
                return
            if payload is not None:
                image, of, _ = payload
                self.frames.append((dict(of.index), image.copy()))
            signal = yield payload


@contextmanager
def demo_microscope():
    """Yield a core with the demo devices, and the engine that copies."""
    core = own_core(Path(DEMO))
    try:
        core.loadSystemConfiguration(DEMO)
        small(core, "Camera")
        wait_for_frames(core.mda.engine)
        copies = CopyingEngine(core.mda.engine)
        core.register_mda_engine(copies)
        yield core, copies
    finally:
        release(core)


def wait_for_frames(engine):
    """An engine ends a run whose next frame is 5 s late, as it is on a busy machine."""
    engine.timeout_base = engine.timeout_first_frame = PATIENCE_S


def small(core, camera):
    """Frames of noise, none as another."""
    core.setProperty(camera, "OnCameraCCDXSize", WIDTH)
    core.setProperty(camera, "OnCameraCCDYSize", HEIGHT)
    core.setProperty(camera, "PixelType", "16bit")
    core.setProperty(camera, "Mode", "Noise")
    core.setProperty(camera, "Exposure", 1)


def stored(path, **options):
    return StorageProperties(path, **{"tile_width": 48, "tile_height": 32} | options)


def level(path, image, number=0):
    return zarr.open(f"{path}/{image.path}/{number}", mode="r")[...]


def planes_of(acquisition):
    """All planes of a run that has ended: (image, t, c, z) to pixels."""
    planes = {}
    for number, image in enumerate(acquisition.layout.images):
        pixels = level(acquisition.properties.path, image)
        outer = image.axes[:-2]
        for at in np.ndindex(pixels.shape[:-2]):
            where = dict(zip(outer, at, strict=True))
            place = tuple(where.get(axis, 0) for axis in "tcz")
            planes[number, *place] = pixels[at]
    return planes


def check_planes(acquisition, copies):
    """Each frame at its place and nowhere else; what did not come is zero."""
    layout, planes = acquisition.layout, planes_of(acquisition)
    expected = {
        (layout.image_of(index), *layout.place_of(index, color)): plane
        for index, image in copies
        for color, plane in enumerate(
            np.moveaxis(image, -1, 0) if image.ndim == 3 else [image]
        )
    }
    assert expected.keys() <= planes.keys()
    for at, plane in planes.items():
        np.testing.assert_array_equal(plane, expected.get(at, 0), str(at))
    return len(expected)


def check_pyramid(acquisition):
    for image in acquisition.layout.images:
        whole, half = (level(acquisition.properties.path, image, n) for n in (0, 1))
        *outer, height, width = whole.shape
        blocks = whole.reshape(*outer, height // 2, 2, width // 2, 2)
        mean = (blocks.astype(np.uint32).sum((-3, -1)) + 2) // 4
        np.testing.assert_array_equal(half, mean)
