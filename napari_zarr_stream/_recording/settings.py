"""All that can be asked of a recording, by the same words everywhere, and as a file."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from napari_zarr_stream._sources.take import Take
from napari_zarr_stream._upload.address import address_of, check_endpoint
from napari_zarr_stream._upload.credentials import Keys
from napari_zarr_stream._upload.request import UploadRequest
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.errors import InvalidProperties, WriteFailed
from napari_zarr_stream._writer.names import from_home, is_store_name
from napari_zarr_stream._writer.properties import (
    NGFF_VERSIONS,
    DeviceKind,
    DownsamplingMethod,
    StorageProperties,
    ZHalving,
)
from napari_zarr_stream.cameras.protocol import SettingValue

from .disk import RESERVE_BYTES
from .name_template import NameTemplate
from .naming import free_path

FORMAT = "napari-zarr-stream settings"
VERSION = 1

CameraSettings = Mapping[str, SettingValue]


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """What is to be recorded, when, and how it is stored.

    Attributes
    ----------
    cameras : tuple of str
        Their names, or enough of each to be clear; empty for the only one there is.
    camera_settings : tuple of mapping
        For each camera, values of its settings by their names. One for all may stand
        alone.
    uri : str
        The store, if it ends in ".zarr", or the folder that it goes into.
    name : str
        How a store in a folder is called: free text with "{date}", "{time}" and
        "{counter}".
    notes : str
        Kept in the record of the store.
    interval_s : float
        From the beginning of one frame to that of the next; 0: as fast as they come.
    duration_s : float
        How long frames are taken; 0: no end.
    frame_count : int
        How many frames are taken; 0: until it is stopped, or the duration is over.
    pixel_size_um : float
        Of the sample, in micrometres; 0 leaves it to the camera.
    z_step_um : float
        From one frame to the next where they are the planes of a stack; else 0.
    channel_name, channel_color : str
        How a grey image is called and coloured; empty: as its store, and white.
    buffer_s : float
        How long a pause of the disk is survived.
    device_kind, tile_width, tile_height, tile_planes, frames_per_chunk, shard_chunks, \
codec_level, z_halving, ngff_version, overwrite
        As of `StorageProperties`.
    max_chunk_mib : int
        Most a chunk (a shard, if sharded) may hold before compression, in MiB.
    sharded : bool or None
        Many chunks in one file; None: where the device kind has that.
    multiscale : bool
        Write the whole pyramid.
    downsampling : str
        How its levels are made: mean, decimate, min, max or mode.
    upload_to : str
        Where the store is brought while it is recorded: "s3://bucket/path",
        "az://container/path", or a folder; of the store, if it ends in ".zarr", else of
        what it goes into. Empty: nowhere.
    upload_endpoint : str
        The address of a server of S3 that is not Amazon's; empty: AWS_ENDPOINT_URL.
    delete_local : bool
        Delete the local copy when all of it was uploaded and compared.
    reserve_mib : int
        It stops itself when no more than this is free on the disk, in MiB.

    Raises
    ------
    InvalidProperties
        Naming the setting and what it may be.
    """

    cameras: tuple[str, ...] = ()
    camera_settings: tuple[CameraSettings, ...] = ()
    uri: str = field(default_factory=lambda: str(Path.home() / "recordings"))
    name: str = ""
    notes: str = ""
    interval_s: float = 0.0
    duration_s: float = 0.0
    frame_count: int = 0
    pixel_size_um: float = 0.0
    z_step_um: float = 0.0
    channel_name: str = ""
    channel_color: str = ""
    buffer_s: float = 0.0
    device_kind: str = DeviceKind.ZARR_V3_LZ4
    tile_width: int = 512
    tile_height: int = 512
    tile_planes: int = 1
    max_chunk_mib: int = 16
    frames_per_chunk: int = 0
    sharded: bool | None = None
    shard_chunks: tuple[int, ...] = (1, 1)
    multiscale: bool = True
    downsampling: str = DownsamplingMethod.MEAN
    z_halving: str = ZHalving.WITH_YX
    codec_level: int = 1
    ngff_version: str = ""
    overwrite: bool = False
    upload_to: str = ""
    upload_endpoint: str = ""
    delete_local: bool = False
    reserve_mib: int = RESERVE_BYTES // 2**20

    def __post_init__(self) -> None:
        for each in fields(self):
            value = _of_type(each.name, getattr(self, each.name), _TYPES[each.name])
            object.__setattr__(self, each.name, value)
        if self.frame_count < 0 or self.reserve_mib < 0 or self.max_chunk_mib < 0:
            raise InvalidProperties(
                f"frame_count {self.frame_count}, reserve_mib {self.reserve_mib} and "
                f"max_chunk_mib {self.max_chunk_mib} must be 0 or more"
            )
        several = len(self.camera_settings)
        if several > 1 and several != max(1, len(self.cameras)):
            raise InvalidProperties(
                f"camera_settings: {several} for {max(1, len(self.cameras))} cameras"
            )
        _ = NameTemplate(self.name), self.take
        stored = self.properties(Path("a.zarr"))
        if stored.ngff == NGFF_VERSIONS[stored.kind.zarr_format][0]:
            object.__setattr__(self, "ngff_version", "")  # there is one way to say it
        if self.upload_to:
            _ = address_of(self.upload_to)
        check_endpoint(self.upload_endpoint)
        if self.delete_local and not self.upload_to:
            raise InvalidProperties("delete_local without upload_to: nothing was kept")

    @property
    def take(self) -> Take:
        """How frames are taken."""
        return Take(
            interval_s=self.interval_s,
            duration_s=self.duration_s,
            pixel_size_um=self.pixel_size_um or None,
            z_step_um=self.z_step_um,
            channel_name=self.channel_name,
            channel_color=self.channel_color,
        )

    def upload(self, keys: Keys | None = None) -> UploadRequest | None:
        """Where the store is brought; None for nowhere."""
        if not self.upload_to:
            return None
        return UploadRequest(
            self.upload_to, self.upload_endpoint, self.delete_local, keys
        )

    def settings_of(self, number: int) -> CameraSettings:
        """Those of camera number 0, 1, ..."""
        if len(self.camera_settings) > 1:
            return self.camera_settings[number]
        return self.camera_settings[0] if self.camera_settings else {}

    def properties(self, path: str | Path | None = None) -> StorageProperties:
        """How it is stored, at `path` or where the settings say."""
        if path is None:
            chosen = Path(from_home(self.uri))
            path = chosen if is_store_name(chosen) else free_path(chosen, self.name)
        has_shards = str(self.device_kind).startswith("ZarrV3")
        return StorageProperties(
            path,
            self.device_kind,
            tile_width=self.tile_width,
            tile_height=self.tile_height,
            tile_planes=self.tile_planes,
            max_bytes_per_chunk=self.max_chunk_mib * 2**20,
            frames_per_chunk=self.frames_per_chunk,
            sharded=has_shards if self.sharded is None else self.sharded,
            shard_chunks=(self.shard_chunks[0], self.shard_chunks[-1]),
            enable_multiscale=self.multiscale,
            downsampling_method=self.downsampling,
            overwrite=self.overwrite,
            codec_level=self.codec_level,
            z_halving=self.z_halving,
            ngff_version=self.ngff_version,
            buffer_s=self.buffer_s,
        )

    @classmethod
    def of(cls, said: Mapping[str, object]) -> tuple[Self, tuple[str, ...]]:
        """Settings by their names, and the names that are of none.

        Raises
        ------
        InvalidProperties
            A value that cannot be; named.
        """
        known = {each.name for each in fields(cls)}
        mine: dict[str, Any] = {key: said[key] for key in said if key in known}
        return cls(**mine), tuple(key for key in said if key not in known)

    def save(self, path: Path) -> None:
        """Write them to a file, as JSON; raises `WriteFailed`."""
        document = {"format": FORMAT, "version": VERSION, "settings": asdict(self)}
        text = json.dumps(document, indent=1, ensure_ascii=False)
        try:
            system.make_folders(path.parent)
            system.replace_file(path, text.encode())
        except OSError as error:
            raise WriteFailed(f"{path} could not be written: {error}") from error

    def changed(self, **said: object) -> Self:
        """The same, but for these.

        Raises
        ------
        InvalidProperties
            There is no such setting, or it cannot be so.
        """
        if unknown := said.keys() - _TYPES.keys():
            raise InvalidProperties(
                f"no such settings: {', '.join(sorted(unknown))}; there are "
                f"{', '.join(_TYPES)}"
            )
        return replace(self, **said)  # type: ignore[arg-type]


_NUMBERS, _WHOLE = (int, float), (int,)

_TYPES: dict[str, tuple[type, ...]] = {
    each.name: {
        "float": _NUMBERS,
        "int": _WHOLE,
        "bool": (bool,),
        "bool | None": (bool, type(None)),
        "str": (str,),
    }.get(str(getattr(each.type, "__name__", each.type)), (list, tuple))
    for each in fields(RecordSettings)
}


def _of_type(name: str, value: object, types: tuple[type, ...]) -> object:
    """`value` as it is kept; raises `InvalidProperties` where it is of another type."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if types in (_NUMBERS, _WHOLE):
        if not is_number or not isinstance(value, types):
            whole = "a whole number" if types is _WHOLE else "a number"
            raise InvalidProperties(f"{name} must be {whole}, not {value!r}")
        if types is _NUMBERS and not math.isfinite(float(str(value))):
            raise InvalidProperties(f"{name} must be finite, not {value!r}")
        return value
    if not isinstance(value, types):
        kinds = {bool: "true or false", str: "text"}
        raise InvalidProperties(
            f"{name} must be {kinds.get(types[0], 'a list')}, not {value!r}"
        )
    if not isinstance(value, list | tuple):
        return str(value) if isinstance(value, str) else value
    kind: type = {"cameras": str, "shard_chunks": int}.get(name, dict)
    if not all(isinstance(each, kind) for each in value) or (
        name == "shard_chunks" and len(value) != 2
    ):
        what = {str: "names", int: "two whole numbers"}.get(kind, "settings by names")
        raise InvalidProperties(f"{name} must be {what}, not {value!r}")
    return tuple(value)


def unknown_in_words(file: object, unknown: Sequence[str]) -> str:
    """That a file has settings that this program has not."""
    return f"{file} has settings that are not known here: {', '.join(unknown)}"


def load_settings(path: Path) -> tuple[RecordSettings, tuple[str, ...]]:
    """Settings of a file, and the names in it that are of none.

    Raises
    ------
    InvalidProperties
        It is no such file, one of a newer version, or has a value that cannot be.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidProperties(f"{path} is no file of settings: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InvalidProperties(
            f"{path} is no file of settings: it does not say {FORMAT!r}"
        )
    version, said = document.get("version"), document.get("settings")
    if version != VERSION:
        raise InvalidProperties(
            f"{path} has settings of version {version!r}, and this program knows "
            f"{VERSION}: was it written by a newer one?"
        )
    if not isinstance(said, dict):
        raise InvalidProperties(f"{path} has no settings in it")
    try:
        return RecordSettings.of(said)
    except InvalidProperties as error:
        raise InvalidProperties(f"{path}: {error}") from error
