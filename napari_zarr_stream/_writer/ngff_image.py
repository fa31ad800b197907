"""What OME-NGFF says of one image: where it lies, and how it is shown.

Section names refer to the OME-NGFF specification.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .axes import AXIS_TYPES
from .colours import WHITE, given_color
from .contrast import range_of
from .errors import InvalidProperties
from .plan import Plan
from .properties import Channel, DownsamplingMethod, ZHalving
from .record import RecordKey

Document = dict[str, Any]

PHYSICAL = "physical"
"""The coordinate system in which the levels of an image lie, in OME-NGFF 0.6."""


@dataclass(frozen=True, slots=True)
class Image:
    """What is described: an array with its pyramid, as `plan` laid it out.

    Attributes
    ----------
    plan : Plan
    name : str
    method : DownsamplingMethod
    scale, translation : tuple of float
        Of level 0, one number per axis.
    units : tuple of str or None
    channels : tuple of Channel
        As many as there are channels; one where there is no such axis.
    is_label : bool
        Whether pixels are names of objects.
    inside_image : bool
        Whether these are labels of the image two groups above, and so a label image.
    record : mapping
        JSON values.
    """

    plan: Plan
    name: str
    method: DownsamplingMethod
    scale: tuple[float, ...]
    translation: tuple[float, ...]
    units: tuple[str | None, ...]
    channels: tuple[Channel, ...]
    is_label: bool = False
    inside_image: bool = False
    record: Mapping[str, Any] = field(default_factory=dict)


def check_channels(
    channels: Sequence[Channel] | None, plan: Plan
) -> tuple[Channel, ...]:
    """As many channels as the array has, with names and colours of our own if None.

    Raises
    ------
    InvalidProperties
        Where their number is another.
    """
    count = plan.shape[plan.axes.index("c")] if "c" in plan.axes else 1
    if channels is not None:
        if count is not None and len(channels) != count:
            raise InvalidProperties(f"{len(channels)} channels given for {count}")
        return tuple(channels)
    if count is None:
        return ()
    if count < 2:
        return (Channel("channel 0"),)[:count]
    return tuple(Channel(f"channel {i}", given_color(i)) for i in range(count))


def _axes(image: Image) -> list[Document]:
    axes = []
    for name, unit in zip(image.plan.axes, image.units, strict=True):
        axis = {"name": name, "type": AXIS_TYPES[name]}
        axes.append(axis | ({"unit": unit} if unit else {}))
    return axes


def _datasets(image: Image) -> list[Document]:
    """Paths and "coordinateTransformations" of the levels.

    A pixel's position is that of its centre. A block's centre lies half of the added
    size beyond the centre of its first pixel, so a level that centres its pixels is
    moved by (scale - scale of level 0) / 2.
    """
    plan = image.plan
    halvings = [0] * len(plan.axes)
    datasets = []
    shifted = any(image.translation) or (
        image.method.centres_pixels and len(plan.level_shapes) > 1
    )
    for level, shape in enumerate(plan.level_shapes):
        if level:
            above = plan.level_shapes[level - 1]
            for i in range(len(plan.axes)):
                # A row or column of one pixel is not halved.
                halvings[i] += above[i] != shape[i]
        scale = [s * 2**h for s, h in zip(image.scale, halvings, strict=True)]
        transforms: list[Document] = [{"type": "scale", "scale": scale}]
        if shifted:
            centred = image.method.centres_pixels
            translation = [
                start + (now - first) / 2 * centred
                for start, now, first in zip(
                    image.translation, scale, image.scale, strict=True
                )
            ]
            transforms.append({"type": "translation", "translation": translation})
        datasets.append({"path": str(level), "coordinateTransformations": transforms})
    return datasets


def with_axes(image: Image) -> Document:
    """Where an image lies: its axes, and transformations in the order of their use."""
    return {"axes": _axes(image), "datasets": _datasets(image)}


def with_systems(image: Image) -> Document:
    """The same as a coordinate system, and one transformation that leads there.

    See "multiscales" of OME-NGFF 0.6: an identity, a scale, or a sequence of a scale
    and a translation.
    """
    datasets = []
    for dataset in _datasets(image):
        given = dataset["coordinateTransformations"]
        one = {"type": "sequence", "transformations": given}
        ends = {"input": {"path": dataset["path"]}, "output": {"name": PHYSICAL}}
        transformation = (given[0] if len(given) == 1 else one) | ends
        datasets.append(dataset | {"coordinateTransformations": [transformation]})
    systems = [{"name": PHYSICAL, "axes": _axes(image)}]
    return {"coordinateSystems": systems, "datasets": datasets}


def multiscales(image: Image, where: Document) -> Document:
    """The one entry of "multiscales"; `where` is from one of the two above."""
    rule = "as in Acquire's Zarr driver"
    if image.plan.z_halving is not ZHalving.WITH_YX:
        rule = f"z apart from y and x ({image.plan.z_halving})"
    return {
        "name": image.name,
        **where,
        "type": str(image.method),
        "metadata": {
            "description": f"levels by halving in blocks of 2, {rule}; integer means "
            "round half up",
            "method": f"napari_zarr_stream.downsample.{image.method}",
        },
    }


def shown(image: Image, version: Document) -> Document:
    """How pixels are to be shown: as objects of an image, or as channels.

    A label image that labels none is no image to many readers, and OME-NGFF places it
    in the group `labels` of one: by itself it is an image, and our record says more.
    """
    if image.is_label and image.inside_image:
        said, *_ = _objects(image)
        return {"image-label": version | {"source": {"image": "../../"}} | said}
    return {"omero": version | _omero(image)}


def _objects(image: Image) -> list[Document]:
    """What is said of the objects in each channel."""
    return list(image.record.get(RecordKey.OBJECTS) or [{}])


def record_of(image: Image) -> Document:
    """Our own record, with what readers that know no objects are not told."""
    record = {k: v for k, v in image.record.items() if k != RecordKey.OBJECTS}
    if image.is_label and not image.inside_image:
        record[RecordKey.OBJECTS] = _objects(image)
    return record


def _omero(image: Image) -> Document:
    full = range_of(image.plan.dtype)
    channels: list[Document] = []
    for channel in image.channels:
        start, end = channel.contrast_limits or channel.value_range or full
        low, high = channel.value_range or full
        channels.append(
            {
                "label": channel.name,
                "color": channel.color,
                "active": channel.active,
                # In OMERO a polynomial is the pixel to the power of the coefficient.
                "coefficient": channel.gamma,
                "family": "linear" if channel.gamma == 1 else "polynomial",
                "inverted": channel.inverted,
                "window": {
                    "min": min(low, start),
                    "max": max(high, end),
                    "start": start,
                    "end": end,
                },
            }
        )
    model = "color"
    if [channel.color for channel in image.channels] == [WHITE]:
        model = "greyscale"  # in which readers show nothing but grey
    return {
        "name": image.name,
        "channels": channels,
        "rdefs": {"model": model, "defaultT": 0, "defaultZ": 0},
    }
