"""A camera that runs to be looked at: what becomes of a snap when it ends badly."""

import pytest

from napari_zarr_stream.cameras import CameraError, CameraThread, SimulatedCamera
from napari_zarr_stream.cameras.preview import Preview

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
            snap.result(10)
        error = preview.ended.exception(10)
        assert (error is None) == (said is None)
        assert said is None or said in str(error)
        with pytest.raises(CameraError, match="the preview has ended"):
            preview.snap().result(10)
    finally:
        thread.close()
