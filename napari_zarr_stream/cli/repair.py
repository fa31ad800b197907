"""`repair`: what a program that was killed had written, brought back."""

import argparse
import sys
from pathlib import Path
from typing import NoReturn, Self

from tqdm import tqdm

from napari_zarr_stream._reading.contents import series_of
from napari_zarr_stream._reading.documents import Node, mapping, open_node
from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.ngff import BF2RAW
from napari_zarr_stream._writer.record import RECORD_KEY, RecordKey
from napari_zarr_stream._writer.repair import Progress, Report, repair_set

from .command import Command, local_store, plain, say
from .exit_codes import FRAMES_LOST, INTERRUPTED, REPAIRABLE


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store")
    parser.add_argument(
        "--check", action="store_true",
        help="only say what is wrong: exit code 0 if nothing, or if the store is being "
        "written; 3 if pixels are gone for good, 4 if `repair` has something to do",
    )  # fmt: skip


def _repair(given: argparse.Namespace) -> int:
    reports = []
    try:
        for image in _images_in(local_store(given.store)):
            with _Bars() as bars:
                for report in repair_set(image, bars.show, check=given.check):
                    reports.append(report)
                    print(plain(_report_text(report, done=not given.check)))
    except KeyboardInterrupt:
        # As safe as a kill, whatever it was doing.
        said = "nothing was changed" if given.check else "run it again to go on"
        say(f"interrupted, {said}")
        return INTERRUPTED
    if given.check and any(report.can_be_repaired for report in reports):
        return REPAIRABLE
    return FRAMES_LOST if any(report.has_losses for report in reports) else 0


class _Bars:
    """How far it is, on a terminal: a bar for each thing that is done."""

    def __init__(self) -> None:
        self._bar: tqdm[NoReturn] | None = None
        self._last: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, progress: Progress) -> None:
        """See `repair`: called after each step."""
        last, self._last = self._last, progress
        if last is None or last.what != progress.what or last.done >= progress.done:
            self.__exit__()
            self._bar = tqdm(
                desc=progress.what, total=progress.total, unit=f" {progress.unit}",
                file=sys.stderr, disable=None, leave=False,
            )  # fmt: skip
            last = None
        assert self._bar is not None
        self._bar.update(progress.done - (last.done if last else 0))


def _images_in(store: Path) -> list[Path]:
    """The images of a group of several, or the store itself."""
    try:
        node = open_node(store)
    except InvalidStore:
        return [store]  # damaged: repair says how
    is_series = node is not None and BF2RAW in node.ome and not _is_set(node)
    if node is None or not is_series:
        return [store]
    return [image for image in series_of(node) if isinstance(image, Path)]


def _is_set(node: Node) -> bool:
    """Whether a record of its own says which images belong together."""
    return RecordKey.IMAGES in mapping(node.attributes.get(RECORD_KEY))


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


REPAIR = Command(
    "repair",
    "bring back what a program that was killed had written",
    "Bring back what a program that was killed had written. Changes "
    "nothing in a healthy store; may be interrupted and run again.",
    _add_options,
    _repair,
)
