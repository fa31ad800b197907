"""Documents that another program has open, which Windows does not replace."""

import errno
import os
import threading

import numpy as np
import pytest
from disks import SHAPE, WAYS, read, stream_of
from frames import plane, planes
from waiting import wait_until

from napari_zarr_stream import WriteFailed
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.repair import repair


class Held:
    """Refuses to replace documents while `is_held`, as if another had them open."""

    def __init__(self, monkeypatch):
        self.is_held, self.refused = False, 0
        real = os.replace
        monkeypatch.setattr(system, "_PAUSES_S", (0.001,))

        def replace(source, target):
            if self.is_held:
                self.refused += 1
                error = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
                error.winerror = 5
                raise error
            return real(source, target)

        monkeypatch.setattr(os, "replace", replace)


@pytest.mark.parametrize("way", WAYS)
def test_a_document_that_somebody_has_open_is_renewed_later(tmp_path, monkeypatch, way):
    held = Held(monkeypatch)
    path = tmp_path / "a.zarr"
    stream = stream_of(path, way)
    stream.append(planes(8, SHAPE))
    wait_until(lambda: stream.status().frames_committed == 8)
    held.is_held = True
    for number in range(8, 80):
        stream.append(plane(number, SHAPE))
    wait_until(lambda: held.refused > 2)
    status = stream.status()
    assert status.error is None
    assert status.frames_committed == 8, "no other program can read more"
    assert read(path).shape[0] == 8
    held.is_held = False
    wait_until(lambda: stream.status().frames_committed == 80)
    stream.close()
    np.testing.assert_array_equal(read(path), planes(80, SHAPE))
    assert not list(path.rglob("*.partial"))


@pytest.mark.parametrize("way", WAYS)
def test_at_the_end_a_document_must_be_written(tmp_path, monkeypatch, way):
    held = Held(monkeypatch)
    path = tmp_path / "a.zarr"
    stream = stream_of(path, way)
    stream.append(planes(8, SHAPE))
    wait_until(lambda: stream.status().frames_committed == 8)
    held.is_held = True
    stream.append(planes(8, SHAPE))
    with pytest.raises(WriteFailed, match="another program has it open"):
        stream.close()
    held.is_held = False
    assert not [t for t in threading.enumerate() if t.name.startswith("zarr-stream")]
    np.testing.assert_array_equal(read(path)[:8], planes(8, SHAPE))
    assert repair(path).planes_after == 16
