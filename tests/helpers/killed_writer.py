"""A program that records, to be killed at any moment, and what it may leave behind."""

import multiprocessing
import random
import struct
import sys
import time

import numpy as np
from frames import plane

from napari_zarr_stream import (
    DeviceKind,
    ImageDescription,
    ImageSet,
    Plate,
    StorageProperties,
    ZarrStream,
)

SIDE = 512
SMALL = {"tile_width": 256, "tile_height": 256}
SHARDED = SMALL | {"sharded": True}

CASES = {
    # several frames in a chunk, which is written frame by frame
    "v2-raw": (DeviceKind.ZARR, SMALL | {"frames_per_chunk": 8}),
    "v2-zstd": (DeviceKind.ZARR_ZSTD, SMALL | {"frames_per_chunk": 8}),
    "v2-lz4": (DeviceKind.ZARR_LZ4, SMALL | {"frames_per_chunk": 8}),
    "v3-raw": (DeviceKind.ZARR_V3, SMALL | {"frames_per_chunk": 8}),
    "v3-zstd": (DeviceKind.ZARR_V3_ZSTD, SMALL | {"frames_per_chunk": 8}),
    "v3-lz4": (DeviceKind.ZARR_V3_LZ4, SMALL | {"frames_per_chunk": 8}),
    # a file for each tile of each frame
    "v3-lz4-single": (DeviceKind.ZARR_V3_LZ4, SMALL | {"frames_per_chunk": 1}),
    "v2-raw-single": (DeviceKind.ZARR, SMALL | {"frames_per_chunk": 1}),
    # tiles too small to be encoded one by one
    "v3-zstd-stacked": (
        DeviceKind.ZARR_V3_ZSTD,
        {"tile_width": 128, "tile_height": 128, "frames_per_chunk": 8},
    ),
    # one tile to a shard, several, and all
    "v3-raw-sharded": (DeviceKind.ZARR_V3, SHARDED | {"shard_chunks": (2, 2)}),
    "v3-zstd-sharded": (DeviceKind.ZARR_V3_ZSTD, SHARDED | {"shard_chunks": (2, 1)}),
    "v3-lz4-sharded": (DeviceKind.ZARR_V3_LZ4, SHARDED | {"shard_chunks": (0, 0)}),
    "v3-lz4-one-tile": (DeviceKind.ZARR_V3_LZ4, SHARDED),
    "v3-lz4-stacked-sharded": (
        DeviceKind.ZARR_V3_LZ4,
        SHARDED | {"frames_per_chunk": 4, "shard_chunks": (0, 0)},
    ),
}
"""Device kind and options by name; each with and without a pyramid."""


def properties_of(path, case, multiscale):
    """What a case asks for."""
    kind, options = CASES[case]
    return StorageProperties(path, kind, enable_multiscale=multiscale, **options)


def write(pipe, path, case, multiscale, frames, pause_s, make=ZarrStream):
    """Record, and tell after every frame how many were appended and committed."""
    first = plane(0, (SIDE, SIDE))
    tell(pipe, 0, 0)
    stream = make(
        properties_of(path, case, multiscale),
        axes="tyx",
        shape=(None, SIDE, SIDE),
        dtype="uint16",
    )
    for number in range(frames):
        stream.append(first + np.uint16(number))
        tell(pipe, number + 1, stream.status().frames_committed)
        time.sleep(pause_s)
    stream.close()
    tell(pipe, frames, stream.status().frames_committed)


VOLUME = (5, 64, 48)


def write_volumes(pipe, path, options, frames, pause_s):
    """Record volumes by the same rules, of planes that `frames.plane` numbers."""
    tell(pipe, 0, 0)
    stream = ZarrStream(
        StorageProperties(path, tile_width=16, tile_height=16, **options),
        axes="tzyx",
        shape=(None, *VOLUME),
        dtype="uint16",
        scale={"z": 0.5},
    )
    for number in range(frames):
        stream.append(plane(number, VOLUME[1:]))
        tell(pipe, number + 1, stream.status().frames_committed)
        time.sleep(pause_s)
    stream.close()
    tell(pipe, frames, stream.status().frames_committed)


SET_SIDE = 64
SET_SHAPE = (None, 2, 3, SET_SIDE, SET_SIDE)


SETS = {
    "positions": ("0", "1", "2", "3"),
    "plate": ("A/1/0", "A/1/1", "B/2/0", "B/2/1"),
    "alone": ("",),
}
"""Paths of the images."""


def new_set(properties, how):
    """A set of images, empty."""
    plate = Plate("plate", ("A", "B"), ("1", "2")) if how == "plate" else None
    images = [
        ImageDescription(path, path, "tczyx", SET_SHAPE, "uint16") for path in SETS[how]
    ]
    return ImageSet(properties, images, plate=plate)


def set_plane(image, t, c, z):
    """What `write_set` puts there: no zeros, and each another."""
    first = 1 + (((t * 2 + c) * 3 + z) * 4 + image) * 7
    rows = np.arange(SET_SIDE, dtype="uint16")
    return (first + rows[:, None] + 3 * rows).astype("uint16")


def write_set(pipe, path, kind, sharded, how, seed, frames, pause_s):
    """Put planes of a set in an order of their own, leaving some out."""
    properties = StorageProperties(
        path, kind, tile_width=32, tile_height=32, sharded=sharded
    )
    images = new_set(properties, how)
    chance = random.Random(seed)
    places = [(i, t, c, z) for t in range(frames // 10) for c in range(2)
              for z in range(3) for i in range(len(SETS[how]))]  # fmt: skip
    at = sorted(range(len(places)), key=lambda n: n + chance.random() * 60)
    for number, n in enumerate(at[:frames]):
        image, *place = places[n]
        if n % 7:
            images.put(image, place, set_plane(*places[n]), {"runner_time_ms": 1.5})
        tell(pipe, number + 1, images.status().frames_committed)
        time.sleep(pause_s)
    images.close()
    tell(pipe, frames, images.status().frames_committed)


def tell(pipe, appended, committed):
    """Say how many frames there are, in one write that a kill cannot cut."""
    pipe.send_bytes(struct.pack("<QQ", appended, committed))


def hear(pipe, process):
    """What it told next; EOFError when it has ended, and nothing is left to hear.

    On Windows the pipe may not end with a program that was killed.
    """
    try:
        while not pipe.poll(0.01):
            if not process.is_alive() and not pipe.poll():
                raise EOFError
        return struct.unpack("<QQ", pipe.recv_bytes())
    except BrokenPipeError:
        raise EOFError from None


def start_server():
    """Processes are forked from one that has imported everything: a kill costs 1 s.

    Windows has no fork: there each imports for itself.
    """
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["killed_writer", "napari_zarr_stream._writer.kernels"]
    )
    return context


def kill(context, seed, *arguments, target=write):
    """Kill `target` (SIGKILL, TerminateProcess) at a moment that `seed` names.

    Of ten, one is killed before its first frame and two about when it closes.

    Returns
    -------
    (appended, committed, whether it had ended by itself)
    """
    chance = random.Random(seed)
    frames = chance.choice([30, 120, 250])
    pause_s = chance.choice([0.0005, 0.002, 0.008])
    phase = chance.random()
    stop_at = 0 if phase < 0.1 else frames if phase > 0.8 else chance.randrange(frames)
    then_s = chance.random() * (0.15 if stop_at == 0 else 0.05 if phase > 0.8 else 0.01)
    receiver, sender = context.Pipe(duplex=False)
    given = (sender, *arguments, frames, pause_s)
    process = context.Process(target=target, args=given)
    process.start()
    sender.close()
    appended = committed = 0
    try:
        hear(receiver, process)  # it begins
        while appended < stop_at:
            appended, committed = hear(receiver, process)
        time.sleep(then_s)
        process.kill()
        while True:
            appended, committed = hear(receiver, process)
    except EOFError:
        pass
    finally:
        process.kill()
        process.join()
        receiver.close()
    return appended, committed, process.exitcode == 0


def check_frames(path, least, paths=None):
    """Every frame of every level is the one its number says; returns how many."""
    import zarr  # which who is killed does not need

    group = zarr.open_group(path, mode="r")
    # Not by listing them: zarr warns of a document that was on its way.
    names = paths or sorted(p.name for p in path.iterdir() if p.name.isdigit())
    levels = [group[name] for name in names]
    frames = levels[0].shape[0]
    assert frames >= least, f"{least} were committed, {frames} are there"
    assert all(level.shape[0] >= frames for level in levels)
    first = plane(0, (SIDE, SIDE))
    pixels = [level[:frames] for level in levels]
    for number in range(frames):
        expected = first + np.uint16(number)
        for level in pixels:
            np.testing.assert_array_equal(level[number], expected)
            expected = halved(expected)
    return frames


def halved(pixels):
    """The mean of 2 x 2 pixels, half up: worked out apart from the writer."""
    height, width = pixels.shape
    blocks = pixels.reshape(height // 2, 2, width // 2, 2).astype("u4")
    return ((blocks.sum(axis=(1, 3)) + 2) // 4).astype(pixels.dtype)
