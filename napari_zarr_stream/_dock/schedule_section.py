"""When frames are taken and for how long, and how the recording is called."""

from typing import Any

from magicgui.widgets import ComboBox, FloatSpinBox, LineEdit, SpinBox, TextEdit
from qtpy.QtWidgets import QWidget

from napari_zarr_stream._recording.name_template import DEFAULT_NAME
from napari_zarr_stream._sources.take import Take
from napari_zarr_stream._writer.colours import NAMED

from .form import Fold, form

NOTES_HEIGHT = 64
"""Three lines."""

LONGEST_S = 10.0**7
"""Four months."""


class ScheduleSection:
    """Fields of time, and of what is kept with the frames.

    Attributes
    ----------
    fields : tuple of Widget
        What is kept between sessions.
    """

    def __init__(self) -> None:
        self.interval_s = _seconds(
            "interval_s",
            "From the beginning of one frame to that of the next; 0: as fast as they "
            "come",
        )
        self.duration_s = _seconds(
            "duration_s", "How long it is recorded; 0: until all frames are taken"
        )
        self.frame_count = SpinBox(
            name="frame_count",
            value=0,
            min=0,
            max=2**31 - 1,
            tooltip="How many frames are taken; 0: until it is stopped",
        )
        self.buffer_s = _seconds(
            "buffer_s",
            "How long a pause of the disk is survived; memory is taken for what comes "
            "meanwhile. 0: some frames",
        )
        self.name = LineEdit(
            name="name",
            value=DEFAULT_NAME,
            tooltip="How a store in a folder is called: free text with {date}, {time} "
            "and {counter}",
        )
        self.notes = TextEdit(
            name="notes", tooltip="Kept in the record of the store, as it stands here"
        )
        self.channel_name = LineEdit(
            name="channel_name", tooltip="Of a grey image; empty: as the store"
        )
        self.channel_color = ComboBox(
            name="channel_color",
            choices=list(NAMED),
            tooltip="In which a grey image is shown",
        )
        self.z_step_um = FloatSpinBox(
            name="z_step_um",
            value=0,
            min=0,
            max=10000,
            step=0.1,
            tooltip="From one frame to the next, if they are the planes of a stack; 0 "
            "if they are moments in time",
        )
        self._of_cameras: tuple[Any, ...] = (
            self.interval_s,
            self.duration_s,
            self.frame_count,
            self.buffer_s,
            self.channel_name,
            self.channel_color,
            self.z_step_um,
        )
        self.fields: tuple[Any, ...] = (*self._of_cameras, self.name, self.notes)

    def lay_out(self) -> QWidget:
        """Put the fields in their places, below each other."""
        self.notes.native.setMaximumHeight(NOTES_HEIGHT)
        for field in (self.channel_color, self.channel_name, self.name):
            field.native.setMinimumWidth(80)
        kept = form(
            [
                ("Name", self.name.native),
                ("Notes", self.notes.native),
                ("Channel", self.channel_name.native),
                ("Colour", self.channel_color.native),
                ("Step in z (µm)", self.z_step_um.native),
            ]
        )
        self.kept = Fold("Name, notes and channel", kept)
        return form(
            [
                ("Interval (s)", self.interval_s.native),
                ("Duration (s)", self.duration_s.native),
                ("Frames", self.frame_count.native),
                ("Buffer (s)", self.buffer_s.native),
                ("", self.kept),
            ]
        )

    def take(self, pixel_size_um: float | None) -> Take:
        """How frames are taken, by what the fields say."""
        return Take(
            interval_s=self.interval_s.value,
            duration_s=self.duration_s.value,
            pixel_size_um=pixel_size_um,
            z_step_um=self.z_step_um.value,
            channel_name=self.channel_name.value,
            channel_color=self.channel_color.value,
        )

    def enable(self, enabled: bool, *, is_camera: bool) -> None:
        """Let the fields be changed, or not while it records; of a layer, some."""
        for field in self.fields:
            field.enabled = enabled and (is_camera or field not in self._of_cameras)


def _seconds(name: str, tooltip: str) -> FloatSpinBox:
    return FloatSpinBox(
        name=name, value=0, min=0, max=LONGEST_S, step=0.1, tooltip=tooltip
    )
