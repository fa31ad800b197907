"""What a source describes as a plan, and as the stream that is made for it."""

from collections.abc import Sequence

from napari_zarr_stream._writer.ngff_image import Image, check_channels
from napari_zarr_stream._writer.plan import Plan, plan
from napari_zarr_stream._writer.properties import Channel, StorageProperties
from napari_zarr_stream._writer.store import Store, lies_in_image
from napari_zarr_stream._writer.stream import ZarrStream

from .source import SourceDescription


def open_stream(
    properties: StorageProperties,
    description: SourceDescription,
    store: Store | None = None,
    *,
    in_turn: bool = False,
) -> ZarrStream:
    """Make the store, and the stream that writes to it; see there.

    Raises
    ------
    InvalidProperties, StoreExists, WriteFailed
        As `ZarrStream`.
    """
    return ZarrStream(
        properties,
        axes=description.axes,
        shape=description.shape,
        dtype=description.dtype,
        scale=description.scale,
        translation=description.translation,
        units=description.units,
        channels=channels_of(description),
        name=description.name,
        is_label=description.is_label,
        record=description.record,
        store=store,
        planes_per_frame=description.planes_per_frame,
        planes_per_second=description.planes_per_second,
        in_turn=in_turn,
    )


def image_of(
    properties: StorageProperties, description: SourceDescription, plan: Plan
) -> Image:
    """What documents say of a source that is stored by such a plan.

    Raises
    ------
    InvalidProperties
    """
    return Image(
        plan=plan,
        name=description.name,
        method=properties.method,
        scale=description.scale,
        translation=description.translation,
        units=description.units,
        channels=check_channels(channels_of(description), plan),
        is_label=description.is_label,
        inside_image=lies_in_image(properties.path),
        record=description.record,
    )


def plan_of(properties: StorageProperties, description: SourceDescription) -> Plan:
    """What properties come to with such a source; touches no disk.

    Raises
    ------
    InvalidProperties
    """
    return plan(
        properties,
        axes=description.axes,
        shape=description.shape,
        dtype=description.dtype,
        scale=description.scale,
        units=description.units,
        planes_per_second=description.planes_per_second,
    )


def channels_of(description: SourceDescription) -> Sequence[Channel] | None:
    """Those of a source, or one named as it is where there is no axis for them."""
    if description.channels is None and "c" not in description.axes:
        return (
            description.channel
            or Channel(description.name, value_range=description.value_range),
        )
    return description.channels
