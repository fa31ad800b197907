"""OME-XML that names the images of a group, with what is known of their planes.

http://www.openmicroscopy.org/Schemas/OME/2016-06: some readers look for it.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from xml.sax.saxutils import quoteattr

from .axes import AXIS_TYPES
from .errors import InvalidProperties
from .plan import Plan
from .plate import Plate, wells_of
from .properties import Channel

OME_XML = "OME/METADATA.ome.xml"
"""Where it lies in a store."""

MAX_PLANES = 100_000
"""That are described: 20 MB. What is known of more is in the frame log only."""

PLANE_COLUMNS = ("time_ns", "runner_time_ms", "exposure_ms", "x_um", "y_um", "z_um")
"""Columns of a frame log that OME-XML has a word for."""

_OME_TYPES = {
    "bool": "bit", "float32": "float", "float64": "double",
    **{name: name for name in ("int8", "int16", "int32", "uint8", "uint16", "uint32")},
}  # fmt: skip

_LENGTHS = {
    "angstrom": "Å", "picometer": "pm", "nanometer": "nm", "micrometer": "µm",
    "millimeter": "mm", "centimeter": "cm", "meter": "m",
}  # fmt: skip

_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML 1.0 has no place for, section 2.2."""

Row = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class OmeImage:
    """What OME-XML tells of an image.

    Attributes
    ----------
    name : str
    plan : Plan
    steps : int
        Along the first axis, that are there. OME-XML has no image without any, so one
        that has none yet is said to have one.
    channels : sequence of Channel
        As many as there are, or none.
    scale, units : sequence, one for each axis
        As `ZarrStream`; or none.
    planes : sequence of mapping
        Of each plane that is there its t, c and z, and some of `PLANE_COLUMNS`.
    """

    name: str
    plan: Plan
    steps: int
    channels: Sequence[Channel] = ()
    scale: Sequence[float] = ()
    units: Sequence[str | None] = ()
    planes: Sequence[Row] = field(default=())


def ome_xml(
    images: Sequence[OmeImage], plate: Plate | None = None, paths: Sequence[str] = ()
) -> bytes:
    """OME-XML that names the images of a group, fields of a plate at their paths.

    Raises
    ------
    InvalidProperties
        A dtype that OME-XML does not know.
    """
    said = sum(len(image.planes) for image in images) <= MAX_PLANES
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">',
    ]
    if plate:
        lines += _plate(plate, paths)
    begins = min(
        (
            row["time_ns"]
            for image in images
            for row in image.planes
            if "time_ns" in row
        ),
        default=0,
    )
    for number, image in enumerate(images):
        lines += _image(number, image, begins if said else None)
    return "\n".join([*lines, "</OME>", ""]).encode()


def _plate(plate: Plate, paths: Sequence[str]) -> Iterator[str]:
    yield _tag("Plate", ID="Plate:0", Name=plate.name, Rows=len(plate.rows),
               Columns=len(plate.columns))  # fmt: skip
    for number, (well, fields) in enumerate(wells_of(paths).items()):
        row, column = well.split("/")
        yield _tag("Well", ID=f"Well:0:{number}", Row=plate.rows.index(row),
                   Column=plate.columns.index(column))  # fmt: skip
        for at, name in enumerate(fields):
            image = paths.index(f"{well}/{name}")
            yield _tag("WellSample", ID=f"WellSample:0:{number}:{at}", Index=image)
            yield f'<ImageRef ID="Image:{image}"/></WellSample>'
        yield "</Well>"
    yield "</Plate>"


def _image(number: int, image: OmeImage, begins_ns: float | None) -> Iterator[str]:
    plan = image.plan
    if plan.dtype.name not in _OME_TYPES:
        raise InvalidProperties(f"OME-XML has no pixels of type {plan.dtype}")
    shape = plan.level_shape_after(0, max(1, image.steps))
    sizes = dict.fromkeys(AXIS_TYPES, 1) | dict(zip(plan.axes, shape, strict=True))
    pixels: dict[str, object] = {
        "ID": f"Pixels:{number}",
        "DimensionOrder": "XYZCT",
        "Type": _OME_TYPES[plan.dtype.name],
    }
    pixels |= {f"Size{axis.upper()}": sizes[axis] for axis in "xyzct"}
    for axis, scale, unit in zip(plan.axes, image.scale, image.units, strict=False):
        if unit in _LENGTHS and scale > 0:
            pixels[f"PhysicalSize{axis.upper()}"] = f"{scale:.9g}"
            pixels[f"PhysicalSize{axis.upper()}Unit"] = _LENGTHS[unit]
    yield _tag("Image", ID=f"Image:{number}", Name=image.name)
    yield _tag("Pixels", **pixels)
    for at, channel in enumerate(image.channels[: sizes["c"]]):
        color = int(channel.color + "ff", 16)  # RGBA, and a signed number
        yield _tag("Channel", "/", ID=f"Channel:{number}:{at}", Name=channel.name,
                   SamplesPerPixel=1, Color=(color ^ 2**31) - 2**31)  # fmt: skip
    yield "<MetadataOnly/>"
    if begins_ns is not None:
        there = (r for r in image.planes if all(r[a] < sizes[a] for a in "tcz"))
        # They come as they were committed, and that is nearly in order.
        yield from _planes(sorted(there, key=itemgetter("t", "c", "z")), begins_ns)
    yield "</Pixels>"
    yield "</Image>"


def _planes(rows: Iterable[Row], begins_ns: float) -> Iterator[str]:
    for row in rows:
        known: dict[str, object] = {f"The{a.upper()}": int(row[a]) for a in "zct"}
        elapsed_s = row.get("runner_time_ms", math.nan) / 1e3
        if math.isnan(elapsed_s):
            elapsed_s = (row.get("time_ns", math.nan) - begins_ns) / 1e9
        found = {"DeltaT": (elapsed_s, "s")}
        found["ExposureTime"] = row.get("exposure_ms", math.nan), "ms"
        for axis in "xyz":
            found[f"Position{axis.upper()}"] = row.get(f"{axis}_um", math.nan), "µm"
        for name, (value, unit) in found.items():
            if math.isfinite(value):
                known[name] = f"{value:.9g}"
                known[f"{name}Unit"] = unit
        yield _tag("Plane", "/", **known)


def _tag(name: str, end: str = "", /, **attributes: object) -> str:
    said = "".join(
        f" {key}={quoteattr(_NO_XML.sub('?', str(value)))}"
        for key, value in attributes.items()
    )
    return f"<{name}{said}{end}>"
