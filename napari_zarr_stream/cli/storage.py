"""The options that say how a store is to be laid out, as `StorageProperties`."""

import argparse
from dataclasses import replace
from typing import Any

from napari_zarr_stream._saving.export import default_properties
from napari_zarr_stream._writer.properties import (
    DeviceKind,
    DownsamplingMethod,
    StorageProperties,
    ZHalving,
)


def add_storage(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group("storage")
    group.add_argument("--device-kind", choices=list(map(str, DeviceKind)))
    for axis in ("width", "height", "planes"):
        group.add_argument(
            f"--tile-{axis}", type=int, metavar="N", help="0: as the frame"
        )
    group.add_argument(
        "--max-chunk-mib",
        type=int,
        metavar="MIB",
        help="cap of a chunk, 16 at the least",
    )
    group.add_argument("--frames-per-chunk", type=int, metavar="N")
    boolean = argparse.BooleanOptionalAction
    group.add_argument("--sharded", action=boolean, help="many chunks in one file (v3)")
    group.add_argument(
        "--shard-chunks",
        type=int,
        nargs=2,
        metavar=("DOWN", "ACROSS"),
        help="tiles that share a shard; 0 0: whole frames",
    )
    group.add_argument("--multiscale", action=boolean, help="write a pyramid")
    group.add_argument(
        "--downsampling", "--method", choices=list(map(str, DownsamplingMethod))
    )
    group.add_argument(
        "--buffer-s",
        type=float,
        metavar="S",
        help="how long a pause of the disk is survived; takes memory for that",
    )
    group.add_argument("--z-halving", choices=list(map(str, ZHalving)))
    group.add_argument(
        "--overwrite", action="store_true", help="replace a store that is there"
    )


def storage_properties(
    given: argparse.Namespace, device_kind: DeviceKind, **defaults: Any
) -> StorageProperties:
    """What was asked for, and our defaults for the rest."""
    kind = DeviceKind(given.device_kind or device_kind)
    asked = {
        "tile_width": given.tile_width,
        "tile_height": given.tile_height,
        "tile_planes": given.tile_planes,
        "frames_per_chunk": given.frames_per_chunk,
        "enable_multiscale": given.multiscale,
        "shard_chunks": given.shard_chunks,
        "downsampling_method": given.downsampling,
        "z_halving": given.z_halving,
        "buffer_s": given.buffer_s,
    }
    if given.max_chunk_mib is not None:
        asked["max_bytes_per_chunk"] = given.max_chunk_mib * 2**20
    said = {field: value for field, value in asked.items() if value is not None}
    properties = default_properties(given.out, kind, given.sharded)
    return replace(properties, **defaults | said, overwrite=given.overwrite)
