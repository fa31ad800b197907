"""What the settings come to, in words, and whether that can be recorded."""

from collections.abc import Callable, Sequence

from magicgui.widgets import Label

from napari_zarr_stream._recording.summary import summary_of
from napari_zarr_stream._sources.open_stream import plan_of
from napari_zarr_stream._sources.source import SourceDescription
from napari_zarr_stream._writer.errors import ZarrStreamError
from napari_zarr_stream._writer.memory import check_memory
from napari_zarr_stream._writer.properties import StorageProperties

from .form import PROBLEM_STYLE
from .place import PlaceIsAwaited

Planned = Sequence[tuple[SourceDescription, StorageProperties]]


class PlanLine(Label):
    """Says what would be written, or why nothing can be."""

    def __init__(self) -> None:
        super().__init__(name="plan_line", label="", value="")

    def show_plan(self, planned: Callable[[], tuple[Planned, int | None]]) -> bool:
        """Say what `planned` comes to; whether it can be recorded.

        It gives what is to be recorded, and the bytes that are free.
        """
        problem = ""
        try:
            self.value, possible = _in_words(*planned()), True
        except PlaceIsAwaited as awaited:
            self.value, possible = str(awaited), False
        except (ZarrStreamError, OSError) as error:
            self.value, possible, problem = str(error), False, PROBLEM_STYLE
        self.native.setStyleSheet(problem)
        return possible

    def clear(self) -> None:
        """Say nothing."""
        self.value = ""
        self.native.setStyleSheet("")


def _in_words(planned: Planned, free: int | None) -> str:
    plans = [plan_of(properties, of) for of, properties in planned]
    check_memory(sum(each.peak_memory_bytes for each in plans))
    return summary_of(
        [
            (each, properties, of)
            for each, (of, properties) in zip(plans, planned, strict=True)
        ],
        free,
    )
