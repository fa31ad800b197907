"""A camera that runs to be looked at: what is seen, and a snap when it ends badly."""

import numpy as np
import pytest
from waiting import PATIENCE_S

from napari_zarr_stream.cameras import CameraError, CameraThread, SimulatedCamera
from napari_zarr_stream.cameras.preview import Preview
from napari_zarr_stream.cameras.viewfinder import Viewfinder, picture_of

SLOW = {"width": 32, "height": 32, "frame_rate": 0.1}  # no frame comes here


class Stubborn(SimulatedCamera):
    """A driver that fails where it is stopped, once it has run."""

    ran = False

    def start(self):
        super().start()
        self.ran = True

    def stop(self):
        super().stop()
        if self.ran:
            self.ran = False
            raise CameraError("the driver will not stop")


class Dead(SimulatedCamera):
    def read_into(self, out, timeout_s):
        raise OSError("the cable was pulled")


@pytest.mark.parametrize(
    ("kind", "said"),
    [(SimulatedCamera, None), (Stubborn, "will not stop"), (Dead, "cable")],
)
def test_a_snap_never_waits_for_ever(kind, said):
    thread = CameraThread(lambda: kind("empty", **SLOW))
    try:
        thread.call(lambda camera: camera.open())
        preview = Preview(thread)
        snap = preview.snap()
        if kind is not Dead:
            preview.stop()
        with pytest.raises(CameraError, match="the preview has ended"):
            snap.result(PATIENCE_S)
        error = preview.ended.exception(10)
        assert (error is None) == (said is None)
        assert said is None or said in str(error)
        with pytest.raises(CameraError, match="the preview has ended"):
            preview.snap().result(PATIENCE_S)
    finally:
        thread.close()


# id: planes of a frame, frames at once, where each plane of the newest is seen
PICTURES = {
    "grey": (1, 1, [np.s_[:]]),
    "grey-several-at-once": (1, 3, [np.s_[:]]),
    "colours": (3, 1, [np.s_[0], np.s_[1], np.s_[2]]),
    "two-cameras": (2, 1, [np.s_[:, :6], np.s_[:, 6:]]),
    "four-cameras": (4, 2, [np.s_[:, 6 * i : 6 * i + 6] for i in range(4)]),
}


@pytest.mark.parametrize(("planes", "frames", "seen"), PICTURES.values(), ids=PICTURES)
def test_every_plane_of_a_frame_is_seen(planes, frames, seen):
    finder = Viewfinder(planes)
    pixels = np.arange(frames * planes * 4 * 6, dtype=np.uint16).reshape(-1, 4, 6)
    finder.look(pixels[0] if len(pixels) == 1 else pixels)
    newest = finder.newest()
    assert not np.shares_memory(newest, pixels)
    for plane, where in zip(pixels[-planes:], seen, strict=True):
        np.testing.assert_array_equal(picture_of(newest)[where], plane)
    low, high = finder.contrast_limits
    shown = pixels[-planes:][1:2] if planes == 3 else pixels[-planes:]
    assert low <= np.median(shown) <= high
    assert finder.newest() is None
