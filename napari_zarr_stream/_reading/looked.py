"""What documents alone say of an image: what it is like, and where it lies.

Of many that are shown as one, none stands for the others; their pixels wait.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.record import RECORD_KEY, RecordKey

from .array_document import shape_in
from .axes import Axis, axes_of, display_order
from .channels import ShownChannel, channels_of
from .documents import Node, mapping, open_node, sequence, understanding
from .image import multiscales_of
from .location import Location, inside
from .stage_places import Corner, in_pixels, stage_corners
from .transforms import place_of


@dataclass(frozen=True, slots=True)
class Looked:
    """An image of which only documents were read, axes in the order of napari.

    Attributes
    ----------
    number : int
        Which one of its series.
    node : Node
    name : str
    axes, scale, translation, shape, dtype, channels
        Of level 0.
    """

    number: int
    node: Node
    name: str
    axes: tuple[Axis, ...]
    scale: tuple[float, ...]
    translation: tuple[float, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    channels: tuple[ShownChannel, ...]

    @property
    def kind(self) -> Hashable:
        """What positions of one kind have alike."""
        axes = tuple(
            (axis, f"{size:.5g}" if axis.kind == "space" else "")
            for axis, size in zip(self.axes, self.scale, strict=True)
        )
        channels = tuple((c.name, c.color) for c in self.channels)
        return axes, self.shape[-2:], self.dtype.str, channels

    @property
    def is_ours(self) -> bool:
        """Whether it was written here."""
        return RECORD_KEY in self.node.attributes

    @property
    def is_of_a_set(self) -> bool:
        """Whether our own record says that it is one of many of a kind."""
        return RecordKey.PART_OF in mapping(self.node.attributes.get(RECORD_KEY))


def look(number: int, path: Location) -> Looked | None:
    """What documents say of an image; None of what is none, or is damaged."""
    try:
        with understanding(path):
            node = open_node(path)
            if node is None or node.kind != "multiscales":
                return None
            multiscales = multiscales_of(node)
            if len(multiscales) != 1:
                return None
            multiscale = multiscales[0]
            level = sequence(multiscale["datasets"])[0]
            shape, dtype = shape_in(inside(path, level["path"]))
            axes = axes_of(multiscale, (), len(shape), [])
            place = place_of(multiscale, level, axes, [])
            kinds = [axis.kind for axis in axes]
            count = shape[kinds.index("channel")] if "channel" in kinds else 1
            order = display_order(axes)
            name = str(multiscale.get("name") or path.name)
            return Looked(
                number,
                node,
                name,
                tuple(axes[i] for i in order),
                tuple(place.scale[i] for i in order),
                tuple(place.translation[i] for i in order),
                tuple(shape[i] for i in order),
                dtype,
                channels_of(node.ome.get("omero"), count, []),
            )
    except InvalidStore:
        return None  # whoever opens it says why


def corners_of(
    alike: Sequence[Looked], told: Mapping[int, Corner]
) -> list[Corner] | None:
    """Where images lie; None where nothing tells."""
    by_ngff = [in_pixels(each.translation, each.scale) for each in alike]
    if len(set(by_ngff)) > 1:
        return by_ngff
    first = alike[0]
    return stage_corners(
        [each.node for each in alike],
        told,
        [each.number for each in alike],
        first.scale[-2:],
        [axis.unit for axis in first.axes[-2:]],
    )
