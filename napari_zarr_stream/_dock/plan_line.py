"""What the settings come to, in words, and whether that can be recorded."""

from collections.abc import Callable, Sequence

from magicgui.widgets import Label
from qtpy.QtWidgets import QLabel

from napari_zarr_stream._recording.summary import Summary, summary_of
from napari_zarr_stream._sources.open_stream import plan_of
from napari_zarr_stream._sources.source import SourceDescription
from napari_zarr_stream._writer.errors import ZarrStreamError
from napari_zarr_stream._writer.memory import check_memory, check_open_files
from napari_zarr_stream._writer.properties import StorageProperties

from .form import PROBLEM_STYLE, Fold, wrapping
from .place import Place, PlaceIsAwaited

Planned = Sequence[tuple[SourceDescription, StorageProperties]]


class PlanLine(Label):
    """Says what would be written, or why nothing can be.

    Its `value` is all of it. In its place are three short lines of that; the others are
    in a fold.
    """

    def __init__(self) -> None:
        self._details = wrapping(QLabel())
        self.details = Fold("Details", self._details)
        super().__init__(name="plan_line", label="", value="")
        wrapping(self.native)

    def get_value(self) -> str:
        """See magicgui."""
        return "\n".join(filter(None, [super().get_value(), self._details.text()]))

    def set_value(self, value: str) -> None:
        """See magicgui."""
        self._say(value)

    def _say(self, brief: str, details: str = "", style: str = "") -> None:
        self._details.setText(details)
        self.details.setVisible(bool(details))
        super().set_value(brief)
        self.native.setStyleSheet(style)
        self.native.setVisible(bool(brief))

    def show_plan(self, planned: Callable[[], tuple[Planned, Place]]) -> bool:
        """Say what `planned` comes to; whether it can be recorded.

        It gives what is to be recorded, and where.
        """
        return self.show_words(lambda: _in_words(*planned()))

    def show_words(self, words: Callable[[], Summary]) -> bool:
        """Say what `words` says, or why it cannot; whether it can."""
        try:
            summary = words()
        except PlaceIsAwaited as awaited:
            self._say(str(awaited))
            return False
        except (ZarrStreamError, OSError) as error:
            self._say(str(error), style=PROBLEM_STYLE)
            return False
        self._say(summary.brief, summary.details)
        return True

    def clear(self) -> None:
        """Say nothing."""
        self._say("")


def _in_words(planned: Planned, place: Place) -> Summary:
    plans = [plan_of(properties, of) for of, properties in planned]
    check_memory(sum(each.peak_memory_bytes for each in plans))
    check_open_files(plans)
    return summary_of(
        [
            (each, properties, of)
            for each, (of, properties) in zip(plans, planned, strict=True)
        ],
        place.free_bytes,
        has_holes=place.has_holes,
    )
