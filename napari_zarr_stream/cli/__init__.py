"""The command line: napari-zarr-stream record | export | info | repair."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from napari_zarr_stream._reading.contents import series_of
from napari_zarr_stream._reading.documents import open_node
from napari_zarr_stream._reading.info import facts_of, text_of
from napari_zarr_stream._recording.counts import amiss_in_words
from napari_zarr_stream._recording.disk import RESERVE_BYTES
from napari_zarr_stream._recording.interrupt import Interrupt
from napari_zarr_stream._recording.recording import FinishReason, RecordingStatus
from napari_zarr_stream._recording.together import Recordings
from napari_zarr_stream._saving.export import default_properties, export_layers
from napari_zarr_stream._sources.source import CameraSource
from napari_zarr_stream._writer.errors import (
    InvalidProperties,
    InvalidStore,
    ZarrStreamError,
)
from napari_zarr_stream._writer.names import image_name
from napari_zarr_stream._writer.ngff import BF2RAW
from napari_zarr_stream._writer.properties import (
    DeviceKind,
    DownsamplingMethod,
    StorageProperties,
)
from napari_zarr_stream._writer.repair import Report, examine, repair
from napari_zarr_stream.cameras import (
    Camera,
    CameraError,
    CameraThread,
    Setting,
    SettingValue,
    find_cameras,
)

from .files import layer_sources

FAILED, REFUSED, FRAMES_LOST, REPAIRABLE, INTERRUPTED = 1, 2, 3, 4, 130

POLL_S = 0.1
"""How often the progress bar is renewed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        code: int = given.run(given)
    except ZarrStreamError as error:
        # One line, whatever a library put into its message.
        print("napari-zarr-stream:", *_plain(str(error)).split(), file=sys.stderr)
        return REFUSED if isinstance(error, InvalidProperties) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="napari-zarr-stream",
        description="Record cameras and images into chunked, multiscale OME-Zarr.",
        epilog="Exit codes: 0 all is well, 1 it failed, 2 cannot be done as asked, "
        "3 frames were lost, 4 the store can be repaired, 130 interrupted before the "
        "end.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    record = commands.add_parser(
        "record",
        help="record a camera, or several together",
        description="Record a camera, or several together. Ctrl-C stops and keeps all "
        "frames; a second Ctrl-C drops those not yet written.",
    )
    record.add_argument("out", type=Path, nargs="?", help="the store to be made")
    record.add_argument(
        "--camera", action="append", metavar="NAME", dest="cameras",
        help="its name, or enough of it to be clear; may be repeated: cameras start "
        "and stop together and become images 0, 1, ... of one store",
    )  # fmt: skip
    record.add_argument(
        "--list-cameras", action="store_true", help="show cameras and their settings"
    )
    record.add_argument(
        "--set", action="append", default=[], metavar="[N:]NAME=VALUE",
        dest="settings",
        help="a setting of the camera; may be repeated. With several cameras it is for "
        "all of them, or for the Nth as in 2:exposure_ms=5",
    )  # fmt: skip
    record.add_argument(
        "--frames",
        type=int,
        default=0,
        metavar="N",
        help="0: until Ctrl-C (default)",
    )
    record.add_argument(
        "--pixel-size-um",
        type=float,
        metavar="UM",
        help="of the sample, in micrometres",
    )
    record.add_argument(
        "--reserve-mib",
        type=int,
        default=RESERVE_BYTES // 2**20,
        metavar="MIB",
        help="stop when no more than this is free on the disk (default 1024)",
    )
    _add_storage(record)
    record.set_defaults(run=_record)

    export = commands.add_parser(
        "export", help="write an image file as OME-Zarr",
        description="Write any file that an installed napari reader opens as OME-Zarr. "
        "Several images become channels, labels go with them.",
    )  # fmt: skip
    export.add_argument("file", type=Path, help="an image file or a store")
    export.add_argument("out", type=Path, help="the store to be made")
    export.add_argument(
        "--layer", action="append", default=[], metavar="NAME",
        help="only this layer, by name or number from 0; may be repeated",
    )  # fmt: skip
    export.add_argument(
        "--axes",
        help="what the axes of the file are, as in tzyx; guessed if absent",
    )
    export.add_argument("--plugin", help="the napari plugin to read with")
    _add_storage(export)
    export.set_defaults(run=_export)

    info = commands.add_parser("info", help="what a store holds")
    info.add_argument("store", type=Path)
    info.add_argument("--json", action="store_true", help="for programs")
    info.set_defaults(run=_info)

    repairing = commands.add_parser(
        "repair", help="bring back what a program that was killed had written",
        description="Bring back what a program that was killed had written. Changes "
        "nothing in a healthy store; may be interrupted and run again.",
    )  # fmt: skip
    repairing.add_argument("store", type=Path)
    repairing.add_argument(
        "--check", action="store_true",
        help="only say what is wrong: exit code 0 if nothing, or if the store is being "
        "written; 3 if pixels are gone for good, 4 if `repair` has something to do",
    )  # fmt: skip
    repairing.set_defaults(run=_repair)
    return parser


def _add_storage(parser: argparse.ArgumentParser) -> None:
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
    group.add_argument("--downsampling", choices=list(map(str, DownsamplingMethod)))
    group.add_argument(
        "--overwrite", action="store_true", help="replace a store that is there"
    )


def _properties(
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
    }
    if given.max_chunk_mib is not None:
        asked["max_bytes_per_chunk"] = given.max_chunk_mib * 2**20
    said = {field: value for field, value in asked.items() if value is not None}
    properties = default_properties(given.out, kind, given.sharded)
    return replace(properties, **defaults | said, overwrite=given.overwrite)


def _record(given: argparse.Namespace) -> int:
    if given.list_cameras:
        return _list_cameras()
    if given.out is None:
        raise InvalidProperties("record needs the store to be made: record OUT")
    # What the widget has as its defaults.
    properties = _properties(given, DeviceKind.ZARR_V3_LZ4, max_bytes_per_chunk=0)
    if given.frames < 0:
        raise InvalidProperties(f"--frames must be 0 or more, not {given.frames}")
    with ExitStack() as opened:
        cameras = []
        for make, name in map(_make, given.cameras or [None]):
            cameras.append(opened.enter_context(closing(CameraThread(make, name))))
        for number, camera in enumerate(cameras, 1):
            mine = _settings_of(number, len(cameras), given.settings)
            camera.call(partial(_prepare, settings=mine))
        image = image_name(properties.path)
        sources = [
            CameraSource(
                camera,
                image if len(cameras) == 1 else camera.name,
                given.frames,
                given.pixel_size_um,
            )
            for camera in cameras
        ]
        if len(sources) == 1:
            recordings = Recordings(sources, [properties])
        else:
            recordings = Recordings.in_one_store(sources, properties)
        for recording in recordings.recordings:
            recording.reserve_bytes = given.reserve_mib * 2**20
        with Interrupt(recordings.stop, recordings.abort) as interrupt:
            recordings.start()
            if interrupt.count:  # before there was anything to stop
                recordings.stop()
            try:
                _follow(recordings, given.frames)
            finally:
                statuses = recordings.status()
                failed = [status for status in statuses if status.error]
                if len(statuses) > 1 or not failed:
                    for status in statuses:
                        print(_summary(status))
    if interrupt.count > 1 or (interrupt.count and given.frames):
        return INTERRUPTED
    if reasons := {status.stop_reason for status in statuses if status.stop_reason}:
        print("napari-zarr-stream: stopped,", *sorted(reasons), file=sys.stderr)
        return FAILED
    if lost := sum(status.frames_lost or 0 for status in statuses):
        print(
            f"napari-zarr-stream: {lost} frames were lost; a smaller "
            "frame, a lower frame rate, lz4 or a faster disk helps",
            file=sys.stderr,
        )
        return FRAMES_LOST
    return 0


def _prepare(camera: Camera, settings: Sequence[str]) -> None:
    """Open a camera and set it."""
    camera.open()
    # An address comes first: nothing else can be set before it.
    for setting in sorted(settings, key=_is_no_address):
        _set(camera, setting)


def _settings_of(number: int, cameras: int, settings: Sequence[str]) -> list[str]:
    """What of `--set` is meant for camera number 1, 2, ..."""
    mine = []
    for setting in settings:
        which, colon, assignment = setting.partition(":")
        if not (colon and which.isdecimal()):
            mine.append(setting)
        elif not 1 <= int(which) <= cameras:
            raise InvalidProperties(
                f"--set {setting}: there is no camera {which}, they are numbered 1 to "
                f"{cameras}"
            )
        elif int(which) == number:
            mine.append(assignment)
    return mine


def _follow(recordings: Recordings, frames: int) -> None:
    """Show progress until the end; raises the failure of a recording."""
    total = frames * len(recordings.recordings)
    with tqdm(
        total=total or None, unit=" frames", file=sys.stderr, disable=None
    ) as bar:
        ended = False
        while not ended:
            try:
                ended = recordings.wait(POLL_S)
            finally:
                statuses = recordings.status()
                losses = [status.frames_lost for status in statuses]
                known = [loss for loss in losses if loss is not None]
                lost = sum(known) if len(known) == len(losses) else "?"
                committed = sum(status.frames_committed for status in statuses)
                bar.set_postfix(committed=committed, lost=lost, refresh=False)
                bar.update(sum(status.frames_acquired for status in statuses) - bar.n)


def _summary(status: RecordingStatus) -> str:
    lost = "unknown" if status.frames_lost is None else status.frames_lost
    reason = (status.finish_reason or FinishReason.FAILED).value
    amiss = "".join(f", {what}" for what in amiss_in_words(status))
    return (
        f"{status.path}: {reason}, {status.frames_acquired} frames acquired, "
        f"{status.frames_committed} committed, lost {lost}{amiss}; "
        f"{status.bytes_written / 1e6:.1f} MB in {status.elapsed_s:.1f} s"
    )


def _make(wanted: str | None) -> tuple[Callable[[], Camera], str]:
    """What makes the camera that is meant, and its name."""
    found = find_cameras()
    names = list(found.cameras)
    if wanted is None and len(names) == 1:
        return found.cameras[names[0]], names[0]
    exact = [name for name in names if name.lower() == (wanted or "").lower()]
    alike = [name for name in names if wanted and wanted.lower() in name.lower()]
    for chosen in (exact, alike):
        if len(chosen) == 1:
            return found.cameras[chosen[0]], chosen[0]
    problem = (
        f"no single camera is meant by {wanted!r}" if wanted else "choose a --camera"
    )
    there = ", ".join(names) or "none"
    failed = "".join(f"; {title} failed: {why}" for title, why in found.failed.items())
    raise InvalidProperties(f"{problem}: there are {there}{failed}")


def _list_cameras() -> int:
    found = find_cameras()
    for name, make in found.cameras.items():
        print(name)
        with closing(make()) as camera:
            try:
                camera.open()
                for setting in camera.settings:
                    print(f"    {_described(setting)}")
            except CameraError as error:
                print("   ", *str(error).split())
    for title, command in found.missing.items():
        print(f"{title}: not installed; {command}")
    for title, why in found.failed.items():
        print(f"{title}: failed;", *why.split(), file=sys.stderr)
    return 0


def _described(setting: Setting) -> str:
    allowed = ", ".join(setting.choices)
    if setting.minimum is not None or setting.maximum is not None:
        low = "" if setting.minimum is None else f"{setting.minimum:g} "
        high = "" if setting.maximum is None else f" {setting.maximum:g}"
        allowed = f"{low}to{high}" if high else f"{low}or more"
    unit = f" {setting.unit}" if setting.unit else ""
    of = f"  ({allowed})" if allowed else ""
    return f"{setting.name} = {setting.value}{unit}{of}"


def _is_no_address(assignment: str) -> bool:
    return not assignment.startswith("address=")


def _set(camera: Camera, assignment: str) -> None:
    name, equals, text = assignment.partition("=")
    settings = {setting.name: setting for setting in camera.settings}
    if not equals or name not in settings:
        raise InvalidProperties(
            f"--set {assignment}: settings are NAME=VALUE, with {', '.join(settings)}"
        )
    value: SettingValue = text
    if isinstance(settings[name].value, bool):
        value = text.lower() in ("1", "true", "yes", "on")
    try:
        in_force = camera.set(name, value)
    except ZarrStreamError as error:
        raise InvalidProperties(f"--set {assignment}: {error}") from error
    if str(in_force) not in (text, str(value)) and not _same_number(in_force, text):
        print(f"{name} is {in_force} instead of {text}", file=sys.stderr)


def _same_number(value: SettingValue, text: str) -> bool:
    try:
        return float(value) == float(text)
    except ValueError:
        return False


def _export(given: argparse.Namespace) -> int:
    properties = _properties(given, DeviceKind.ZARR_V3_ZSTD)
    sources = layer_sources(given.file, given.layer, given.axes, given.plugin)
    with (
        Interrupt() as interrupt,
        tqdm(total=None, unit=" planes", file=sys.stderr, disable=None) as bar,
    ):

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        whole = export_layers(
            sources, properties, progress, should_stop=lambda: interrupt.count > 0
        )
    if not whole:
        print("napari-zarr-stream: interrupted, nothing was written", file=sys.stderr)
        return INTERRUPTED
    planes = sum(source.planes for source in sources)
    names = ", ".join(source.name for source in sources)
    print(f"{properties.path}: {planes} planes of {names}")
    return 0


def _plain(text: str) -> str:
    """Without what steers a terminal or cannot be printed: names may be anything."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def _info(given: argparse.Namespace) -> int:
    facts = facts_of(given.store)
    print(json.dumps(facts, indent=2) if given.json else _plain(text_of(facts)))
    return 0


def _repair(given: argparse.Namespace) -> int:
    act = examine if given.check else repair
    reports = []
    for image in _images_in(given.store):
        reports.append(act(image))
        print(_plain(_report_text(reports[-1], done=not given.check)))
    if given.check and any(report.can_be_repaired for report in reports):
        return REPAIRABLE
    return FRAMES_LOST if any(report.has_losses for report in reports) else 0


def _images_in(store: Path) -> list[Path]:
    """The images of a group of several, or the store itself."""
    try:
        node = open_node(store)
    except InvalidStore:
        return [store]  # damaged: repair says how
    is_series = node is not None and BF2RAW in node.ome
    return series_of(node) if node is not None and is_series else [store]


def _report_text(report: Report, done: bool) -> str:
    if report.holder is not None:
        return f"{report.path}: being written by {report.holder}"
    if not report.can_be_repaired:
        verdict = "pixels are gone for good" if report.has_losses else "healthy"
    else:
        verdict = "repaired" if done else "can be repaired"
    frames = f"{report.planes_before} planes"
    if report.planes_before != report.planes_after:
        frames += f", {report.planes_after} {'now' if done else 'after repair'}"
    lines = [f"{report.path}: {verdict}, {frames}", *map(str, report.findings)]
    return "\n  ".join(lines)
