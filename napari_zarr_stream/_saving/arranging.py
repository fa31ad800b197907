"""Layers as the images of one store: which are its channels, which its labels."""

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from napari_zarr_stream._sources.channels import ChannelSource
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._sources.source import PlaneSource, SourceDescription
from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.names import folder_name, image_name
from napari_zarr_stream._writer.properties import StorageProperties

Tell = Callable[[str], object]


def warn(text: str) -> None:
    """Tell something as a warning, which napari shows."""
    warnings.warn(text, UserWarning, stacklevel=3)


def left_out(layers: Iterable[tuple[Any, str]]) -> str:
    """Words for layers that cannot be stored, by their names and types."""
    listed = ", ".join(f"{name!r} ({kind})" for name, kind in layers)
    return f"OME-Zarr holds images and labels; left out: {listed}"


def arranged(
    layers: Sequence[LayerSource], properties: StorageProperties, tell: Tell
) -> dict[str, PlaneSource]:
    """Layers as the images of one store, by their paths below its root."""
    layers = _with_known_axes(layers, tell)
    images = [layer for layer in layers if not layer.describe().is_label]
    labels = [layer for layer in layers if layer.describe().is_label]
    if not layers:
        raise InvalidProperties("no image or labels layer to save")
    if not images:  # then labels are
        images, labels = labels, []
    name = image_name(properties.path)
    image: PlaneSource = images[0] if len(images) == 1 else ChannelSource(images, name)
    sources: dict[str, PlaneSource] = {"": image}
    folders: list[str] = []
    for label in labels:
        _check_covers(label.describe(), image.describe())
        folders.append(folder_name(label.name, folders))
        sources[f"labels/{folders[-1]}"] = label
    return sources


def _with_known_axes(
    layers: Sequence[LayerSource], tell: Tell
) -> Sequence[LayerSource]:
    """The layers, with axes of others where they have none of their own."""
    known = [layer for layer in layers if not layer.guessed]
    known.sort(key=lambda layer: layer.describe().is_label)  # images first
    taken: dict[tuple[str, str], list[str]] = defaultdict(list)
    guessed: dict[str, list[str]] = defaultdict(list)
    placed = []
    for layer in layers:
        alike = ((other, layer.placed_as(other)) for other in known if layer.guessed)
        other, better = next((pair for pair in alike if pair[1]), (None, None))
        placed.append(better or layer)
        names = "".join(axis.name for axis in placed[-1].axes)
        if other is not None:
            taken[names, other.name].append(layer.name)
        elif layer.guessed:
            guessed[names].append(layer.name)
    for (axes, like), unnamed in taken.items():
        tell(f"axes of {_listed(unnamed)} are not named: taken from {like!r}, {axes}")
    for axes, unnamed in guessed.items():
        tell(
            f"axes of {_listed(unnamed)} are not named and were guessed: {axes}. If "
            "they are others, name them (layer.axis_labels, --axes) and save again"
        )
    return placed


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _check_covers(label: SourceDescription, image: SourceDescription) -> None:
    def sizes(description: SourceDescription) -> dict[str, int | None]:
        pairs = zip(description.axes, description.shape, strict=True)
        return {axis: size for axis, size in pairs if axis != "c"}

    if sizes(label) != sizes(image):
        raise InvalidProperties(
            f"labels {label.name!r} ({label.axes} of shape {label.shape}) do not cover "
            f"image {image.name!r} ({image.axes} of shape {image.shape}): save them "
            "one by one"
        )
