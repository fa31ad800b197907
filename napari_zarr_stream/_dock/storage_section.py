"""How to store it: the fields of the dock that become `StorageProperties`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, ComboBox, FileEdit, SpinBox
from magicgui.widgets.bases import Widget
from qtpy.QtWidgets import QWidget

from napari_zarr_stream._recording.naming import free_paths
from napari_zarr_stream._writer.properties import DeviceKind, StorageProperties

from .form import Fold, Row, form
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

    Parameters
    ----------
    of_single_planes : bool
        A chunk is a tile of one plane, whatever is chosen: nothing is asked about it.

    Attributes
    ----------
    fields : tuple of Widget
        What is kept between sessions.
    template : str
        How a store in a folder is called; see `NameTemplate`.
    """

    def __init__(self, *, of_single_planes: bool = False) -> None:
        self._of_single_planes = of_single_planes
        self.device_kind = ComboBox(
            name="device_kind",
            label="Format",
            choices=[(title, str(kind)) for title, kind in KINDS],
            tooltip="The version of Zarr, and how pixels are compressed, without loss",
        )
        self.tile_width = _number(
            "tile_width",
            512,
            "The image is stored in tiles of this width; 0: as wide as it is",
        )
        self.tile_height = _number(
            "tile_height",
            512,
            "The image is stored in tiles of this height; 0: as high as it is",
        )
        self.tile_planes = _number(
            "tile_planes",
            1,
            "Planes of a volume that are stored together; 1 keeps each a picture of "
            "its own, 0 takes all",
        )
        self.max_chunk_mib = _number(
            "max_chunk_mib",
            16,
            "The most pixels in a chunk before compression (in a file, with many "
            "chunks in one file); at least 16 MiB",
        )
        self.sharded = CheckBox(
            name="sharded",
            text="Many chunks in one file (shards)",
            value=True,
            tooltip="Few files and little memory; only with Zarr v3",
        )
        self.ngff_version = ComboBox(
            name="ngff_version",
            label="Metadata",
            choices=[("OME-NGFF 0.5", ""), ("OME-NGFF 0.6 (few read it)", "0.6")],
            tooltip="The version of the documents beside the pixels; 0.6 goes with "
            "Zarr v3, for programs that ask for coordinate systems",
        )
        self.multiscale = CheckBox(
            name="multiscale",
            text="Multiscale pyramid",
            value=True,
            tooltip="Halved copies as well, so that large images open at once; takes a "
            "third more disk",
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
        self.template = ""
        self.preset = PresetChoice(settings)
        # The preset as the last: what it leaves open is as it was kept.
        self.fields: tuple[Any, ...] = (
            self.uri,
            *settings,
            self.ngff_version,
            self.preset,
        )

    @property
    def widgets(self) -> list[Widget]:
        """All of them, as children of a container."""
        return [*self.fields, self.plan_line]

    @property
    def rows(self) -> list[Row]:
        """Where it goes, always in view."""
        self.uri.choose_btn.text = "…"
        self.uri.choose_btn.max_width = 36
        return [("Save in", self.uri.native)]

    def lay_out(self) -> QWidget:
        """Put the fields in their places, below each other: how, and what it comes to.

        `rows` and `plan_line` have places of their own.
        """
        for combo, of_it in (
            (self.preset, "Preset"),
            (self.device_kind, "Format"),
            (self.ngff_version, "Metadata"),
        ):
            combo.native.setMinimumWidth(80)  # long names make no wide dock
            combo.native.setAccessibleName(of_it)
        if self._of_single_planes:
            self.tile_planes.hide()
        planes = [("Tile planes", self.tile_planes.native)]
        tiles = form(
            [
                ("", self.device_kind.native),
                ("Tile width (px)", self.tile_width.native),
                ("Tile height (px)", self.tile_height.native),
                *planes * (not self._of_single_planes),
                ("Chunk cap (MiB)", self.max_chunk_mib.native),
                ("Metadata", self.ngff_version.native),
                ("", self.sharded.native),
                ("", self.multiscale.native),
            ]
        )
        self.tiles = Fold("Format, tiles and pyramid", tiles)
        return form(
            [
                ("", self.preset.native),
                ("", self.preset.says),
                ("", self.tiles),
                ("", self.plan_line.details),
            ]
        )

    def show_choice(self) -> None:
        """Shards and newer metadata are offered where the format has them."""
        is_v3 = DeviceKind(self.device_kind.value).zarr_format == 3
        self.sharded.enabled = self.ngff_version.enabled = is_v3

    def enable(self, enabled: bool) -> None:
        """Let the fields be changed, or not while something is recorded."""
        for field in self.fields:
            field.enabled = enabled

    def place(self, count: int = 1) -> Place:
        """Where as many stores would go; raises as `PlaceLook.place_of`."""
        folder = Path(str(self.uri.value))
        return self.place_look.place_of(folder, count, self.template)

    def look_ahead(self, count: int = 1) -> None:
        """Begin to look at that place; see `PlaceLook.look_ahead`."""
        self.place_look.look_ahead(Path(str(self.uri.value)), count, self.template)

    def names(self, count: int = 1) -> str:
        """What as many stores would be called; raises as `place`."""
        return ", ".join(path.name for path in self.place(count).paths)

    def properties(self, count: int = 1) -> list[StorageProperties]:
        """What the fields say, for as many stores, at places where nothing is yet.

        Several have a common name with a number behind it.

        Raises
        ------
        PlaceIsAwaited, InvalidProperties
        """
        return [self.properties_at(path) for path in self.place(count).paths]

    def at_next_free_place(
        self, properties: StorageProperties
    ) -> Callable[[], StorageProperties]:
        """Gives these with a name that is free then: asks a disk, in any thread."""
        folder, template = Path(str(self.uri.value)), self.template
        return lambda: replace(properties, uri=free_paths(folder, 1, template)[0])

    def properties_at(self, path: Path) -> StorageProperties:
        """What the fields say but for the place.

        Raises
        ------
        InvalidProperties
        """
        kind = DeviceKind(self.device_kind.value)
        return StorageProperties(
            uri=path,
            device_kind=kind,
            tile_width=self.tile_width.value,
            tile_height=self.tile_height.value,
            tile_planes=self.tile_planes.value,
            max_bytes_per_chunk=self.max_chunk_mib.value * 2**20,
            sharded=self.sharded.value and kind.zarr_format == 3,
            enable_multiscale=self.multiscale.value,
            ngff_version=self.ngff_version.value if kind.zarr_format == 3 else "",
        )


def _number(name: str, value: int, tooltip: str) -> SpinBox:
    return SpinBox(name=name, value=value, min=0, max=2**20, tooltip=tooltip)
