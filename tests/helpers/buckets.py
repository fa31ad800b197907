"""A real server of S3, started and killed by tests, and what reads from its buckets."""

import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
from frames import plane
from waiting import wait_until

from napari_zarr_stream import StorageProperties, ZarrStream
from napari_zarr_stream._recording.uploading import Whole
from napari_zarr_stream._upload.request import UploadRequest
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.store import PartOfStore

KEY, SECRET, BUCKET = "labkey", "labsecret-of-nobody", "bkt"


FIRST_PORT, PORTS_OF_A_WORKER, WORKERS = 10_100, 1_000, 12
"""Below those that systems give to whoever asks for any (from 32,768 or 49,152 on), as
are those 10,000 above them: nobody else gets one between the choice and the start, or
while a server is dead."""


def free_ports(count):
    """Ports that are free, as are those 10,000 above them: SeaweedFS takes both."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST_PORT + worker % WORKERS * PORTS_OF_A_WORKER
    mine = range(first, first + PORTS_OF_A_WORKER)
    candidates = random.sample(mine, PORTS_OF_A_WORKER)
    ports = (each for each in candidates if is_free(each) and is_free(each + 10_000))
    return list(itertools.islice(ports, count))


def is_free(port):
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def find_weed():
    """The server's program; None where there is no wheel of it."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("weed", path=beside) or shutil.which("weed")


class BucketServer:
    """SeaweedFS with one bucket, on a folder; a kill leaves what it had."""

    def __init__(self, folder):
        self.folder = folder
        self._ports = free_ports(4)
        self.endpoint = f"http://127.0.0.1:{self._ports[0]}"
        self._process = None

    def start(self):
        """Start it, and wait until it takes something."""
        s3, master, volume, filer = self._ports
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        command = [
            find_weed(), "mini", f"-dir={self.folder / 'data'}", "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1", f"-bucket={BUCKET}", f"-s3.port={s3}",
            "-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false",
            "-admin.ui=false", f"-master.port={master}", f"-volume.port={volume}",
            f"-filer.port={filer}",
        ]  # fmt: skip
        environment = os.environ | {
            "GOMEMLIMIT": "400MiB",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log
            )
        wait_until(self._answers)

    def _answers(self):
        import obstore

        log = (self.folder / "log").read_text(errors="replace")[-2000:]
        assert self._process.poll() is None, f"the server has ended: {log}"
        try:
            obstore.put(self.bucket(), "hello", b"1")
        except Exception:  # noqa: BLE001 - any, until it answers
            return False
        return True

    def kill(self):
        """As a power cut does."""
        self._process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        self._process.wait()

    def stop(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def bucket(self, prefix=None):
        """The bucket, or what is below a prefix of it, for obstore and zarr."""
        from obstore.store import S3Store

        return S3Store(
            BUCKET,
            prefix=prefix,
            endpoint=self.endpoint,
            access_key_id=KEY,
            secret_access_key=SECRET,
            region="us-east-1",
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )

    def keys(self, prefix):
        """Names of what is below a prefix."""
        import obstore

        found = obstore.list(self.bucket(), f"{prefix}/").collect()
        return {meta["path"].removeprefix(f"{prefix}/") for meta in found}

    def files(self, prefix):
        """What is below a prefix: keys and bytes."""
        import obstore

        found = obstore.list(self.bucket(), f"{prefix}/").collect()
        return {
            meta["path"].removeprefix(f"{prefix}/"): bytes(
                obstore.get(self.bucket(), meta["path"]).bytes()
            )
            for meta in found
        }

    def levels(self, prefix):
        """All levels of an image, by zarr-python."""
        import zarr
        from zarr.storage import ObjectStore

        store = ObjectStore(self.bucket(prefix), read_only=True)
        group = zarr.open_group(store, mode="r")
        return [group[name][:] for name in sorted(k for k in group if k.isdecimal())]


def local_files(root):
    """What is in a folder: keys and bytes."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def assert_equal_levels(found, expected):
    """Two pyramids are one."""
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def make_store(path, kind="ZarrV3Blosc1Lz4ByteShuffle", frames=12, **more):
    """A store of frames of three levels, written to its end."""
    options = {"tile_width": 32, "tile_height": 32, "sharded": "V3" in kind} | more
    with ZarrStream(
        StorageProperties(path, kind, enable_multiscale=True, **options),
        axes="tyx",
        shape=(None, 96, 128),
        dtype="uint16",
    ) as stream:
        for number in range(frames):
            stream.append(plane(0, (96, 128)) + np.uint16(number))
    return path


def write_uploaded(pipe, path, case, address, frames, pause_s):
    """As `killed_writer.write`, with the store brought to a bucket meanwhile."""
    from functools import partial

    from killed_writer import write

    def make(properties, **described):
        uploader = UploadRequest(address).uploader(properties.path)
        uploader.follow()
        whole = Whole(LocalStore(properties.path, False), uploader)
        close = partial(whole.close, has_failed=False)
        part = PartOfStore(whole.store, "", close)
        stream = ZarrStream(properties, store=part, **described)
        whole.publish()
        return stream

    write(pipe, path, case, True, frames, pause_s, make)
