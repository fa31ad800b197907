"""Our own record in a store's attributes: every key that is written there, and read."""

import datetime
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .codecs import MIN_BLOSC_BLOCK, largest_blosc_block
from .errors import InvalidProperties
from .plan import Plan, plan
from .properties import StorageProperties, ZHalving

RECORD_KEY = "napari_zarr_stream"
"""Of the record in the attributes of the group; other readers pass over it."""


class RecordKey(StrEnum):
    """What a record tells: at the start, at the end, and after a repair."""

    VERSION = "version"
    STORE_ID = "store_id"
    """Of a store, from its first moment on, whatever is said of it later."""
    START_TIME = "start_time"
    DEVICE_KIND = "device_kind"
    NGFF_VERSION = "ngff_version"
    TILE_WIDTH = "tile_width"
    TILE_HEIGHT = "tile_height"
    TILE_PLANES = "tile_planes"
    MAX_BYTES_PER_CHUNK = "max_bytes_per_chunk"
    FRAMES_PER_CHUNK = "frames_per_chunk"
    SHARDED = "sharded"
    SHARD_CHUNKS = "shard_chunks"
    SHARD_AXIS = "shard_axis"
    CODEC_LEVEL = "codec_level"
    MULTISCALE = "multiscale"
    DOWNSAMPLING_METHOD = "downsampling_method"
    Z_HALVING = "z_halving"
    BUFFER_S = "buffer_s"
    BLOSC_BLOCK_BYTES = "blosc_block_bytes"
    """Of chunks that are joined from parts: repair finds their parts by it."""
    PLANNED = "planned"
    NOTES = "notes"
    IMAGES = "images"
    PART_OF = "part_of"
    """Of an image whose planes come in any order: the way to the root of its set, where
    the frame log lies, and its number there. An image that is alone is its own root."""

    SOURCE = "source"
    LAYER = "layer"
    LAYERS = "layers"
    LAYER_AXES = "layer_axes"
    SHOWN = "shown"
    COLORMAPS = "colormaps"
    OBJECTS = "objects"
    """Of an image whose pixels are names of objects, and that is no label image of
    another: for each channel what "image-label" would say of them."""
    CAMERA = "camera"
    SETTINGS = "settings"
    BIT_DEPTH = "bit_depth"
    PIXEL_SIZE_UM = "pixel_size_um"
    NOMINAL_FRAME_RATE = "nominal_frame_rate"
    INTERVAL_S = "interval_s"
    DURATION_S = "duration_s"
    BETWEEN_FRAMES = "between_frames"

    EVENTS = "events"
    END_TIME = "end_time"
    FINISH_REASON = "finish_reason"
    STOP_REASON = "stop_reason"
    END_OF_SOURCE = "end_of_source"
    ERROR = "error"
    FRAMES_ACQUIRED = "frames_acquired"
    FRAMES_COMMITTED = "frames_committed"
    FRAMES_LOST = "frames_lost"
    PLANES_PADDED = "planes_padded"
    """Planes of zeros that the last step was completed with."""
    FRAMES_INCOMPLETE = "frames_incomplete"
    FRAMES_OUT_OF_ORDER = "frames_out_of_order"
    FRAMES_UNTIMED = "frames_untimed"
    FRAMES_LATE = "frames_late"
    FRAMES_MISSING = "frames_missing"

    SEQUENCE = "sequence"
    """Of useq: what a run of Micro-Manager was asked for."""
    MICRO_MANAGER = "micro_manager"
    VERSIONS = "versions"
    POSITION = "position"
    """Of an image: where the stage was asked to be for it: "name", "x_um", "y_um" and
    "z_um", among others."""
    FIELDS_PADDED = "fields_padded"
    """Whether fields of a plate have planes that were not asked for, to be of one shape
    with the others."""
    PLANES_PLANNED = "planes_planned"
    PLANES_MISSING = "planes_missing"
    MISSING = "missing"
    """The first of the planes that were asked for and did not come: image, t, c, z."""

    VERIFIED = "verified"
    """How pixels were read back and compared before the store took its name."""
    LEVELS_KEPT = "levels_kept"
    """How many levels the source had, and are as they were."""

    REPAIRED = "repaired"


class FinishReason(StrEnum):
    """Why a recording ended."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    ABORTED = "aborted"
    FAILED = "failed"
    CANCELED = "canceled"
    """A run of Micro-Manager, before its end."""
    INCOMPLETE = "incomplete"
    """A run that came to its end, with planes missing."""
    INTERRUPTED = "interrupted"
    """Its program did not end properly: said by repair."""


def beginning(properties: StorageProperties, plan: Plan) -> dict[str, Any]:
    """What is known at the start: how it is stored, and what was to be written.

    Arrays that are half written do not say the latter.
    """
    return {
        RecordKey.VERSION: version("napari-zarr-stream"),
        RecordKey.STORE_ID: uuid.uuid4().hex,
        RecordKey.START_TIME: now(),
        RecordKey.DEVICE_KIND: str(properties.kind),
        RecordKey.NGFF_VERSION: properties.ngff,
        RecordKey.TILE_WIDTH: properties.tile_width,
        RecordKey.TILE_HEIGHT: properties.tile_height,
        RecordKey.TILE_PLANES: properties.tile_planes,
        RecordKey.MAX_BYTES_PER_CHUNK: properties.max_bytes_per_chunk,
        RecordKey.FRAMES_PER_CHUNK: properties.frames_per_chunk,
        RecordKey.SHARDED: properties.sharded,
        RecordKey.SHARD_CHUNKS: list(properties.shard_chunks),
        RecordKey.SHARD_AXIS: properties.shard_axis,
        RecordKey.CODEC_LEVEL: properties.codec_level,
        RecordKey.MULTISCALE: properties.enable_multiscale,
        RecordKey.DOWNSAMPLING_METHOD: str(properties.method),
        RecordKey.Z_HALVING: str(properties.z_rule),
        RecordKey.BUFFER_S: properties.buffer_s,
        RecordKey.BLOSC_BLOCK_BYTES: plan.blosc_block_bytes,
        RecordKey.PLANNED: {
            "axes": plan.axes,
            "shape": list(plan.shape),
            "dtype": plan.dtype.name,
            **({"voxel": list(plan.voxel)} if plan.voxel else {}),
        },
    }


def of_set(record: Mapping[str, Any], images: int) -> dict[str, Any]:
    """What is known of a set of images at the start; what is given wins."""
    started = {
        RecordKey.VERSION: version("napari-zarr-stream"),
        RecordKey.STORE_ID: uuid.uuid4().hex,
        RecordKey.START_TIME: now(),
        RecordKey.IMAGES: images,
    }
    return started | dict(record)


def planned(record: Mapping[str, Any], path: Path) -> tuple[StorageProperties, Plan]:
    """What `beginning` was given.

    Raises
    ------
    InvalidProperties, KeyError, TypeError
        The record is none of ours, or damaged.
    """
    properties = StorageProperties(
        path,
        record[RecordKey.DEVICE_KIND],
        tile_width=record[RecordKey.TILE_WIDTH],
        tile_height=record[RecordKey.TILE_HEIGHT],
        tile_planes=record[RecordKey.TILE_PLANES],
        max_bytes_per_chunk=record[RecordKey.MAX_BYTES_PER_CHUNK],
        frames_per_chunk=record[RecordKey.FRAMES_PER_CHUNK],
        sharded=record[RecordKey.SHARDED],
        shard_chunks=tuple(record[RecordKey.SHARD_CHUNKS]),
        shard_axis=record.get(RecordKey.SHARD_AXIS, ""),  # since 0.2
        codec_level=record.get(RecordKey.CODEC_LEVEL, 1),  # since 0.2
        enable_multiscale=record[RecordKey.MULTISCALE],
        downsampling_method=record[RecordKey.DOWNSAMPLING_METHOD],
        z_halving=record.get(RecordKey.Z_HALVING, ZHalving.WITH_YX),  # since 0.2
        ngff_version=record.get(RecordKey.NGFF_VERSION, ""),  # since 0.2
    )
    array = record[RecordKey.PLANNED]
    axes, shape, dtype = (array[name] for name in ("axes", "shape", "dtype"))
    scale = None
    if properties.z_rule is ZHalving.BY_VOXEL_SIZE and "z" in axes:
        scale = dict(zip("zyx", array["voxel"], strict=True))
    asked = plan(properties, axes=axes, shape=shape, dtype=dtype, scale=scale)
    codec = properties.kind.compressor
    if codec and asked.blosc_block_bytes:
        given = record.get(RecordKey.BLOSC_BLOCK_BYTES)  # since 0.2
        written = _block_bytes(given, asked, codec)
        asked = replace(asked, blosc_block_bytes=written)
    return properties, asked


def _block_bytes(given: object, asked: Plan, codec: str) -> int:
    """Size of the blocks that were written: each version chooses its own."""
    part_bytes = asked.bytes_per_chunk // asked.parts_per_chunk
    if given is None:
        return largest_blosc_block(part_bytes, asked.dtype.itemsize, codec)
    least = min(MIN_BLOSC_BLOCK, part_bytes)
    if not isinstance(given, int) or given < least or part_bytes % given:
        raise InvalidProperties(
            f"blocks of {given!r} bytes, of which {part_bytes:,} are made, cannot be"
        )
    return given


def ending(
    record: Mapping[str, Any],
    reason: FinishReason,
    frames_committed: int,
    planes_padded: int,
) -> dict[str, Any]:
    """The whole record: what was annotated wins, but for a failure."""
    whole: dict[str, Any] = {
        RecordKey.END_TIME: now(),
        RecordKey.FINISH_REASON: str(reason),
        RecordKey.FRAMES_COMMITTED: frames_committed,
    }
    if planes_padded:
        whole[RecordKey.PLANES_PADDED] = planes_padded
    whole |= record
    if reason is FinishReason.FAILED:
        whole[RecordKey.FINISH_REASON] = str(reason)
    return whole


def is_left_open(record: Mapping[str, Any]) -> bool:
    """Whether a record has a beginning and no end."""
    return RecordKey.START_TIME in record and RecordKey.FINISH_REASON not in record


def check_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be kept, if it can be written as JSON.

    Raises
    ------
    InvalidProperties
        Naming the entry that cannot.
    """
    for key, value in record.items():
        try:
            json.dumps({key: value}, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidProperties(f"record {key!r} is not JSON: {error}") from error
    return dict(record)


def now() -> str:
    """Universal time, to the millisecond."""
    return universal_time(time.time_ns())


def universal_time(time_ns: int) -> str:
    """The same of a moment that `time.time_ns()` said."""
    moment = datetime.datetime.fromtimestamp(time_ns / 1e9, datetime.UTC)
    return moment.isoformat(timespec="milliseconds")
