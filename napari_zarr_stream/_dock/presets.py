"""Settings of storage that go together, by what somebody wants of a recording.

Which one is chosen follows from the settings: others than those of a preset are custom.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from magicgui.widgets import ComboBox
from qtpy.QtWidgets import QLabel

from napari_zarr_stream._writer.properties import DeviceKind

from .form import wrapping

CUSTOM = "Custom"
CUSTOM_SAYS = "Your own settings, below."


@dataclass(frozen=True, slots=True)
class Preset:
    """Some settings under one name.

    Attributes
    ----------
    name : str
    says : str
        What it gives, and what it costs.
    settings : mapping
        Values of fields, by their names. A field that is not there stays as it is.
    """

    name: str
    says: str
    settings: Mapping[str, object]


def _settings(kind: DeviceKind | None, tile: int, sharded: bool) -> dict[str, object]:
    """With levels where frames have several tiles, and one plane of a volume each."""
    settings: dict[str, object] = {
        "tile_width": tile,
        "tile_height": tile,
        "tile_planes": 1,
        "max_chunk_mib": 16,
        "sharded": sharded,
        "multiscale": bool(tile),
    }
    return settings if kind is None else {"device_kind": str(kind), **settings}


PRESETS = (
    Preset(
        "Browse while recording",
        "Opens at once, every frame by itself, in few files. For programs that read "
        "Zarr v3 (2023 and later).",
        _settings(DeviceKind.ZARR_V3_LZ4, 512, sharded=True),
    ),
    Preset(
        "Smallest files",
        "Less disk than the others, for about twice the work of the processor. For "
        "programs that read Zarr v3 (2023 and later).",
        _settings(DeviceKind.ZARR_V3_ZSTD, 512, sharded=True),
    ),
    Preset(
        "Fiji and older tools",
        "Opens in Fiji and everything else that reads OME-Zarr (Zarr v2). Makes more "
        "files and takes more memory.",
        _settings(DeviceKind.ZARR_LZ4, 512, sharded=False),
    ),
    Preset(
        "As Acquire",
        "The plain chunks Acquire makes, whole frames in the format below, for scripts "
        "that expect them. No pyramid: large images open slowly.",
        _settings(None, 0, sharded=False),
    ),
)


class PresetChoice(ComboBox):
    """A combo that sets fields, and shows which preset they are as.

    Parameters
    ----------
    fields : sequence of ValueWidget
        By their names, those of the settings of the presets.
    """

    def __init__(self, fields: Sequence[Any]) -> None:
        names = [preset.name for preset in PRESETS]
        super().__init__(
            name="preset",
            label="Made for",
            choices=[*names, CUSTOM],
            tooltip="Sets the format, tiles, chunks and pyramid at once",
        )
        self.says = wrapping(QLabel())
        self._fields = {field.name: field for field in fields}
        self._kind = self._fields["device_kind"].value
        self.changed.connect(self._apply)
        for field in fields:
            field.changed.connect(self._follow)
        self._follow()

    def _values(self) -> dict[str, object]:
        return {name: field.value for name, field in self._fields.items()}

    def _follow(self, *_: object) -> None:
        values = self._values()
        fitting = (
            preset.name
            for preset in PRESETS
            # Its own format, or that in which it was chosen.
            if {"device_kind": self._kind, **preset.settings} == values
        )
        self._show(next(fitting, CUSTOM))

    def _apply(self, name: str) -> None:
        # What is chosen last, by name, says which format a preset without one has.
        self._kind = self._fields["device_kind"].value
        for preset in PRESETS:
            if preset.name == name:
                for field, value in preset.settings.items():
                    self._fields[field].value = value
        self._show(name)

    def _show(self, name: str) -> None:
        with self.changed.blocked():
            self.value = name
        says = {preset.name: preset.says for preset in PRESETS}
        self.says.setText(says.get(name, CUSTOM_SAYS))
