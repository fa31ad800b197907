"""`export`: any file that a napari reader opens, as OME-Zarr."""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from napari_zarr_stream._recording.interrupt import Interrupt
from napari_zarr_stream._saving.export import export_layers
from napari_zarr_stream._saving.packing import is_store, pack
from napari_zarr_stream._saving.place import check_outside_of_stores
from napari_zarr_stream._saving.script import PROPERTY_OF
from napari_zarr_stream._writer.ozx import is_ozx
from napari_zarr_stream._writer.properties import DeviceKind

from .command import Command, local_path, say
from .exit_codes import INTERRUPTED
from .files import layer_sources
from .storage import add_storage, storage_properties


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="an image file or a store")
    parser.add_argument(
        "out",
        help="the store to be made; in one file where its name ends in .ozx",
    )
    parser.add_argument(
        "--layer", action="append", default=[], metavar="NAME",
        help="only this layer, by name or number from 0; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--axes",
        help="what the axes of the file are, as in tzyx; guessed if absent",
    )
    parser.add_argument("--plugin", help="the napari plugin to read with")
    parser.add_argument(
        "--first-level", type=int, default=0, metavar="N",
        help="of a pyramid: the level to begin with, counted from 0",
    )  # fmt: skip
    parser.add_argument(
        "--verify", action=argparse.BooleanOptionalAction, default=True,
        help="read every plane back and compare it (on unless --no-verify)",
    )  # fmt: skip
    parser.add_argument(
        "--resume", action="store_true",
        help="go on where an export of the same that was killed ended; what is there "
        "and right is not written again",
    )  # fmt: skip
    parser.add_argument(
        "--scheduler", default="", metavar="ADDRESS",
        help="have a cluster of dask write it, as in tcp://host:8786; its workers see "
        "both folders (extra cluster)",
    )  # fmt: skip
    add_storage(parser)


def _pack(given: argparse.Namespace, store: Path) -> int:
    """Put a store into one file as it is."""
    out = local_path(given.out)
    check_outside_of_stores(out)
    with Interrupt() as interrupt:
        if not pack(store, out, given.overwrite, lambda: interrupt.count > 0):
            say("interrupted, nothing was written")
            return INTERRUPTED
    print(f"{out}: {store} as it is")
    return 0


_DECODES = {
    "layer",
    "axes",
    "plugin",
    "first_level",
    "resume",
    "scheduler",
    *PROPERTY_OF,
} - {"overwrite"}
"""Options that ask for other pixels or another layout than a store has."""


def _export(given: argparse.Namespace) -> int:
    if is_ozx(given.out) and not any(getattr(given, word, None) for word in _DECODES):
        store = local_path(given.file)
        if given.device_kind is None and given.sharded is None and is_store(store):
            return _pack(given, store)
    properties = storage_properties(given, DeviceKind.ZARR_V3_ZSTD)
    check_outside_of_stores(properties.path)
    sources = layer_sources(
        local_path(given.file),
        given.layer,
        given.axes,
        given.plugin,
        say,
        given.first_level,
    )
    with (
        Interrupt() as interrupt,
        tqdm(total=None, unit=" planes", file=sys.stderr, disable=None) as bar,
    ):

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        whole = export_layers(
            sources,
            properties,
            progress,
            should_stop=lambda: interrupt.count > 0,
            tell=say,
            verify=given.verify,
            resume=given.resume,
            scheduler=given.scheduler,
        )
    if not whole:
        say("interrupted, nothing was written")
        return INTERRUPTED
    planes = sum(source.planes for source in sources)
    names = ", ".join(source.name for source in sources)
    print(f"{properties.path}: {planes} planes of {names}")
    return 0


EXPORT = Command(
    "export",
    "write an image file as OME-Zarr",
    "Write any file that an installed napari reader opens as OME-Zarr. "
    "Several images become channels, labels go with them.",
    _add_options,
    _export,
)
