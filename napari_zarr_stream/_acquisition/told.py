"""What the store of a run is told: of each image at first, of all planes in the end."""

from typing import Any

from napari_zarr_stream._writer.record import RecordKey
from napari_zarr_stream._writer.set_images import ImageDescription

from .arrivals import Arrivals
from .layout import ImageLayout, Layout

MISSING_IN_RECORD = 1000
"""Of the planes that did not come, how many are named in the store."""


def description_of(image: ImageLayout, layout: Layout) -> ImageDescription:
    """An image of a run, with where the stage was asked to be for it."""
    place = image.place
    position = {
        "index": place.index,
        "grid": place.grid,
        "name": place.name,
        "x_um": place.x_um,
        "y_um": place.y_um,
        "z_um": place.z_um,
    }
    # The first axis grows as planes come.
    has_time = image.axes[0] == "t"
    return ImageDescription(
        image.path,
        image.name,
        image.axes,
        (None, *image.shape[1:]) if has_time else image.shape,
        layout.frame.dtype,
        scale=image.scale,
        units=image.units,
        channels=image.channels,
        record={RecordKey.POSITION: position},
    )


def ending_of(arrivals: Arrivals, missing: int) -> dict[str, Any]:
    """How many planes came and did not, and the first of these."""
    record: dict[str, Any] = {
        RecordKey.FRAMES_ACQUIRED: arrivals.acquired,
        RecordKey.PLANES_MISSING: missing,
    }
    if missing:
        first = [
            [image, *place]
            for (image, place), _ in zip(
                arrivals.missing(), range(MISSING_IN_RECORD), strict=False
            )
        ]
        record[RecordKey.MISSING] = first
    return record
