"""`acquire`: a sequence of Micro-Manager into a store: times, channels, z, places."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from napari_zarr_stream._acquisition.acquisition import Acquisition
from napari_zarr_stream._acquisition.engine import run_recorded
from napari_zarr_stream._acquisition.layout import load_sequence
from napari_zarr_stream._acquisition.states import AcquisitionStatus
from napari_zarr_stream._recording.interrupt import Interrupt
from napari_zarr_stream._writer.properties import DeviceKind
from napari_zarr_stream._writer.record import FinishReason
from napari_zarr_stream._writer.words import (
    count_in_words,
    duration_in_words,
    size_in_words,
)
from napari_zarr_stream.cameras.micromanager.core import microscope
from napari_zarr_stream.cameras.micromanager.simulated import simulated_microscope

from .command import FRAMES_LOST, INTERRUPTED, Command, local_path, say
from .storage import add_storage, storage_properties

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sequence", help="of useq, as .yaml or .json")
    parser.add_argument("out", help="the store to be made")
    parser.add_argument(
        "--config", metavar="FILE",
        help="the configuration of Micro-Manager; a simulated microscope without it",
    )  # fmt: skip
    parser.add_argument("--notes", default="", metavar="TEXT", help="for the record")
    add_storage(parser)


def _acquire(given: argparse.Namespace) -> int:
    properties = storage_properties(given, DeviceKind.ZARR_V3_LZ4)
    sequence = load_sequence(local_path(given.sequence))
    acquisition = Acquisition(properties, notes=given.notes)
    cores: AbstractContextManager[Any] = (
        simulated_microscope() if given.config is None else microscope(given.config)
    )
    with (
        cores as core,
        Interrupt(core.mda.cancel) as interrupt,
        tqdm(total=None, unit=" planes", file=sys.stderr, disable=None) as bar,
    ):

        def show(*_: object) -> None:
            status = acquisition.status()
            bar.total = status.planned
            said: dict[str, Any] = {
                "committed": status.committed,
                "missing": status.missing,
            }
            if status.next_event_s is not None:
                said["next"] = duration_in_words(status.next_event_s)
            bar.set_postfix(said, refresh=False)
            bar.update(status.acquired - bar.n)

        run_recorded(core, sequence, acquisition, show)
    status = acquisition.status()
    print(_summary(status))
    if interrupt.count:
        return INTERRUPTED
    if status.missing:
        say(
            f"{count_in_words(status.missing, 'plane')} of {status.planned:,} did not "
            f"come: {status.missing_planes}"
        )
        return FRAMES_LOST
    return 0


def _summary(status: AcquisitionStatus) -> str:
    reason = status.finish_reason or FinishReason.FAILED
    return (
        f"{status.path}: {reason}, {status.acquired:,} of "
        f"{count_in_words(status.planned, 'plane')}; "
        f"{size_in_words(status.bytes_written)} in {status.elapsed_s:.1f} s"
    )


ACQUIRE = Command(
    "acquire",
    "run a sequence of Micro-Manager",
    "Run a sequence of Micro-Manager: times, channels, z, positions, plates. Ctrl-C "
    "cancels it and keeps all planes.",
    _add_options,
    _acquire,
)
