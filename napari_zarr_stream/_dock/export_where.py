"""Where exported layers go, and what that comes to in words."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from magicgui.widgets import PushButton
from napari.layers import Labels
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QMessageBox, QWidget

from napari_zarr_stream._recording.summary import Summary
from napari_zarr_stream._saving.export import memory_of, planned_images
from napari_zarr_stream._saving.into_store import LABELS, is_ours, store_of_labels
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._viewer.as_source import store_of
from napari_zarr_stream._viewer.exporting import ExportJob
from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.memory import check_memory
from napari_zarr_stream._writer.names import (
    folder_name,
    is_store_name,
    split_ending,
)
from napari_zarr_stream._writer.plan import Plan
from napari_zarr_stream._writer.properties import StorageProperties
from napari_zarr_stream._writer.words import count_in_words, size_in_words

from .place import PlaceLook
from .storage_section import StorageSection

ENDING = ".ome.zarr"

MOST_IMAGES = 2
"""That are told of at once; of the others in the details."""

WITH_LEVELS = 4 / 3
"""Pixels of all levels to those of the first."""

Group = tuple[Sequence[Any], Sequence[LayerSource]]


class ExportWhere(QObject):
    """Jobs for what is chosen, at places where nothing is yet.

    `changed` says that a disk has answered.

    Parameters
    ----------
    storage : StorageSection
    viewer : napari.Viewer
    parent : QWidget
    """

    changed = Signal()

    def __init__(self, storage: StorageSection, viewer: Any, parent: QWidget) -> None:
        super().__init__(parent)
        self._storage = storage
        self._viewer = viewer
        self._looks: list[PlaceLook] = []
        self.into_store = PushButton(name="into_store", text="", visible=False)
        self.into_store.clicked.connect(self._choose_into)
        self._into: Path | None = None
        self.free_bytes: int | None = None  # where the last of `jobs` goes

    def offer_into(self, chosen: Sequence[Any]) -> None:
        """Offer the store of an image for the one labels layer that is chosen."""
        is_labels = len(chosen) == 1 and isinstance(chosen[0], Labels)
        stores = map(store_of, self._viewer.layers) if is_labels else ()
        store = next(filter(None, stores), None)
        self._into = None
        if store is not None:
            self._into = store / LABELS / folder_name(chosen[0].name)
            self.into_store.text = f"Save into {store.name}"
            self.into_store.tooltip = f"With the image that they belong to: {store}"
        self.into_store.visible = store is not None

    def _choose_into(self) -> None:
        if self._into is not None:
            self._storage.uri.value = self._into

    def jobs(self, groups: Sequence[Group], method: str) -> list[ExportJob]:
        """What is to be exported, each to its place.

        Raises
        ------
        PlaceIsAwaited, InvalidProperties
        """
        chosen = Path(str(self._storage.uri.value)).expanduser().absolute()
        into = store_of_labels(chosen)
        if into is not None:
            return [self._job_into(into, chosen, groups, method)]
        names: list[str] = []
        jobs = []
        for number, (layers, sources) in enumerate(groups):
            names.append(folder_name(sources[0].name, names))
            wanted = _named(chosen, names[-1], several=len(groups) > 1)
            place = self._look(number).place_of(wanted, 1)
            [path], self.free_bytes = place.paths, place.free_bytes
            properties = self._properties_at(path, method)
            jobs.append(ExportJob(layers, sources, properties))
        return jobs

    def _job_into(
        self, store: Path, place: Path, groups: Sequence[Group], method: str
    ) -> ExportJob:
        sources = [source for _, some in groups for source in some]
        if len(sources) != 1 or not sources[0].describe().is_label:
            raise InvalidProperties(
                f"{place} is in the labels of {store}: choose one labels layer for it, "
                "or another place"
            )
        [layers, *_] = (layers for layers, _ in groups)
        properties = self._properties_at(place, method)
        return ExportJob(layers, sources, properties, store)

    def _properties_at(self, path: Path, method: str) -> StorageProperties:
        properties = self._storage.properties_at(path)
        return replace(properties, downsampling_method=method)

    def _look(self, number: int) -> PlaceLook:
        while len(self._looks) <= number:
            look = PlaceLook(self.parent())
            look.changed.connect(self.changed)
            self._looks.append(look)
        return self._looks[number]

    def look_again(self) -> None:
        """What was there has changed."""
        for look in self._looks:
            look.look_again()

    def agreed(self, jobs: Sequence[ExportJob], window: QWidget) -> list[ExportJob]:
        """The same; none where labels would be replaced and the user says no."""
        asked = []
        for job in jobs:
            path = job.properties.path
            if job.into is None or not is_ours(path):
                asked.append(job)
                continue
            answer = QMessageBox.question(
                window,
                "Replace labels",
                f"There are labels {path.name!r} in {job.into.name}. Replace them? "
                "Nothing else in the store changes.",
            )
            if answer != QMessageBox.StandardButton.Yes:
                return []
            properties = replace(job.properties, overwrite=True)
            asked.append(replace(job, properties=properties))
        return asked


def _named(chosen: Path, name: str, *, several: bool) -> Path:
    """The store to be made for what the user chose: a store's name, or a folder."""
    if not is_store_name(chosen):
        return chosen / f"{name}{ENDING}"
    if not several:
        return chosen
    stem, ending = split_ending(chosen)
    return chosen.with_name(f"{stem}_{name}{ending}")


def plan_in_words(jobs: Sequence[ExportJob], free: int | None, verify: bool) -> Summary:
    """What an export comes to: its images, their size, the memory it takes.

    Raises
    ------
    InvalidProperties
        Layers that do not go together, or more memory than there is.
    """
    images: list[str] = []
    details: list[str] = []
    memory = raw = 0
    for job in jobs:
        sources = job.sources if job.into is None else job.sources[:1]
        tell = details.append if job.into is None else _is_known
        planned = planned_images(sources, job.properties, tell)
        memory = max(memory, memory_of(planned.values(), verify))
        for path, image in planned.items():
            plan = image.plan
            raw += plan.bytes_per_plane * (plan.planes or 0)
            name = path or job.properties.path.name
            images.append(f"{name}: {_size_in_words(plan)}")
            kept = len(image.levels)
            levels = count_in_words(len(plan.level_shapes), "level")
            details.append(f"{name}: {levels}" + f", {kept} as they are" * (kept > 1))
            if image.times_read > 1:
                often = f"each chunk of {name} is read {image.times_read} times"
                details.append(f"Memory is short: {often}")
            details += plan.notes
    check_memory(memory)
    more = len(images) - MOST_IMAGES
    if more > 0:
        details = [*images[MOST_IMAGES:], *details]
        images[MOST_IMAGES:] = [f"and {count_in_words(more, 'more image')}"]
    fits = free is None or raw * WITH_LEVELS < free
    room = "" if fits else f", but only {size_in_words(free or 0)} free"
    size = f"{size_in_words(raw)} before compression{room}"
    [first, *_] = jobs
    details.append(f"Saves to {first.properties.path.parent}")
    brief = [*images, f"{size}, {size_in_words(memory)} of memory"]
    return Summary("\n".join(brief), "\n".join(dict.fromkeys(details)))


def _is_known(_: str) -> None:
    """Axes that labels do not name are those of their image."""


_STEPS = {"t": "time point", "c": "channel", "z": "plane"}


def _size_in_words(plan: Plan) -> str:
    """For example "2 channels, 60 planes of 1024 × 1024 px, uint16"."""
    *outer, height, width = zip(plan.axes, plan.shape, strict=True)
    steps = [count_in_words(size or 1, _STEPS[axis]) for axis, size in outer]
    of = " of " if steps else ""
    # Not broken in a narrow dock.
    size = f"{width[1]} × {height[1]} px".replace(" ", "\N{NO-BREAK SPACE}")
    return f"{', '.join(steps)}{of}{size}, {plan.dtype.name}"
