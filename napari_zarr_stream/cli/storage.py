"""The options that say how a store is to be laid out, as `StorageProperties`."""

import argparse

from napari_zarr_stream._saving.script import PROPERTY_OF, stored_as
from napari_zarr_stream._writer.properties import (
    NGFF_VERSIONS,
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
    group.add_argument("--z-halving", choices=list(map(str, ZHalving)))
    group.add_argument(
        "--codec-level", type=int, metavar="N", help="1 (fast) to 9 (small)"
    )
    group.add_argument(
        "--ngff-version",
        choices=sorted({each for fit in NGFF_VERSIONS.values() for each in fit}),
        help="of OME-NGFF; 0.6 with Zarr v3, which few programs read yet",
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace a store that is there"
    )


def storage_properties(
    given: argparse.Namespace, device_kind: DeviceKind
) -> StorageProperties:
    """What was asked for, and our defaults for the rest."""
    words = {word: getattr(given, word, None) for word in PROPERTY_OF}
    said = {word: value for word, value in words.items() if value is not None}
    return stored_as(given.out, given.device_kind or device_kind, given.sharded, **said)
