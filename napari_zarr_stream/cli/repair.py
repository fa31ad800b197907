"""`repair`: what a program that was killed had written, brought back."""

import argparse
from pathlib import Path

from napari_zarr_stream._reading.contents import series_of
from napari_zarr_stream._reading.documents import open_node
from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.ngff import BF2RAW
from napari_zarr_stream._writer.repair import Report, examine, repair

from .command import FRAMES_LOST, REPAIRABLE, Command, plain


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", type=Path)
    parser.add_argument(
        "--check", action="store_true",
        help="only say what is wrong: exit code 0 if nothing, or if the store is being "
        "written; 3 if pixels are gone for good, 4 if `repair` has something to do",
    )  # fmt: skip


def _repair(given: argparse.Namespace) -> int:
    act = examine if given.check else repair
    reports = []
    for image in _images_in(given.store):
        reports.append(act(image))
        print(plain(_report_text(reports[-1], done=not given.check)))
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


REPAIR = Command(
    "repair",
    "bring back what a program that was killed had written",
    "Bring back what a program that was killed had written. Changes "
    "nothing in a healthy store; may be interrupted and run again.",
    _add_options,
    _repair,
)
