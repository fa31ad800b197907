"""What the settings come to, in words, and whether that can be recorded."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
from magicgui.widgets import Label

from napari_zarr_stream._recording.disk import free_bytes
from napari_zarr_stream._recording.summary import summary_of
from napari_zarr_stream._sources.source import SourceDescription
from napari_zarr_stream._writer.errors import InvalidProperties, ZarrStreamError
from napari_zarr_stream._writer.plan import Plan, plan
from napari_zarr_stream._writer.properties import StorageProperties
from napari_zarr_stream._writer.words import size_in_words

from .form import PROBLEM_STYLE

MEMORY_SHARE = 0.8
"""Of the memory that is free, what a recording may plan to take."""

Planned = Sequence[tuple[SourceDescription, StorageProperties]]


class PlanLine(Label):
    """Says what would be written, or why nothing can be."""

    def __init__(self) -> None:
        super().__init__(name="plan_line", label="", value="")

    def show_plan(self, planned: Callable[[], Planned]) -> bool:
        """Say what `planned` comes to; whether it can be recorded."""
        try:
            text, possible = _in_words(planned()), True
        except (ZarrStreamError, OSError) as error:
            text, possible = str(error), False
        self.value = text
        self.native.setStyleSheet("" if possible else PROBLEM_STYLE)
        return possible

    def clear(self) -> None:
        """Say nothing."""
        self.value = ""
        self.native.setStyleSheet("")


def _in_words(planned: Planned) -> str:
    plans: list[Plan] = [
        plan(properties, axes=of.axes, shape=of.shape, dtype=of.dtype)
        for of, properties in planned
    ]
    check_memory(plans)
    free = room_for(planned[0][1].path)
    return summary_of(
        [
            (each, properties, of)
            for each, (of, properties) in zip(plans, planned, strict=True)
        ],
        free,
    )


def check_memory(plans: Sequence[Plan]) -> None:
    """Raise `InvalidProperties` where recordings need more than there is."""
    free = psutil.virtual_memory().available
    needed = sum(planned.peak_memory_bytes for planned in plans)
    if needed > MEMORY_SHARE * free:
        raise InvalidProperties(
            f"This needs {size_in_words(needed)} of memory, and "
            f"{size_in_words(free)} are free: turn on shards, or lower the chunk cap."
        )


def room_for(path: Path) -> int | None:
    """Bytes free on the disk that will hold `path`; None where nobody can say.

    Raises
    ------
    InvalidProperties
        Nothing can be written there.
    """
    there = next(parent for parent in path.parents if os.path.lexists(parent))
    if not there.is_dir():
        raise InvalidProperties(f"{there} is not a folder: choose another place.")
    if not os.access(there, os.W_OK):
        raise InvalidProperties(f"You may not write to {there}: choose another folder.")
    free = free_bytes(there)
    if free == 0:
        raise InvalidProperties(
            f"There is no space left in {there}: make room, or choose another folder."
        )
    return free
