"""Stores as a killed program leaves them, made without killing one."""

import json
import shutil
from dataclasses import replace

import numpy as np
import zarr
from judges import level_paths
from killed_writer import properties_of

from napari_zarr_stream import ZarrStream
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.record import RECORD_KEY


def left_open(path, planes, properties=None, **options):
    """A store as a killed program leaves it: a copy made while it is written."""
    live = path.with_name("live.zarr")
    given = properties or properties_of(live, "v3-lz4-sharded", True)
    shape = options.pop("shape", (None, *planes.shape[-2:]))
    options = {"axes": "tyx", "shape": shape, "dtype": planes.dtype} | options
    stream = ZarrStream(replace(given, uri=live), **options)
    stream.append(planes)
    stream.close()
    shutil.copytree(live, path)
    change_record(path, lambda record: record.pop("finish_reason"))
    return live


def change_record(path, edit):
    name = "zarr.json" if (path / "zarr.json").exists() else ".zattrs"
    document = json.loads((path / name).read_text())
    edit(document.get("attributes", document)[RECORD_KEY])
    (path / name).write_text(json.dumps(document))


def set_steps(path, steps):
    """Have all levels say that they have `steps` steps."""
    for level in level_paths(path):
        name = "zarr.json" if (level / "zarr.json").exists() else ".zarray"
        document = json.loads((level / name).read_text())
        document["shape"][0] = steps
        (level / name).write_text(json.dumps(document))


def arrays(path):
    return [zarr.open_array(level, mode="r")[:] for level in level_paths(path)]


def assert_same(path, other):
    for level, wanted in zip(arrays(path), arrays(other), strict=True):
        np.testing.assert_array_equal(level, wanted)


def pixels(shape, dtype="u2"):
    values = np.random.default_rng(0).integers(1, 100, shape)
    return values.astype(dtype)


class CountedReads:
    """Counts what is read at places in files.

    Attributes
    ----------
    bytes : int
    """

    def __init__(self, monkeypatch):
        self.bytes = 0
        read_at = system.read_at

        def read(*arguments):
            data = read_at(*arguments)
            self.bytes += len(data)
            return data

        monkeypatch.setattr(system, "read_at", read)


def size_of(path):
    """Bytes of all files in a store, holes included."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
