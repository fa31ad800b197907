"""What a run comes to before it begins, in words: planes, disk, memory, time."""

import math

from napari_zarr_stream._recording.summary import Summary
from napari_zarr_stream._writer.memory import check_memory
from napari_zarr_stream._writer.plan import Plan, plan
from napari_zarr_stream._writer.properties import StorageProperties
from napari_zarr_stream._writer.set_images import one_plane_a_chunk
from napari_zarr_stream._writer.words import (
    count_in_words,
    interval_in_words,
    size_in_words,
)

from .layout import ImageLayout, Layout

_NOUNS = {"t": "time", "c": "channel", "z": "plane in z"}


def summary_of_run(
    layout: Layout, properties: StorageProperties, free_bytes: int | None
) -> Summary:
    """Say what will be written.

    Raises
    ------
    InvalidProperties
        It cannot be, or there is too little memory for it.
    """
    planned = _plan_of(layout, layout.images[0], properties)
    check_memory(planned.memory.peak_bytes)
    whole = layout.planned * planned.bytes_per_plane
    pixels = [
        math.prod(planned.plane_shape(n)) for n in range(len(planned.level_shapes))
    ]
    size = whole * sum(pixels) // pixels[0]
    frame = layout.frame
    room = "" if free_bytes is None else f"; {size_in_words(free_bytes)} free"
    if free_bytes is not None and size > free_bytes:
        room += ", which may not be enough"
    brief = [
        f"{count_in_words(layout.planned, 'plane')} of {frame.width} × {frame.height} "
        f"px: {_product(layout)}",
        f"{size_in_words(size)} before compression{room}",
        f"{size_in_words(planned.memory.peak_bytes)} of memory",
    ]
    return Summary("\n".join(brief), "\n".join(_details(layout, planned, properties)))


def _plan_of(layout: Layout, image: ImageLayout, properties: StorageProperties) -> Plan:
    return plan(
        one_plane_a_chunk(properties),
        axes=image.axes,
        shape=image.shape,
        dtype=layout.frame.dtype,
    )


def _product(layout: Layout) -> str:
    """What planes are of: "2 positions, each 5 times × 2 channels × 9 planes in z"."""
    count = len(layout.images)
    shapes = {(image.axes, image.shape) for image in layout.images}
    if layout.plate is not None:
        wells = len({image.path.rpartition("/")[0] for image in layout.images})
        where = f"{count_in_words(count, 'field')} in {count_in_words(wells, 'well')}"
    else:
        where = count_in_words(count, "position")
    if len(shapes) > 1:
        return f"{where}, of {len(shapes)} sizes"
    image = layout.images[0]
    sizes = [
        count_in_words(size, _NOUNS[axis]).replace("plane in zs", "planes in z")
        for axis, size in zip(image.axes, image.shape, strict=True)
        if axis in _NOUNS
    ]
    each = ", each" if count > 1 else ","
    return where + (f"{each} {' × '.join(sizes)}" if sizes else "")


def _details(layout: Layout, planned: Plan, properties: StorageProperties) -> list[str]:
    said = []
    if layout.interval_s:
        every = interval_in_words(layout.interval_s)
        said.append(f"A time point every {every}, or as soon as the last is done")
    if layout.plate is not None:
        rows, columns = len(layout.plate.rows), len(layout.plate.columns)
        said.append(f"A plate of {rows} × {columns} wells: {layout.plate.name}")
    if layout.is_padded:
        said.append(
            "All fields of a plate have the same shape: planes that are not asked for "
            "read as black, and take no disk"
        )
    channels = ", ".join(channel.name for channel in layout.images[0].channels)
    tile = "{} × {}".format(*planned.tile_shape[-2:])
    said += [
        f"Channels: {channels}",
        f"A chunk is a tile of {tile} px of one plane"
        + (", and a stack along z one file" if planned.shard_shape else ""),
        f"{count_in_words(len(planned.level_shapes), 'level')}",
        f"Saves to {properties.path}",
    ]
    return said
