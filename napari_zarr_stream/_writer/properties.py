"""What the user asks for: frozen values that cannot be built wrong.

What they come to with frames of a given shape is `grid.plan`'s to say.
"""

import math
import operator
import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from . import system
from .colours import WHITE, hex_of
from .errors import InvalidProperties
from .names import from_home, refused_by_windows, split_scheme


class DeviceKind(StrEnum):
    """The six storage devices of Acquire's Zarr driver, by their names there."""

    ZARR = "Zarr"
    ZARR_ZSTD = "ZarrBlosc1ZstdByteShuffle"
    ZARR_LZ4 = "ZarrBlosc1Lz4ByteShuffle"
    ZARR_V3 = "ZarrV3"
    ZARR_V3_ZSTD = "ZarrV3Blosc1ZstdByteShuffle"
    ZARR_V3_LZ4 = "ZarrV3Blosc1Lz4ByteShuffle"

    @property
    def zarr_format(self) -> int:
        """2 or 3."""
        return 3 if self.startswith("ZarrV3") else 2

    @property
    def compressor(self) -> str | None:
        """Blosc's name of the codec inside: "zstd", "lz4", or None for raw bytes."""
        if self.endswith("ZstdByteShuffle"):
            return "zstd"
        return "lz4" if self.endswith("Lz4ByteShuffle") else None


NGFF_VERSIONS = {2: ("0.4",), 3: ("0.5", "0.6")}
"""Of OME-NGFF, those that go with Zarr 2 and 3; the first unless asked otherwise."""


class DownsamplingMethod(StrEnum):
    """How the pixels of a block become one pixel of the next level."""

    MEAN = "mean"
    DECIMATE = "decimate"
    MIN = "min"
    MAX = "max"
    MODE = "mode"

    @property
    def centres_pixels(self) -> bool:
        """Whether the new pixel stands for the middle of its block."""
        return self is not DownsamplingMethod.DECIMATE


class ZHalving(StrEnum):
    """When levels halve z."""

    WITH_YX = "with-yx"
    """Acquire's driver: with y and x, while tiles have more than one plane and z is
    more than its tile."""
    BY_VOXEL_SIZE = "by-voxel-size"
    """What makes voxels more equal: y and x alone, z alone, or all three once voxels
    are about equal. Tiles of all planes do not keep z from it."""
    UNTIL_IT_FITS = "until-it-fits"
    """At each level while z is more than its tile, whatever y and x need."""


_E = TypeVar("_E", bound=StrEnum)


def _choice(enum: type[_E], value: str, field: str) -> _E:
    try:
        return enum(value)
    except ValueError:
        names = ", ".join(enum)
        raise InvalidProperties(f"{field} {value!r} is not one of: {names}") from None


def _count(value: object, field: str) -> int:
    if isinstance(value, bool):
        raise InvalidProperties(f"{field} must be a whole number, not {value!r}")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        message = f"{field} must be a whole number, not {value!r}"
        raise InvalidProperties(message) from None
    if number < 0:
        raise InvalidProperties(f"{field} must be 0 (unset) or more, not {number}")
    return number


def _seconds(value: object, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidProperties(f"{field} must be a number of seconds, not {value!r}")
    if 0 <= value < math.inf:
        return float(value)
    raise InvalidProperties(f"{field} must be seconds, 0 or more, not {value!r}")


def _pair(value: Iterable[object], field: str) -> tuple[int, int]:
    try:
        down, across = value
    except (TypeError, ValueError):
        message = f"{field} must be two whole numbers, not {value!r}"
        raise InvalidProperties(message) from None
    return _count(down, field), _count(across, field)


@dataclass(frozen=True, slots=True)
class StorageProperties:
    """Where and how frames are stored.

    Attributes
    ----------
    uri : str or path
        The folder to be made, with a name that ends in `.zarr` as a rule.
    device_kind : DeviceKind or str
        One of the six names.
    tile_width, tile_height, tile_planes : int
        Size of a tile in pixels and planes; 0, or larger than the frame, means the
        frame's own size.
    max_bytes_per_chunk : int
        Cap on the raw bytes of a chunk (of a shard if `sharded`). Raised to 16 MiB
        where it is lower.
    frames_per_chunk : int
        Frames stacked in a chunk; 0 means as many as the cap allows (1 if `sharded`).
    sharded : bool
        Many chunks in one file; Zarr v3 only.
    shard_chunks : (int, int)
        How many tiles, down and across, share a shard; 0 means all there are, so that
        (0, 0) makes one file of a layer of whole frames. As many frames follow as the
        cap allows.
    shard_axis : str
        The axis along which a shard stacks further chunks, as many as the cap allows:
        "" is the first one, "z" makes a stack of planes one shard; with `shard_chunks`
        (1, 1), of as many tiles side by side as the cap allows.
    codec_level : int
        Of blosc, 1 to 9: higher is smaller and slower. Device kinds are named for 1.
    enable_multiscale : bool
        Write the whole pyramid, not only level 0.
    downsampling_method : DownsamplingMethod or str
        How levels are made: mean, decimate, min, max or mode.
    z_halving : ZHalving or str
        When levels halve z: with-yx, by-voxel-size or until-it-fits.
    overwrite : bool
        Replace a Zarr store that is already there.
    buffer_s : float
        How long a pause of the disk is survived: memory holds what comes meanwhile, if
        it is known how fast that is. 0: a few frames, some 50 ms of a fast camera.
    ngff_version : str
        Of OME-NGFF: "0.4" with Zarr v2, "0.5" or "0.6" with v3; "" is the first of
        these. Few programs read 0.6 yet.

    Raises
    ------
    InvalidProperties
        Naming the field and what it may be.
    """

    uri: str | os.PathLike[str]
    device_kind: DeviceKind | str = DeviceKind.ZARR_V3_LZ4
    tile_width: int = 0
    tile_height: int = 0
    tile_planes: int = 0
    max_bytes_per_chunk: int = 0
    frames_per_chunk: int = 0
    sharded: bool = False
    shard_chunks: tuple[int, int] = (1, 1)
    enable_multiscale: bool = True
    downsampling_method: DownsamplingMethod | str = DownsamplingMethod.MEAN
    overwrite: bool = False
    codec_level: int = 1
    z_halving: ZHalving | str = ZHalving.WITH_YX
    buffer_s: float = 0.0
    shard_axis: str = ""
    ngff_version: str = ""

    def __post_init__(self) -> None:
        def put(field: str, value: object) -> None:
            object.__setattr__(self, field, value)

        if not isinstance(self.uri, str | os.PathLike):
            raise InvalidProperties(f"uri must be text or a path, not {self.uri!r}")
        for field in ("sharded", "enable_multiscale", "overwrite"):
            if not isinstance(getattr(self, field), bool):
                given = getattr(self, field)
                raise InvalidProperties(f"{field} must be True or False, not {given!r}")
        uri = os.fspath(self.uri)
        if not uri.strip():
            raise InvalidProperties("uri is empty: give the folder to record into")
        scheme, path = split_scheme(uri)
        if scheme:
            raise InvalidProperties(
                f"{uri} is an address ({scheme}): only folders of this computer can "
                "be written; write to one and upload it, or mount the storage as one"
            )
        path = from_home(path)
        if system.IS_WINDOWS and (why := refused_by_windows(path)):
            raise InvalidProperties(f"{why}. Choose another name than {path}")
        put("uri", path)
        put("device_kind", _choice(DeviceKind, self.device_kind, "device_kind"))
        method = self.downsampling_method
        put(
            "downsampling_method",
            _choice(DownsamplingMethod, method, "downsampling_method"),
        )
        put("z_halving", _choice(ZHalving, self.z_halving, "z_halving"))
        for field in (
            "tile_width",
            "tile_height",
            "tile_planes",
            "max_bytes_per_chunk",
            "frames_per_chunk",
        ):
            put(field, _count(getattr(self, field), field))
        put("codec_level", _count(self.codec_level, "codec_level"))
        if not 1 <= self.codec_level <= 9:
            raise InvalidProperties(
                f"codec_level must be 1 (fast) to 9 (small), not {self.codec_level}"
            )
        put("buffer_s", _seconds(self.buffer_s, "buffer_s"))
        if self.shard_axis not in ("", "z"):
            raise InvalidProperties(
                f'shard_axis must be "" or "z", not {self.shard_axis!r}'
            )
        put("shard_chunks", _pair(self.shard_chunks, "shard_chunks"))
        if self.shard_chunks != (1, 1) and not self.sharded:
            raise InvalidProperties(
                f"shard_chunks {self.shard_chunks} is for shards: turn sharding on"
            )
        if self.sharded and self.kind.zarr_format == 2:
            raise InvalidProperties(
                f"device kind {self.kind} is Zarr v2, which has no shards: choose a "
                "ZarrV3 kind or turn sharding off"
            )

        zarr_format = self.kind.zarr_format
        fitting = NGFF_VERSIONS[zarr_format]
        if self.ngff_version not in ("", *fitting):
            raise InvalidProperties(
                f"ngff_version {self.ngff_version!r} does not go with device kind "
                f"{self.kind}, which is Zarr v{zarr_format}: "
                f"choose {' or '.join(fitting)}, or another kind"
            )

    @property
    def kind(self) -> DeviceKind:
        """`device_kind` as what it is after validation."""
        return DeviceKind(self.device_kind)

    @property
    def method(self) -> DownsamplingMethod:
        """`downsampling_method` as what it is after validation."""
        return DownsamplingMethod(self.downsampling_method)

    @property
    def z_rule(self) -> ZHalving:
        """`z_halving` as what it is after validation."""
        return ZHalving(self.z_halving)

    @property
    def ngff(self) -> str:
        """The version of OME-NGFF that is written."""
        return self.ngff_version or NGFF_VERSIONS[self.kind.zarr_format][0]

    @property
    def path(self) -> Path:
        """`uri` as a path."""
        return Path(self.uri)


@dataclass(frozen=True, slots=True)
class Channel:
    """How one channel is shown: the NGFF `omero` channel.

    Attributes
    ----------
    name : str
    color : str
        Six hexadecimal digits, RGB.
    contrast_limits : (float, float) or None
        Pixel values shown black and in full colour. None: the range of the dtype.
    value_range : (float, float) or None
        Smallest and largest value the source can give. None: the range of the dtype.
    active : bool
        Whether it is shown.
    inverted : bool
        Whether it is black at the upper limit, in full colour at the lower one.
    gamma : float
        Exponent of what is shown between the limits.

    Raises
    ------
    InvalidProperties
        Naming the field and what it may be.
    """

    name: str
    color: str = WHITE
    contrast_limits: tuple[float, float] | None = None
    value_range: tuple[float, float] | None = None
    active: bool = True
    inverted: bool = False
    gamma: float = 1.0

    def __post_init__(self) -> None:
        color = hex_of(self.color)
        if color is None:
            raise InvalidProperties(
                f"channel {self.name!r}: color {self.color!r} is not six hex digits"
            )
        object.__setattr__(self, "color", color)
        if not 0 < self.gamma < math.inf:
            raise InvalidProperties(
                f"channel {self.name!r}: gamma must be positive, not {self.gamma}"
            )
        for field in ("contrast_limits", "value_range"):
            limits: tuple[float, float] | None = getattr(self, field)
            if limits is None:
                continue
            low, high = map(float, limits)
            # False for NaN as well
            if not -math.inf < low < high < math.inf:
                raise InvalidProperties(
                    f"channel {self.name!r}: {field} {low:g} to {high:g} will not "
                    "do; the first must be below the second, both finite"
                )
            object.__setattr__(self, field, (low, high))
