"""OME-XML that names the images of a group: some readers look for it."""

from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

from .axes import AXIS_TYPES
from .errors import InvalidProperties
from .plan import Plan

OME_XML = "OME/METADATA.ome.xml"
"""Where it lies in a store."""

_OME_TYPES = {
    "bool": "bit", "float32": "float", "float64": "double",
    **{name: name for name in ("int8", "int16", "int32", "uint8", "uint16", "uint32")},
}  # fmt: skip


def ome_xml(images: Sequence[tuple[str, Plan, int]]) -> bytes:
    """OME-XML that names the images of a group: some readers look for it.

    Parameters
    ----------
    images : sequence of (name, plan, steps)
        Steps along the first axis that are there. OME-XML has no image without any, so
        one that has none yet is said to have one.

    Raises
    ------
    InvalidProperties
        A dtype that OME-XML does not know.
    """
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">',
    ]
    for number, (name, plan, steps) in enumerate(images):
        if plan.dtype.name not in _OME_TYPES:
            raise InvalidProperties(f"OME-XML has no pixels of type {plan.dtype}")
        shape = plan.level_shape_after(0, max(1, steps))
        sizes = dict.fromkeys(AXIS_TYPES, 1) | dict(zip(plan.axes, shape, strict=True))
        said = " ".join(f'Size{axis.upper()}="{sizes[axis]}"' for axis in "xyzct")
        lines += [
            f'<Image ID="Image:{number}" Name={quoteattr(name)}>',
            f'<Pixels ID="Pixels:{number}" DimensionOrder="XYZCT" '
            f'Type="{_OME_TYPES[plan.dtype.name]}" {said}><MetadataOnly/></Pixels>',
            "</Image>",
        ]
    return "\n".join([*lines, "</OME>", ""]).encode()
