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
from napari_zarr_stream._upload.request import UploadRequest
from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.properties import DeviceKind
from napari_zarr_stream._writer.record import FinishReason
from napari_zarr_stream._writer.words import (
    count_in_words,
    duration_in_words,
    size_in_words,
)
from napari_zarr_stream.cameras.micromanager.core import microscope
from napari_zarr_stream.cameras.micromanager.simulated import simulated_microscope

from .command import Command, local_path, say
from .exit_codes import FRAMES_LOST, INTERRUPTED
from .storage import add_storage, storage_properties
from .upload import ADDRESS, KEYS, add_upload_options, asked_keys, finish_uploads

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
    parser.add_argument(
        "--upload-to", default="", metavar="ADDRESS",
        help=f"bring the store there while the run goes on: {ADDRESS}",
    )  # fmt: skip
    add_upload_options(parser)
    parser.epilog = KEYS
    add_storage(parser)


def _acquire(given: argparse.Namespace) -> int:
    properties = storage_properties(given, DeviceKind.ZARR_V3_LZ4)
    sequence = load_sequence(local_path(given.sequence))
    if given.delete_local and not given.upload_to:
        raise InvalidProperties("--delete-local without --upload-to: nothing was kept")
    request = UploadRequest(
        given.upload_to,
        given.upload_endpoint or "",
        bool(given.delete_local),
        asked_keys(given),
    )
    acquisition = Acquisition(properties, notes=given.notes, upload_to=request)
    cores: AbstractContextManager[Any] = (
        simulated_microscope() if given.config is None else microscope(given.config)
    )
    with (
        cores as core,
        Interrupt() as interrupt,
        tqdm(total=None, unit=" planes", file=sys.stderr, disable=None) as bar,
    ):

        def show(*_: object) -> None:
            if interrupt.count:  # not by the signal, which may come within the runner
                core.mda.cancel()
            status = acquisition.status()
            bar.total = status.planned
            said: dict[str, Any] = {
                "committed": status.committed,
                "missing": status.missing,
            }
            if status.uploaded is not None:
                said["uploaded"] = status.uploaded
            if status.next_event_s is not None:
                said["next"] = duration_in_words(status.next_event_s)
            bar.set_postfix(said, refresh=False)
            bar.update(status.acquired - bar.n)

        run_recorded(core, sequence, acquisition, show)
    status = acquisition.status()
    print(_summary(status))
    uploader = acquisition.upload and acquisition.upload.uploader
    uploaded = finish_uploads([uploader], [status.path]) if uploader else 0
    if interrupt.count:
        return INTERRUPTED
    if status.missing:
        say(
            f"{count_in_words(status.missing, 'plane')} of {status.planned:,} did not "
            f"come: {status.missing_planes}"
        )
        return FRAMES_LOST
    return uploaded


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
