"""Stores that are slow, or fail when they are told to."""

import os
import threading

from napari_zarr_stream import WriteFailed
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.refusals import writing


def os_failure(root, number):
    """Makes what a `LocalStore` makes of the system's error of that number."""

    def failure(key):
        try:
            with writing(root / key):
                raise OSError(number, os.strerror(number))
        except WriteFailed as failed:
            return failed

    return failure


class TestedStore:
    """A `LocalStore` that counts its calls and can fail or wait at any of them.

    Parameters
    ----------
    fail_at : int
        The call that fails, from 1 on; 0 for none.
    for_good : bool
        Whether all calls after it fail as well, as on a full disk.
    error : callable
        Makes the failure, given the key.
    """

    __test__ = False

    def __init__(self, fail_at=0, for_good=False, error=None):
        self.fail_at = fail_at
        self.for_good = for_good
        self.error = error or (lambda key: WriteFailed(f"{self.path}/{key} is broken"))
        self.calls = []
        self.failed = False
        self.gate = threading.Event()
        self.gate.set()
        self._lock = threading.Lock()

    def __call__(self, path, overwrite):
        """Stand in for the class `LocalStore`."""
        self.path = path
        self._store = LocalStore(path, overwrite)
        return self

    def _enter(self, name, key):
        with self._lock:
            self.calls.append((name, key))
            number = len(self.calls)
            fails = self.fail_at and (
                number >= self.fail_at if self.for_good else number == self.fail_at
            )
            self.failed |= bool(fails)
        if name not in ("write_json", "publish"):
            self.gate.wait()
        if fails:
            raise self.error(key)

    @property
    def has_holes(self):
        return self._store.has_holes

    def publish(self):
        self._enter("publish", "")
        self._store.publish()

    def discard(self):
        self._store.discard()

    def close(self):
        self._store.close()

    def write_json(self, key, document):
        self._enter("write_json", key)
        self._store.write_json(key, document)

    def write(self, key, data):
        self._enter("write", key)
        self._store.write(key, data)

    def replace(self, key, data):
        self._enter("replace", key)
        self._store.replace(key, data)

    def write_folder(self, key, files, *, appears=False):
        def entered():
            for name, data in files:
                self._enter("replace" if appears else "write", f"{key}/{name}")
                yield name, data

        self._store.write_folder(key, entered(), appears=appears)

    def create_file(self, key, keep_open, *, appears=False):
        self._enter("create_file", key)
        file = self._store.create_file(key, keep_open, appears=appears)
        return _TestedFile(self, key, file)


class _TestedFile:
    def __init__(self, store, key, file):
        self._store, self._key, self._file = store, key, file

    def write_at(self, offset, *pieces):
        self._store._enter("write_at", self._key)
        self._file.write_at(offset, *pieces)

    def lengthen(self, size):
        self._store._enter("lengthen", self._key)
        self._file.lengthen(size)

    def end_with(self, offset, data):
        self._store._enter("end_with", self._key)
        return self._file.end_with(offset, data)

    def appear(self):
        self._store._enter("appear", self._key)
        self._file.appear()

    def close(self):
        self._file.close()
        self._store._enter("close", self._key)
