"""How to store it: the fields of the dock that become `StorageProperties`."""

from pathlib import Path
from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, ComboBox, FileEdit, SpinBox
from magicgui.widgets.bases import Widget
from qtpy.QtWidgets import QWidget

from napari_zarr_stream._writer.properties import DeviceKind, StorageProperties

from .form import Fold, form, wrapping
from .place import Place, PlaceLook
from .plan_line import PlanLine
from .presets import PresetChoice

KINDS = (
    ("Zarr v3, LZ4 (fast)", DeviceKind.ZARR_V3_LZ4),
    ("Zarr v3, Zstandard (small)", DeviceKind.ZARR_V3_ZSTD),
    ("Zarr v3, uncompressed", DeviceKind.ZARR_V3),
    ("Zarr v2, LZ4 (fast)", DeviceKind.ZARR_LZ4),
    ("Zarr v2, Zstandard (small)", DeviceKind.ZARR_ZSTD),
    ("Zarr v2, uncompressed", DeviceKind.ZARR),
)


class StorageSection:
    """Fields for where and how, with the summary below.

    Attributes
    ----------
    fields : tuple of Widget
        What is kept between sessions.
    """

    def __init__(self) -> None:
        self.device_kind = ComboBox(
            name="device_kind", label="Format", choices=[(t, str(k)) for t, k in KINDS]
        )
        self.tile_width = _pixels("tile_width", 512, "0: as wide as the frame")
        self.tile_height = _pixels("tile_height", 512, "0: as high as the frame")
        self.tile_planes = _pixels(
            "tile_planes",
            1,
            "Planes of a volume in one chunk; 1 keeps every plane a picture of its own",
        )
        self.max_chunk_mib = SpinBox(
            name="max_chunk_mib",
            label="Chunk cap (MiB)",
            value=16,
            min=0,
            max=2**20,
            tooltip="Most a chunk may hold before compression (a shard, if sharded); "
            "at least 16 MiB",
        )
        self.sharded = CheckBox(
            name="sharded",
            text="Many chunks in one file (shards)",
            value=True,
            tooltip="Fewer files and little memory; Zarr v3 only",
        )
        self.multiscale = CheckBox(
            name="multiscale",
            text="Multiscale pyramid",
            value=True,
            tooltip="Also write halved copies, so that large images open at once",
        )
        self.uri = FileEdit(
            name="uri",
            label="Save in",
            mode=FileDialogMode.EXISTING_DIRECTORY,
            value=Path.home() / "recordings",
            tooltip="A folder, in which a free name is chosen, or a name that ends in "
            ".zarr",
        )
        self.plan_line = PlanLine()
        self.place_look = PlaceLook(self.plan_line.native)
        settings: tuple[Any, ...] = (
            self.device_kind,
            self.tile_width,
            self.tile_height,
            self.tile_planes,
            self.max_chunk_mib,
            self.sharded,
            self.multiscale,
        )
        self.preset = PresetChoice(settings)
        # The preset as the last: what it leaves open is as it was kept.
        self.fields: tuple[Any, ...] = (self.uri, *settings, self.preset)

    @property
    def widgets(self) -> list[Widget]:
        """All of them, as children of a container."""
        return [*self.fields, self.plan_line]

    def lay_out(self) -> QWidget:
        """Put the fields in their places, below the title."""
        self.uri.choose_btn.text = "…"
        self.uri.choose_btn.max_width = 36
        for combo in (self.preset, self.device_kind):
            combo.native.setMinimumWidth(80)  # long names make no wide dock
        wrapping(self.plan_line.native)
        tiles = form(
            [
                ("Tile width", self.tile_width.native),
                ("Tile height", self.tile_height.native),
                ("Tile planes", self.tile_planes.native),
                ("Chunk cap (MiB)", self.max_chunk_mib.native),
                ("", self.sharded.native),
                ("", self.multiscale.native),
            ]
        )
        self.tiles = Fold("Tiles, chunks and pyramid", tiles)
        return form(
            [
                ("Save in", self.uri.native),
                ("Made for", self.preset.native),
                ("", self.preset.says),
                ("Format", self.device_kind.native),
                ("", self.tiles),
                ("", self.plan_line.native),
            ],
            title="How to store it",
        )

    def show_choice(self) -> None:
        """Shards are offered where the format has them."""
        self.sharded.enabled = DeviceKind(self.device_kind.value).zarr_format == 3

    def enable(self, enabled: bool) -> None:
        """Let the fields be changed, or not while something is recorded."""
        for field in self.fields:
            field.enabled = enabled

    def place(self, count: int = 1) -> Place:
        """Where as many stores would go; raises as `PlaceLook.place_of`."""
        return self.place_look.place_of(Path(str(self.uri.value)), count)

    def properties(self, count: int = 1) -> list[StorageProperties]:
        """What the fields say, for as many stores, at places where nothing is yet.

        Several have a common name with a number behind it.

        Raises
        ------
        PlaceIsAwaited, InvalidProperties
        """
        kind = DeviceKind(self.device_kind.value)
        return [
            StorageProperties(
                uri=path,
                device_kind=kind,
                tile_width=self.tile_width.value,
                tile_height=self.tile_height.value,
                tile_planes=self.tile_planes.value,
                max_bytes_per_chunk=self.max_chunk_mib.value * 2**20,
                sharded=self.sharded.value and kind.zarr_format == 3,
                enable_multiscale=self.multiscale.value,
            )
            for path in self.place(count).paths
        ]


def _pixels(name: str, value: int, tooltip: str) -> SpinBox:
    return SpinBox(name=name, value=value, min=0, max=2**20, tooltip=tooltip)
