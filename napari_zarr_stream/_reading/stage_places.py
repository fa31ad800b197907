"""Where a stage had each of several images, by whatever a store says of it.

x of a stage goes to the right and y upwards, as Micro-Manager and useq have it. Where
OME-NGFF itself places images, y goes downwards.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.parsers import expat

from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.ome_xml import OME_XML
from napari_zarr_stream._writer.record import RECORD_KEY, RecordKey

from .documents import Node, mapping, number
from .location import Location, Within

Corner = tuple[float, float]
"""y and x of the first pixel, downwards and to the right, in pixels of level 0."""

MAX_XML_BYTES = 2**26
"""Of OME-XML that is read: some 300,000 planes."""

_UM_PER = {
    "µm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6,
    "micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "centimeter": 1e4,
    "meter": 1e6,
}  # fmt: skip


def in_pixels(translation: Sequence[float], scale: Sequence[float]) -> Corner:
    """Where OME-NGFF places an image; y and x are the last."""
    y, x = (at / size for at, size in zip(translation[-2:], scale[-2:], strict=True))
    return y, x


def stage_corners(
    nodes: Sequence[Node],
    told: Mapping[int, Corner],
    numbers: Sequence[int],
    scale: Sequence[float],
    units: Sequence[str | None],
) -> list[Corner] | None:
    """Where a stage had images; None where that is not said of all, or is one place.

    Parameters
    ----------
    nodes : sequence of Node
    told : mapping of int to (float, float)
        As of `ome_xml_places`.
    numbers : sequence of int
        Which of those they are.
    scale, units : sequence
        Of y and x.
    """
    um = [
        size * _UM_PER.get(unit or "", 0.0)
        for size, unit in zip(scale, units, strict=True)
    ]
    if not all(um):
        return None
    places = [
        _of_record(node) or told.get(n) for node, n in zip(nodes, numbers, strict=True)
    ]
    known = [place for place in places if place is not None]
    if len(known) < len(places) or len(set(known)) < 2:
        return None
    return [(-y / um[0], x / um[1]) for x, y in known]


def _of_record(node: Node) -> Corner | None:
    """X and y of the stage in micrometers, as an acquisition records them."""
    record = mapping(node.attributes.get(RECORD_KEY))
    position = mapping(record.get(RecordKey.POSITION))
    x, y = number(position.get("x_um")), number(position.get("y_um"))
    return None if x is None or y is None else (x, y)


def ome_xml_places(root: Location) -> dict[int, Corner]:
    """X and y of the stage in micrometers, of each image whose first plane tells it.

    What is damaged there says nothing of pixels: it is as if it were not there.
    """
    found: dict[int, Corner] = {}
    image = -1

    def begin(name: str, attributes: dict[str, Any]) -> None:
        nonlocal image
        tag = name.rpartition(":")[2]
        image += tag == "Image"
        keys = {"Plane": ("PositionX", "PositionY"), "StageLabel": ("X", "Y")}.get(tag)
        if keys is None or image in found:
            return
        x, y = (
            # "reference frame" is what many write who mean micrometers.
            (at, _UM_PER.get(attributes.get(f"{key}Unit", ""), 1.0))
            for key in keys
            for at in [number(attributes.get(key))]
        )
        if x[0] is not None and y[0] is not None:
            found[image] = x[0] * x[1], y[0] * y[1]

    path = root / OME_XML
    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    try:
        if isinstance(path, Within):
            text = path.tree.files.read(path.key, slice(None), MAX_XML_BYTES) or b""
            parser.Parse(text, True)
        elif path.stat().st_size <= MAX_XML_BYTES:
            parser.Parse(path.read_bytes(), True)
    except (OSError, InvalidStore, expat.ExpatError):
        return {}
    return found
