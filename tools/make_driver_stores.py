"""Makes tests/data/drivers.zip: small stores of the programs that came before this one.

Each of them is installed into an environment of its own and writes what it always
wrote; beside its store lie the frames that it was given, or gave, as frames.npy.

    python tools/make_driver_stores.py [OUT.zip]
"""

import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from pathlib import Path
from typing import Any

OUT = Path(__file__).parents[1] / "tests" / "data" / "drivers.zip"

FRAMES, HEIGHT, WIDTH = 5, 24, 32
TILE_HEIGHT, TILE_WIDTH, FRAMES_PER_CHUNK = 12, 16, 2

STORES = {
    "acquire-imaging 0.3.0": (
        "Zarr", "ZarrBlosc1ZstdByteShuffle", "ZarrBlosc1Lz4ByteShuffle", "ZarrV3"
    ),
    "acquire-zarr 0.1.0": ("v2", "v3"),
    "acquire-zarr 0.10.0": ("plain", "multiscale"),
}  # fmt: skip
"""What is installed, and the kinds of stores that each writes."""


def main(out: Path = OUT) -> None:
    """Let each program write its stores, and keep them together in one file."""
    with tempfile.TemporaryDirectory() as folder:
        stores = Path(folder) / "stores"
        for package, kinds in STORES.items():
            name, version = package.split()
            environment = Path(folder) / package.replace(" ", "-")
            venv.create(environment, with_pip=True)
            programs = "Scripts" if sys.platform == "win32" else "bin"
            python = environment / programs / "python"
            pip = [python, "-m", "pip", "install", "--quiet"]
            subprocess.run([*pip, f"{name}=={version}", "numpy"], check=True)
            for kind in kinds:
                path = stores / f"{package.replace(' ', '-')}-{kind}"
                path.mkdir(parents=True)
                command = [python, __file__, "write", package, kind, path]
                # The driver has been seen not to end; what it wrote is whole by then.
                subprocess.run(command, check=True, timeout=120)
        out.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(stores.rglob("*")):
                if file.is_file():
                    entry = zipfile.ZipInfo(file.relative_to(stores).as_posix())
                    archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)


def write(package: str, kind: str, folder: Path) -> None:
    """Write one store; runs in the environment of its package."""
    import numpy as np

    if package.startswith("acquire-imaging"):
        frames = record(kind, folder / "store.zarr")
    else:
        y, x = np.indices((HEIGHT, WIDTH))
        frames = np.stack([1000 * t + 10 * y + x for t in range(FRAMES)]).astype("u2")
        stream_to = stream_0_1 if package.endswith("0.1.0") else stream_0_10
        stream_to(kind, folder / "store.zarr", frames)
    np.save(folder / "frames.npy", frames)


def record(kind: str, path: Path) -> Any:
    """Let acquire-imaging record its simulated camera; returns the frames it gave."""
    import acquire
    import numpy as np

    runtime = acquire.Runtime()
    manager = runtime.device_manager()
    settings = runtime.get_configuration()
    video = settings.video[0]
    video.camera.identifier = manager.select(
        acquire.DeviceKind.Camera, "simulated.*radial.*"
    )
    video.camera.settings.shape = (WIDTH, HEIGHT)
    video.camera.settings.binning = 1
    video.camera.settings.pixel_type = acquire.SampleType.U16
    video.storage.identifier = manager.select(acquire.DeviceKind.Storage, kind)
    video.storage.settings.filename = str(path)
    dimensions = []
    for name, what, size, chunk in (
        ("x", acquire.DimensionType.Space, WIDTH, TILE_WIDTH),
        ("y", acquire.DimensionType.Space, HEIGHT, TILE_HEIGHT),
        ("t", acquire.DimensionType.Time, 0, FRAMES_PER_CHUNK),
    ):
        dimension = acquire.StorageDimension()
        dimension.name, dimension.kind = name, what
        dimension.array_size_px, dimension.chunk_size_px = size, chunk
        dimension.shard_size_chunks = 1
        dimensions.append(dimension)
    video.storage.settings.acquisition_dimensions = dimensions
    video.storage.settings.enable_multiscale = kind == "Zarr"
    video.max_frame_count = FRAMES
    runtime.set_configuration(settings)
    runtime.start()
    frames: list[Any] = []
    while len(frames) < FRAMES:
        with runtime.get_available_data(0) as packet:
            for frame in packet.frames():
                frames.append(np.array(frame.data()).reshape(HEIGHT, WIDTH))
        time.sleep(0.01)
    runtime.stop()
    return np.stack(frames)


def stream_0_1(kind: str, path: Path, frames: Any) -> None:
    """Stream frames with acquire-zarr 0.1.0, into Zarr v2 or v3, with its pyramid."""
    import acquire_zarr as aqz

    version = aqz.ZarrVersion.V2 if kind == "v2" else aqz.ZarrVersion.V3
    settings = aqz.StreamSettings(
        store_path=str(path),
        version=version,
        data_type=aqz.DataType.UINT16,
        multiscale=True,
    )
    settings.dimensions.extend(dimensions_of(aqz))
    stream = aqz.ZarrStream(settings)
    for frame in frames:
        stream.append(frame)
    del stream  # which is how it is closed


def stream_0_10(kind: str, path: Path, frames: Any) -> None:
    """Stream frames with acquire-zarr 0.10.0, with or without a pyramid."""
    import acquire_zarr as aqz

    array = aqz.ArraySettings(dimensions=dimensions_of(aqz), data_type=frames.dtype)
    if kind == "multiscale":
        array.downsampling_method = aqz.DownsamplingMethod.MEAN
    settings = aqz.StreamSettings(store_path=str(path), arrays=[array])
    stream = aqz.ZarrStream(settings)
    for frame in frames:
        stream.append(frame)
    stream.close()


def dimensions_of(aqz: Any) -> list[Any]:
    """Time, y and x as both versions of acquire-zarr take them."""
    space, time_ = aqz.DimensionType.SPACE, aqz.DimensionType.TIME
    return [
        aqz.Dimension(
            name=name,
            kind=kind,
            array_size_px=size,
            chunk_size_px=chunk,
            shard_size_chunks=shard,
        )
        for name, kind, size, chunk, shard in (
            ("t", time_, 0, FRAMES_PER_CHUNK, 1),
            ("y", space, HEIGHT, TILE_HEIGHT, 2),
            ("x", space, WIDTH, TILE_WIDTH, 2),
        )
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        write(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    else:
        main(*map(Path, sys.argv[1:]))
