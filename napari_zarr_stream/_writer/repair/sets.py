"""A set of images: where they are, how far they go, and the end of its own record."""

from pathlib import Path
from typing import Any

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.frame_log import FRAME_LOG
from napari_zarr_stream._writer.logged import place_in_set, rows_of
from napari_zarr_stream._writer.ngff_image import Document
from napari_zarr_stream._writer.ome_xml import PLANE_COLUMNS, ome_xml
from napari_zarr_stream._writer.plate import Plate
from napari_zarr_stream._writer.record import (
    RECORD_KEY,
    FinishReason,
    RecordKey,
    is_left_open,
    now,
)
from napari_zarr_stream._writer.store import read_json

from .documents import Documents, group_key


class SetOfImages:
    """The root of a set: what its documents say.

    Attributes
    ----------
    images : list of Path
    is_plate : bool
    is_open : bool
        The record says that the writer never ended.
    """

    def __init__(self, root: Path, document: Document, record: dict[str, Any]) -> None:
        self.root = root
        self._document, self._record = document, record
        self.key = "zarr.json" if group_key(root) == "zarr.json" else ".zattrs"
        owner = document
        if self.key == "zarr.json":
            owner = document.get("attributes", {}).get("ome", {})
        self._plate = plate = owner.get("plate")
        self.is_plate = isinstance(plate, dict)
        self.is_open = is_left_open(record)
        if isinstance(plate, dict):
            self.images = _fields(root, plate)
        else:
            count = record.get(RecordKey.IMAGES)
            numbers = range(count if isinstance(count, int) else 0)
            folders = (root / str(number) for number in numbers)
            self.images = [folder for folder in folders if group_key(folder)]

    def steps(self) -> int | None:
        """Steps that all images are to have at the least; None where nothing says it.

        Readers want the fields of a plate to be of one shape, and no image empty.

        Raises
        ------
        InvalidStore
            The record of an image is none of this package.
        """
        if not (self.is_plate or self.is_open):
            return None
        most = max((Documents(image).committed() for image in self.images), default=0)
        return most if self.is_plate else min(most, 1)

    def ome_xml(self) -> bytes:
        """What OME-XML tells of the images, as they are now.

        Raises
        ------
        InvalidStore
            The documents of the set are none that are written here.
        """
        try:
            return self._ome_xml()
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidStore(f"{self.root} cannot be described: {error!r}") from error

    def _ome_xml(self) -> bytes:
        found = {}
        for image in self.images:
            documents = Documents(image)
            _, number = place_in_set(image, documents.part_of or {})
            found[number] = image.relative_to(self.root).as_posix(), documents
        rows = rows_of(self.root, PLANE_COLUMNS)
        described = [found[n][1].described(rows.get(n, ())) for n in sorted(found)]
        plate = None
        if isinstance(self._plate, dict):
            rows_there, columns = (
                tuple(str(entry["name"]) for entry in self._plate[side])
                for side in ("rows", "columns")
            )
            plate = Plate(str(self._plate.get("name", "")), rows_there, columns)
        return ome_xml(described, plate, [found[n][0] for n in sorted(found)])

    def ended(self, planes: int) -> Document:
        """The document of the root, with the end of its record."""
        self._record[RecordKey.END_TIME] = now()
        self._record[RecordKey.FINISH_REASON] = FinishReason.INTERRUPTED
        self._record[RecordKey.FRAMES_COMMITTED] = planes
        return self._document


def set_at(root: Path) -> SetOfImages | None:
    """The set whose root this is; None where it is none.

    Raises
    ------
    InvalidStore
        Its document cannot be read.
    """
    key = group_key(root)
    document = read_json(root / ("zarr.json" if key == "zarr.json" else ".zattrs"))
    attributes: Any = document or {}
    if key == "zarr.json":
        attributes = attributes.get("attributes")
    record = attributes.get(RECORD_KEY) if isinstance(attributes, dict) else None
    if document is None or not isinstance(record, dict):
        return None
    return SetOfImages(root, document, record) if RecordKey.IMAGES in record else None


def log_documents(root: Path) -> dict[str, Document]:
    """Documents of columns of the log of a set that tell of more rows than others do.

    A program that is killed has told of further planes in some of them.

    Raises
    ------
    InvalidStore
        A column is none that is written here.
    """
    name = "zarr.json" if group_key(root) == "zarr.json" else ".zarray"
    folder = root / FRAME_LOG
    keys = [f"{FRAME_LOG}/{at.name}/{name}" for at in folder.glob("[!.]*/")]
    found = {key: read_json(root / key) for key in keys}
    there = {key: column for key, column in found.items() if column}
    names = {key.split("/")[1] for key in there}
    try:
        rows = [int(column["shape"][0]) for column in there.values()]
        least = min(rows, default=0) if {"image", *"tcz"} <= names else 0
        return {
            key: column | {"shape": [least]}
            for (key, column), count in zip(there.items(), rows, strict=True)
            if count > least
        }
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InvalidStore(f"{folder} is no frame log of ours") from error


def _fields(root: Path, plate: Document) -> list[Path]:
    wells = plate.get("wells")
    fields: list[Path] = []
    for well in wells if isinstance(wells, list) else []:
        path = str(well.get("path")) if isinstance(well, dict) else ""
        row, _, column = path.partition("/")
        if not (row.isalnum() and column.isalnum()):
            raise InvalidStore(f"{root}: {path!r} is no well")
        folder = root / row / column
        if folder.is_dir() and not folder.is_symlink():
            names = sorted(e.name for e in system.entries(folder) if e.name.isalnum())
            fields += [folder / name for name in names if group_key(folder / name)]
    return fields
