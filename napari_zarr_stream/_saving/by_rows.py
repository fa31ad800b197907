"""Planes that are larger than memory: read, written and checked some rows at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from napari_zarr_stream._sources.open_stream import image_of, plan_of
from napari_zarr_stream._sources.source import PlaneSource
from napari_zarr_stream._writer.plan import Plan
from napari_zarr_stream._writer.properties import Channel, StorageProperties
from napari_zarr_stream._writer.record import RecordKey
from napari_zarr_stream._writer.store import Store
from napari_zarr_stream._writer.tile_row import Rows
from napari_zarr_stream._writer.tile_row_stream import (
    TileRowStream,
    goes_by_rows,
    rows_memory,
)
from napari_zarr_stream._writer.words import size_in_words

from .contrast import ContrastFinder
from .verify import Sent

MOST_PLANE_BYTES = 128 * 2**20
"""8192 x 8192 uint16, of which a stream holds a few with their levels: larger planes go
by rows."""

MOST_BYTES = 216 * 2**20
"""Rows that are read and rows on their way: with what Python, numba and dask take, less
than 500 MB for planes of 40,000 x 40,000 uint16."""

LEAST_READ_BYTES = 32 * 2**20
"""Rows that are read at once where these are so wide that little is left."""

MOST_READ_BYTES = 80 * 2**20
"""The same where more is left: 2,097 of 40,000 pixels uint8, so a chunk of 2048."""

APPEND_BYTES = 8 * 2**20
"""Planes or rows given to a stream at once: between two of these a user may stop."""


def is_written_by_rows(plan: Plan) -> bool:
    """Whether planes are too large for memory, and rows of their tiles are not."""
    is_large = plan.bytes_per_plane > MOST_PLANE_BYTES
    return is_large and goes_by_rows(plan) and plan.tile_grid(0)[0] > 1


def most_read_bytes(plan: Plan) -> int:
    """Of rows that are read at once: what those on their way leave."""
    left = MOST_BYTES - rows_memory(plan).peak_bytes
    return max(LEAST_READ_BYTES, min(left, MOST_READ_BYTES))


def note_on_planes(plan: Plan) -> tuple[str, ...]:
    """What to change where too large planes have to be in memory as a whole."""
    if plan.bytes_per_plane <= MOST_PLANE_BYTES or is_written_by_rows(plan):
        return ()
    return (
        f"planes of {size_in_words(plan.bytes_per_plane)} are in memory as a whole: "
        "with tile_planes 1, frames_per_chunk 1 and tiles less high than a plane they "
        "are written by rows, in little memory",
    )


def write_by_rows(
    source: PlaneSource,
    properties: StorageProperties,
    store: Store,
    sent: Sent | None,
    count: Callable[[float], None],
    known: Mapping[str, Any],
    *,
    describe: bool,
) -> Sequence[Channel] | None:
    """Write all planes of a source; returns its channels with their contrast."""
    description = source.describe()
    image = image_of(properties, description, plan_of(properties, description))
    stream = TileRowStream(properties, image, store)
    contrast = ContrastFinder(description)
    whole = False
    with ExitStack() as at_end:
        at_end.callback(lambda: stream.close() if whole else stream.abort())
        at_end.callback(source.stop)
        planes, height = stream.plan.planes or 0, stream.plan.plane_shape(0)[0]
        for plane in range(planes):
            for first, rows in _read(source, plane, height):
                stream.append(rows)
                contrast.see(rows[None], plane)
                if sent is not None:
                    sent.see_rows(rows, plane, first)
                count(len(rows) / height)
        channels = contrast.channels()
        if describe:
            record = {RecordKey.FRAMES_ACQUIRED: planes, **known}
            stream.annotate(channels=channels, record=record)
        whole = True
    return channels


def _read(source: PlaneSource, plane: int, height: int) -> Iterator[tuple[int, Rows]]:
    """The rows of a plane from top to bottom, some at a time, and where they begin."""
    row = 0
    while row < height:
        rows = source.rows_from(plane, row)
        at_once = max(1, APPEND_BYTES // rows[0].nbytes)
        for start in range(0, len(rows), at_once):
            some = rows[start : start + at_once]
            yield row, some
            row += len(some)
