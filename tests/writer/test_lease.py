import os
import sys
import threading
import time

import pytest

from napari_zarr_stream._writer.lease import MOST_PATIENCE_S, PATIENCE_SHARE, Patience

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux'")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "shard"
    path.write_bytes(bytes(100))
    descriptor = os.open(path, os.O_WRONLY)
    yield path, descriptor
    os.close(descriptor)


def end_with(patience, descriptor, size):
    with patience.alone_with(descriptor):
        os.ftruncate(descriptor, size)


def size_of(path):
    return path.stat().st_size


def test_it_waits_until_a_reader_lets_go(file):
    path, descriptor = file
    cutting = threading.Thread(target=end_with, args=(Patience(), descriptor, 50))
    with path.open("rb") as reader:
        cutting.start()
        time.sleep(MOST_PATIENCE_S / 4)
        assert reader.seek(0, os.SEEK_END) == 100
    cutting.join()
    assert size_of(path) == 50


def test_a_reader_that_comes_meanwhile_waits(file):
    path, descriptor = file
    sizes = []
    reading = threading.Thread(target=lambda: sizes.append(len(path.read_bytes())))
    with Patience().alone_with(descriptor):
        reading.start()
        time.sleep(0.1)
        assert sizes == []
        os.ftruncate(descriptor, 50)
    reading.join()
    assert sizes == [50]


def test_a_reader_that_never_lets_go_keeps_no_frame_waiting(file, monkeypatch):
    path, descriptor = file
    waited = []
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda s: (waited.append(s), sleep(s)))
    patience = Patience()
    with path.open("rb"):
        began = time.monotonic()
        for size in range(99, 0, -1):
            end_with(patience, descriptor, size)
            assert size_of(path) == size
    passed = time.monotonic() - began
    assert 0 < sum(waited) < 2 * MOST_PATIENCE_S + PATIENCE_SHARE * passed


def test_others_may_open_a_file_whose_end_could_not_be_moved(file):
    path, descriptor = file
    with pytest.raises(OSError, match="Invalid argument"):
        end_with(Patience(), descriptor, -1)
    assert path.read_bytes() == bytes(100)
