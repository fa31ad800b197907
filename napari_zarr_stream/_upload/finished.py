"""Whether a store may be brought away: it is written to its end, and whole."""

from collections.abc import Iterator
from pathlib import Path

from napari_zarr_stream._writer.errors import InvalidProperties, StoreInUse
from napari_zarr_stream._writer.lock import check_free
from napari_zarr_stream._writer.record import RECORD_KEY
from napari_zarr_stream._writer.repair import repair_set
from napari_zarr_stream._writer.repair.documents import group_key
from napari_zarr_stream._writer.store import read_json


def check_finished(root: Path) -> None:
    """Refuse a store that is being written, or that `repair` has something to do in.

    One of another program is taken as it is.

    Raises
    ------
    StoreInUse, InvalidProperties, InvalidStore
    """
    check_free(root)
    for image in images_of_ours(root):
        for report in repair_set(image, check=True):
            if report.holder is not None:
                raise StoreInUse(f"{report.path} is being written by {report.holder}")
            if report.can_be_repaired:
                raise InvalidProperties(
                    f"{root} was not written to its end: bring back what there is with "
                    f"`napari-zarr-stream repair {root}` first"
                )


def images_of_ours(root: Path) -> Iterator[Path]:
    """What in a store has a record of this package: itself, or its images."""
    if _is_ours(root):
        yield root
        return
    for folder in sorted(root.iterdir()) if group_key(root) else []:
        if folder.name.isdecimal() and group_key(folder) and _is_ours(folder):
            yield folder


def _is_ours(group: Path) -> bool:
    document = read_json(group / "zarr.json") or {}
    attributes = document.get("attributes") or read_json(group / ".zattrs")
    return isinstance(attributes, dict) and RECORD_KEY in attributes
