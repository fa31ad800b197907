"""Stores that lie: what `info`, `repair` and the reader make of them.

Run as a program it opens a batch of stores, each spoiled in a way that its number
names, and tells about each on a line of its own. See `test_hostile.py`.
"""

import contextlib
import faulthandler
import io
import json
import os
import random
import shutil
import struct
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import psutil
from waiting import PATIENCE_S

from napari_zarr_stream import DeviceKind, StorageProperties, ZarrStream
from napari_zarr_stream._reading.info import facts_of, text_of
from napari_zarr_stream._reading.reader import get_reader, layers_of
from napari_zarr_stream._saving.export import export_layers
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.errors import ZarrStreamError
from napari_zarr_stream._writer.marks import encode_mark
from napari_zarr_stream._writer.record import RECORD_KEY
from napari_zarr_stream._writer.repair import examine, repair

LIMIT_S = 5
LIMIT_BYTES = 2**30
HAS_PIPES = hasattr(os, "mkfifo")

TILES = {"tile_width": 16, "tile_height": 16}
STORES = {
    "v2-raw": (DeviceKind.ZARR, {"frames_per_chunk": 4}),
    "v2-lz4": (DeviceKind.ZARR_LZ4, {"frames_per_chunk": 4}),
    "v3-zstd": (DeviceKind.ZARR_V3_ZSTD, {"frames_per_chunk": 2}),
    "v3-sharded": (DeviceKind.ZARR_V3_LZ4, {"sharded": True}),
    "v3-raw-sharded": (DeviceKind.ZARR_V3, {"sharded": True, "shard_chunks": (2, 2)}),
}

ODD = [
    None, True, False, -1, 0, 1, 2, 3, 7, 1.5, -0.0, 1e308, 2**31, 2**40, 2**62,
    2**63, 2**64, 10**30, "", "a", "..", ".", "/", "../outside", "/etc", "0", "1/../..",
    [], {}, [[]], [0], [2**40] * 3, ["a"], {"a": 1}, "|O", "|S5", "<M8[ns]", "<f2",
    ">u8", "<u1", "float16", "string", "complex64", "int64", "bytes", "zstd", "gzip",
    "blosc", "crc32c", "transpose", "sharding_indexed", "vlen-utf8",
]  # fmt: skip
"""What a value of a document may be replaced with."""


def build(folder):
    """The stores that are spoiled, small and whole."""
    pixels = np.random.default_rng(0).integers(0, 5000, (9, 40, 50)).astype("u2")
    for name, (kind, options) in STORES.items():
        properties = StorageProperties(folder / name, kind, **TILES, **options)
        with ZarrStream(
            properties, axes="tyx", shape=(None, 40, 50), dtype="u2"
        ) as stream:
            stream.append(pixels)
    axes = {"axis_labels": ("z", "y", "x")}
    image = LayerSource(pixels[:3], {"name": "cells", "rgb": False} | axes, "image")
    labels = LayerSource(pixels[:3] % 5, {"name": "found"} | axes, "labels")
    properties = StorageProperties(folder / "labels", DeviceKind.ZARR_V3_LZ4, **TILES)
    export_layers([image, labels], properties)


def paths_in(document, path=()):
    """Where the values of a document are."""
    pairs = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    for key, value in pairs:
        yield (*path, key)
        yield from paths_in(value, (*path, key))


def spoil_value(chance, store):
    """Another value in a document, or none."""
    document_path = chance.choice(documents(store))
    document = json.loads(document_path.read_text())
    *path, last = chance.choice(list(paths_in(document)))
    owner = document
    for key in path:
        owner = owner[key]
    what = chance.random()
    if what < 0.15:
        del owner[last]
    elif what < 0.25 and isinstance(owner[last], int):
        owner[last] += chance.choice([-1, 1, 2**20, 2**50])
    elif what < 0.35 and isinstance(owner[last], list):
        owner[last] = owner[last] * chance.choice([2, 3, 1000])
    else:
        owner[last] = chance.choice(ODD)
    document_path.write_text(json.dumps(document))


def spoil_text(chance, store):
    """A document cut short, changed at random, or something else altogether."""
    path = chance.choice(documents(store))
    text = bytearray(path.read_bytes())
    what = chance.random()
    if what < 0.3:
        text = text[: chance.randrange(len(text))]
    elif what < 0.6:
        for _ in range(chance.randint(1, 5)):
            text[chance.randrange(len(text))] = chance.randrange(256)
    else:
        text = chance.choice(
            [b"", b"[" * 200_000, b'{"a":' * 50_000, b"null", b"[]", b"\xff\xfe",
             b"9" * 10_000, chance.randbytes(500), b'{"zarr_format": 3}'],
        )  # fmt: skip
    path.write_bytes(text)


def spoil_chunk(chance, store):
    """A chunk or shard cut short, stretched, or changed at random."""
    path = chance.choice(chunks(store))
    data = bytearray(path.read_bytes())
    what = chance.random()
    if what < 0.2:
        data = data[: chance.randrange(len(data))]
    elif what < 0.5:
        for _ in range(chance.randint(1, 20)):
            data[chance.randrange(len(data))] = chance.randrange(256)
    elif what < 0.7:  # the head of a blosc buffer
        at = chance.choice([0, 4, 8, 12])
        data[at : at + 4] = chance.choice([0, 1, 2**31 - 1, 2**32 - 1]).to_bytes(
            4, "little"
        )
    elif what < 0.8:
        stretch(path, 2 ** chance.choice([20, 31, 40]))
        return
    elif what < 0.9:
        data = data * 2
    path.write_bytes(data)


def stretch(path, size):
    """Give a file another end; Windows' own `truncate` would write zeros up to it."""
    with system.closing(system.open_to_change(path)) as file:
        system.allow_holes(file)
        system.set_size(file, size)


def spoil_index(chance, store):
    """A shard whose index, with a right checksum, points where it should not."""
    from napari_zarr_stream._writer.codecs import encode_shard_index

    path = chance.choice(chunks(store))
    data = path.read_bytes()
    for room in (2**20, *range(1, 4096)):
        table = data[-16 * room - 4 : -4]
        if len(table) == 16 * room:
            index = np.frombuffer(table, "<u8").reshape(-1, 2).copy()
            if encode_shard_index(index) == data[-16 * room - 4 :]:
                break
    else:
        return
    for _ in range(chance.randint(1, 4)):
        row = chance.randrange(room)
        odd = [0, 1, 2**63, 2**64 - 1, 2**64 - 2, len(data), len(data) - 1, 2**40]
        index[row, chance.randrange(2)] = chance.choice(odd)
        if chance.random() < 0.3:
            index[row] = index[chance.randrange(room)]
    path.write_bytes(data[: -16 * room - 4] + encode_shard_index(index))


def spoil_tree(chance, store):
    """Links that lead out or round, pipes, folders where files should be."""
    inside = [p for p in store.rglob("*") if not p.is_symlink()]
    path = chance.choice(inside)
    what = chance.choice(
        ["out", "round", "pipe", "zero", "folder", "gone", "deep", "file"]
    )
    if what == "deep":
        for _ in range(40):
            path = path / "0" if path.is_dir() else path.parent / "deep"
            path.mkdir(exist_ok=True)
        shutil.copy(documents(store)[0], path / documents(store)[0].name)
        return
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    if what == "out":
        path.symlink_to(store.parent / "outside")
    elif what == "round":
        path.symlink_to(chance.choice([path, path.parent, store]))
    elif what == "pipe" and HAS_PIPES:
        os.mkfifo(path)
    elif what == "zero":
        path.symlink_to("/dev/zero")
    elif what == "folder":
        path.mkdir()
    elif what == "file":
        path.write_bytes(b"abc")


def spoil_shape(chance, store):
    """A plane and chunks that might be true, at all levels or one."""
    side, chunk = chance.choice([(10**6, 40_000), (30_000, 30_000), (9000, 1), (50, 1)])
    for path in documents(store)[chance.randrange(3) :]:
        document = json.loads(path.read_text())
        if "shape" in document:
            document["shape"][-2:] = side, side
            grid = document.get("chunk_grid", {}).get("configuration", document)
            grid["chunk_shape" if "chunk_shape" in grid else "chunks"][-2:] = [
                chunk
            ] * 2
            path.write_text(json.dumps(document))


def spoil_list(chance, store):
    """A list that is as long as no list should be."""
    path = chance.choice(documents(store))
    document = json.loads(path.read_text())
    lists = [p for p in paths_in(document) if value_at(document, p).__class__ is list]
    found = value_at(document, chance.choice(lists))
    found += [chance.choice(found)] * 10**4
    path.write_text(json.dumps(document))


def value_at(document, path):
    """What lies in a document along a path of keys."""
    for key in path:
        document = document[key]
    return document


def spoil_lock(chance, store):
    """What is in the place of the lock is none."""
    lock = store.with_name(f".{store.name}.lock")
    lock.unlink(missing_ok=True)
    if chance.random() < 0.3 and HAS_PIPES:
        os.mkfifo(lock)
        return
    said = {"pid": 1, "host": "", "started": 0, "since": "", "token": ""}
    said[chance.choice(list(said))] = chance.choice([*ODD, float("inf")])
    lock.write_text(json.dumps(said))
    os.utime(lock, (1, 1))


def spoil_marks(chance, store):
    """Marks behind the chunks of a file that say nothing true."""
    entries = [(chance.choice([0, 1, 2**20]), 0)] * chance.choice([1, 100, 2**16])
    with chance.choice(chunks(store)).open("ab") as file:
        size = file.tell()
        file.write(encode_mark(size, *zip(*entries, strict=True)))
        file.write(struct.pack("<8sQI", b"nzs-mark", size, 2**16) * 10**4)


def spoil_end(chance, store):
    """As a killed program leaves it, so that what lies beyond is looked for."""
    for path in (store / "zarr.json", store / ".zattrs"):
        if path.is_file():
            with contextlib.suppress(
                ValueError, KeyError, TypeError, AttributeError, RecursionError
            ):
                document = json.loads(path.read_text())
                record = document.get("attributes", document)[RECORD_KEY]
                record.pop("finish_reason", None)
                path.write_text(json.dumps(document))


def documents(store):
    """All documents of a store."""
    names = {"zarr.json", ".zattrs", ".zarray", ".zgroup"}
    return sorted(p for p in store.rglob("*") if p.name in names and p.is_file())


def chunks(store):
    """All files of a store that hold pixels."""
    return sorted(
        p
        for p in store.rglob("*")
        if p.is_file() and p.name.isdigit() and p.stat().st_size
    )


SPOILS = [spoil_value] * 5 + [
    spoil_text, spoil_chunk, spoil_index, spoil_tree, spoil_shape, spoil_list,
    spoil_lock, spoil_marks,
]  # fmt: skip


def spoil(number, stores, place):
    """Make the store that `number` names; returns what was done to it."""
    chance = random.Random(number)
    name = chance.choice([*STORES, "labels"])
    store = place / "a.zarr"
    shutil.copytree(stores / name, store)
    done = [name]
    for _ in range(chance.choice([1, 1, 2, 4])):
        how = chance.choice(SPOILS)
        # An earlier one may have left nothing to spoil.
        with contextlib.suppress(
            IndexError, ValueError, KeyError, TypeError, OSError, RecursionError,
            MemoryError,
        ):  # fmt: skip
            how(chance, store)
            done.append(how.__name__)
    if chance.random() < 0.5:
        spoil_end(chance, store)
        done.append("spoil_end")
    return done


def open_all(store):
    """Everything that looks at a store; only errors of ours may come out.

    Returns
    -------
    (calls that found something good, seconds of work of the slowest)
    """
    calls = [
        lambda: text_of(facts_of(store)),
        lambda: json.dumps(facts_of(store)),
        lambda: examine(store),
        lambda: get_reader(str(store)),
        lambda: found.extend(layers_of(store)),
        lambda: [look_at(d if isinstance(d, list) else [d]) for d, _, _ in found],
        lambda: repair(store),
        lambda: examine(store),
    ]
    found, opened, slowest_s = [], 0, 0.0
    for call in calls:
        start = time.process_time()  # one that waits is ended by `run_batch`
        with contextlib.suppress(ZarrStreamError):
            call()
            opened += 1
        slowest_s = max(slowest_s, time.process_time() - start)
    return opened, slowest_s


def look_at(levels):
    """As napari does: planes, whole ones of the smallest level; zarr may fail there."""
    for level in levels:
        *outer, height, width = level.shape
        cut = (height, width) if level is levels[-1] else (1024, 1024)
        for part in (0, 2):
            at = tuple((size - 1) * part // 2 for size in outer)
            try:
                np.asarray(level[(*at, slice(cut[0]), slice(cut[1]))])
            except MemoryError:
                raise
            except Exception:  # noqa: S110, BLE001
                pass  # damaged pixels


def outside_of(place):
    """All that no call may change, with its bytes."""
    return {
        str(p.relative_to(place)): p.read_bytes() if p.is_file() else None
        for p in sorted(place.rglob("*"))
        if p.parts[len(place.parts)] not in ("a.zarr", ".a.zarr.lock")
    }


def run_batch(stores, place, numbers):
    """Open each of these stores in every way, with a limit to memory, and tell."""
    warnings.simplefilter("ignore")
    if sys.platform != "win32":  # which knows no such limit, only the peak afterwards
        import resource

        most = psutil.Process().memory_info().vms + LIMIT_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for number in numbers:
        here = place / str(number)
        (here / "outside" / "0").mkdir(parents=True)
        (here / "outside" / "zarr.json").write_text("{}")
        (here / "outside" / "0" / "0").write_bytes(b"a thesis")
        faulthandler.dump_traceback_later(2 * PATIENCE_S, exit=True)
        done = spoil(number, stores, here)
        before = outside_of(here)
        print("begin", number, *done, flush=True)
        with contextlib.redirect_stdout(io.StringIO()):
            opened, took_s = open_all(here / "a.zarr")
        faulthandler.cancel_dump_traceback_later()
        assert took_s < LIMIT_S, f"{number}: took {took_s:.1f} s"
        assert outside_of(here) == before, f"{number}: something outside was changed"
        print("end", number, opened, f"{took_s:.2f}", flush=True)
        system.remove_tree(here)  # of which zarr may still read what it no longer needs
    print("peak", peak_bytes(), flush=True)


def peak_bytes():
    """Of this program: `getrusage` would count what its parent had at the fork."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    first, last = map(int, sys.argv[3:5])
    run_batch(Path(sys.argv[1]), Path(sys.argv[2]), range(first, last))
