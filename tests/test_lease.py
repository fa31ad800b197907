import os
import sys
import threading
import time

import pytest

from napari_zarr_stream._writer.lease import MOST_PATIENCE_S, Cutter

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux'")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "shard"
    path.write_bytes(bytes(100))
    descriptor = os.open(path, os.O_WRONLY)
    yield path, descriptor
    os.close(descriptor)


def size_of(path):
    return path.stat().st_size


def test_a_file_is_cut_when_its_reader_lets_go(file):
    path, descriptor = file
    cutting = threading.Thread(target=Cutter().cut, args=(descriptor, 50))
    with path.open("rb") as reader:
        cutting.start()
        time.sleep(MOST_PATIENCE_S / 4)
        assert reader.seek(0, os.SEEK_END) == 100
    cutting.join()
    assert size_of(path) == 50


def test_a_reader_that_never_lets_go_keeps_no_frame_waiting(file):
    path, descriptor = file
    cutter = Cutter()
    with path.open("rb"):
        began = time.monotonic()
        for size in range(99, 0, -1):
            cutter.cut(descriptor, size)
            assert size_of(path) == size
    assert time.monotonic() - began < 3 * MOST_PATIENCE_S


def test_a_file_that_cannot_be_cut_is_heard_and_others_may_open_it(file):
    path, descriptor = file
    with pytest.raises(OSError, match="Invalid argument"):
        Cutter().cut(descriptor, -1)
    assert path.read_bytes() == bytes(100)
