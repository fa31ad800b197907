"""Peak memory of a recording against what its plan says: a process for each row.

python benchmarks/peak_memory.py [--directory /dev/shm] [--frames 10 1000]
"""

import argparse
import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

SIDE = 2048

KINDS = {
    "stacked": ("ZarrBlosc1Lz4ByteShuffle", False),
    "sharded": ("ZarrV3Blosc1Lz4ByteShuffle", True),
}

ONE = """
import sys
from pathlib import Path
import numpy as np
from napari_zarr_stream import StorageProperties, ZarrStream

path, kind, sharded, tile, frames, side = sys.argv[1:]
tile, frames, side = int(tile), int(frames), int(side)

def kib(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

def record(name, tile, frames, side):
    properties = StorageProperties(
        f"{path}/{name}.zarr", kind, tile_width=tile, tile_height=tile,
        sharded=sharded == "True",
    )
    shape, dtype = (frames, side, side), "uint16"
    frame = np.random.default_rng(0).integers(100, 4000, (side, side), dtype)
    before = kib("VmRSS")
    with ZarrStream(properties, axes="tyx", shape=shape, dtype=dtype) as stream:
        for _ in range(frames):
            stream.append(frame)
    return stream.plan.peak_memory_bytes, (kib("VmHWM") - before) * 1024

record("first", 32, 1, 64)  # imports, the compiled kernel
print(*record("measured", tile, frames, side))
"""


def measure(
    directory: str, kind: str, tile: int, frames: int, side: int = SIDE
) -> tuple[int, int]:
    """What the plan says, and the peak above the start, in bytes."""
    name, sharded = KINDS[kind]
    with tempfile.TemporaryDirectory(dir=directory) as path:
        arguments = map(str, (path, name, sharded, tile, frames, side))
        command = [sys.executable, "-c", ONE, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    said, peak = map(int, done.stdout.split())
    return said, peak


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default="/dev/shm")
    parser.add_argument("--frames", type=int, nargs="+", default=[10, 1000])
    given = parser.parse_args()
    print("| kind | tile | frames | plan, MiB | peak, MiB | ratio |")
    print("|---|---|---|---|---|---|")
    rows = itertools.product(KINDS, (64, 128, 512), given.frames)
    for kind, tile, frames in rows:
        said, peak = measure(given.directory, kind, tile, frames)
        sizes = f"{said / 2**20:.0f} | {peak / 2**20:.0f} | {peak / said:.2f}"
        print(f"| {kind} | {tile} | {frames} | {sizes} |", flush=True)


if __name__ == "__main__":
    main()
