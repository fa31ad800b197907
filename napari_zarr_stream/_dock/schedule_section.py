"""When frames are taken, for how long, and how long a pause of the disk may be."""

from typing import Any

from magicgui.widgets import FloatSpinBox, SpinBox
from qtpy.QtWidgets import QWidget

from napari_zarr_stream._sources.take import Take

from .form import form

LONGEST_S = 10.0**7
"""Four months."""


class ScheduleSection:
    """Fields of time: of frames, of all of them, of pauses.

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
        self.fields: tuple[Any, ...] = (
            self.interval_s,
            self.duration_s,
            self.frame_count,
            self.buffer_s,
        )

    def lay_out(self) -> QWidget:
        """Put the fields in their places, below each other."""
        return form(
            [
                ("A frame every (s)", self.interval_s.native),
                ("For (s)", self.duration_s.native),
                ("Frames", self.frame_count.native),
                ("Buffer (s)", self.buffer_s.native),
            ]
        )

    def take(self, pixel_size_um: float | None) -> Take:
        """How frames are taken, by what the fields say."""
        return Take(
            interval_s=self.interval_s.value,
            duration_s=self.duration_s.value,
            pixel_size_um=pixel_size_um,
        )

    def enable(self, enabled: bool) -> None:
        """Let the fields be changed, or not: while it records, or where a layer is."""
        for field in self.fields:
            field.enabled = enabled


def _seconds(name: str, tooltip: str) -> FloatSpinBox:
    return FloatSpinBox(
        name=name, value=0, min=0, max=LONGEST_S, step=0.1, tooltip=tooltip
    )
