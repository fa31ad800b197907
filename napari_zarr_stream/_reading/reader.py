"""A store -> napari layers: the npe2 reader, and what reopens a finished recording."""

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from napari_zarr_stream._writer.colours import digits_of
from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.names import is_store_name
from napari_zarr_stream._writer.ngff import BF2RAW
from napari_zarr_stream._writer.record import RECORD_KEY

from .acquired import notes_of, of_image, of_set
from .addresses import is_address
from .axes import Notes
from .contents import (
    BY_THEMSELVES,
    MAX_IMAGES,
    MAX_POSITIONS,
    Found,
    find_inside,
    labels_in,
    no_zarr,
    refuse_more,
    scene_of,
    series_of,
    without_words,
)
from .documents import SCENE, Node, mapping, open_node, understanding
from .growing import as_growing
from .image import (
    BEING_WRITTEN,
    WHOLE,
    multiscales_of,
    open_image,
    readable,
    shown,
    state_of,
)
from .layers import RANGE_KEY, LayerData, image_layers, plain_layer
from .locate import Named, is_opened_whole, located
from .location import Location, inside, path_below
from .positions import (
    POSITIONS_KEY,
    Positions,
    Together,
    positions_together,
)

PathOrPaths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

MAX_TOGETHER = 16
"""Images that nothing lists, and that are shown together all the same."""


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """npe2 reader: `read` for a folder that is OME-Zarr or a Zarr array, else None."""
    try:
        named = single(path)
        if is_address(os.fspath(named)):
            return read  # which asks for it where no window waits
        root = located(named)
        node = open_node(root)
        if node is None and not (is_store_name(root.name) and root.is_dir()):
            return None
        if node is not None and (node.is_array or node.kind):
            return read
        return read if find_inside(root) else None
    except InvalidStore:
        return read  # which then says what is wrong


def takes_time(path: PathOrPaths) -> bool:
    """Whether what is there is read where no window waits: far away, or many images."""
    named = single(path)
    if is_address(os.fspath(named)):
        return True
    try:
        node = open_node(located(named))
    except InvalidStore:
        return False
    return node is not None and node.kind in ("plate", BF2RAW)


def read(path: PathOrPaths) -> list[LayerData]:
    """npe2 reader: see `layers_of`."""
    return layers_of(single(path))


def single(path: PathOrPaths) -> str | os.PathLike[str]:
    """The one path that is given; several stores are not slices of one stack."""
    if isinstance(path, str | os.PathLike):
        return path
    return path[0] if len(path) == 1 else os.devnull


def layers_of(path: Named, positions: Positions = Positions.SLIDER) -> list[LayerData]:
    """Layers of a store, as pyramids that read only what is shown.

    One for each channel and one for each label image. Images of a plate or a well are
    put together, each acquisition by itself; so are positions.

    Parameters
    ----------
    path : path
    positions : Positions
        How those are shown that are of one kind.

    Returns
    -------
    list of (data, metadata, layer type)
        Our own record is in the metadata, under "napari_zarr_stream".

    Raises
    ------
    InvalidStore
        Nothing there that can be shown; says why.

    Warns
    -----
    UserWarning
        Something is odd, and what was made of it.
    """
    layers, notes = layers_and_notes(path, positions)
    if notes:
        warnings.warn("\n".join(notes), UserWarning, stacklevel=2)
    return layers


def layers_and_notes(
    path: Named, positions: Positions = Positions.SLIDER
) -> tuple[list[LayerData], Notes]:
    """As `layers_of`, with what is odd as sentences; from any thread."""
    root = located(path)
    notes: Notes = []
    with understanding(root):
        layers = _layers_in(root, positions, notes)
        _tell_acquired(root, notes)
    if "napari" in sys.modules:
        _watch_layers()
    return layers, list(dict.fromkeys(notes))


def _layers_in(root: Location, positions: Positions, notes: Notes) -> list[LayerData]:
    node = open_node(root)
    if node is not None and node.is_array:
        return [plain_layer(root, notes)]
    if node is not None and node.kind == BF2RAW:
        return _series_layers(node, positions, notes)
    if node is not None and node.kind:
        return _layers_of(node, notes)
    found = find_inside(root) if root.is_dir() else Found((), ())
    what = (
        "a Zarr group without an OME-NGFF image" if node else "no Zarr group or array"
    )
    if node is None and not is_opened_whole(root):
        raise no_zarr(root, found)
    node = node or Node(root, False, 3, {}, {})
    if found.images and len(found.images) <= MAX_TOGETHER:
        notes.append(f"{root} is {what}; shown are {found.in_words()}")
        return _all_layers(root, found.images, notes)
    if not found.images and (image := without_words(node, found)):
        return _layers_of(image, notes)
    inside = f". It holds {found.in_words()}: open one of them" if found else ""
    raise InvalidStore(f"{root} is {what}{inside}")


def _tell_acquired(root: Location, notes: Notes) -> None:
    """What is black because it was never acquired; not of what is being acquired."""
    node = open_node(root)
    if node is None:
        return
    record = mapping(node.attributes.get(RECORD_KEY))
    if not state_of(root, record).startswith(BEING_WRITTEN):
        notes += notes_of(root, partial(of_set, node))


def _layers_of(node: Node, notes: Notes) -> list[LayerData]:
    """Layers of a group that says what it is."""
    if node.kind in ("plate", "well"):
        from .plate import plate_images

        images = plate_images(node, notes)
        return [
            layer
            for image in images
            for layer in image_layers(image, _has_colormap, notes)
        ]
    if node.kind == BF2RAW:
        return _series_layers(node, Positions.SLIDER, notes)
    if node.kind == SCENE:
        notes.append(f"{node.path}: {BY_THEMSELVES}")
        return _all_layers(node.path, scene_of(node), notes)
    if node.kind == "labels":
        if layers := _label_layers(node.path, notes):
            return layers
        raise InvalidStore(
            f"{node.path} has no label image that can be shown: {'; '.join(notes)}"
        )
    layers = []
    for number in range(min(len(multiscales_of(node)), MAX_IMAGES)):
        try:
            layers += _image_layers(node, number, notes)
        except InvalidStore as error:
            if not number:
                raise
            notes.append(f"left out image {number} of {node.path}: {error}")
    return layers + _labels_beside(node, notes)


def _has_colormap(name: str, colors: Sequence[str] | None) -> bool:
    from napari.utils.colormaps import AVAILABLE_COLORMAPS

    known = AVAILABLE_COLORMAPS.get(name)
    if known is None or colors is None:
        return known is not None
    return [digits_of(color) for color in known.colors] == colors


def _image_layers(node: Node, number: int, notes: Notes) -> list[LayerData]:
    """Layers of one image of a group."""
    path, image = node.path, open_image(node, number)
    state = state_of(path, image.record)
    if state != WHOLE and not state.startswith(BEING_WRITTEN):
        if 0 in image.levels[0].shape:
            raise InvalidStore(f"{path} has no committed frames: {state}")
        notes.append(f"{path} is {state}")
    goes_on = state.startswith(BEING_WRITTEN)
    if not goes_on:
        notes += notes_of(path, partial(of_image, image))
    readable_image = readable(shown(image))
    layers = image_layers(readable_image, _has_colormap, notes)
    return as_growing(readable_image, layers, notes) if goes_on else layers


def _labels_beside(node: Node, notes: Notes) -> list[LayerData]:
    """Labels of an image, which is shown also where these cannot be."""
    try:
        return _label_layers(node.path / "labels", notes, node)
    except InvalidStore as error:
        notes.append(f"left out the labels: {error}")
        return []


def _series_layers(node: Node, positions: Positions, notes: Notes) -> list[LayerData]:
    """Layers of several images, or of what lies there where none are listed."""
    paths = series_of(node, MAX_POSITIONS, notes)
    if not paths:
        return _all_layers(node.path, find_inside(node.path).images, notes)
    with understanding(node.path):
        images = positions_together(node, paths, positions, notes)
    refuse_more(node.path, len(images))
    return _all_layers(node.path, images, notes)


def _all_layers(
    where: Location, images: Sequence[Node | Location | Together], notes: Notes
) -> list[LayerData]:
    """Layers of several images; one that cannot be shown does not hide the others."""
    layers: list[LayerData] = []
    failures: list[InvalidStore] = []
    for image in images:
        try:
            name, found = _layers_of_one(image, notes)
            taken = {meta["name"] for _, meta, _ in layers}
            for _, meta, _ in found:
                if meta["name"] in taken:
                    meta["name"] = f"{name}: {meta['name']}"
            layers += found
        except InvalidStore as error:
            failures.append(error)
    if not layers:
        raise (
            failures[0]
            if failures
            else InvalidStore(f"{where}: there is no image in it")
        )
    notes.extend(f"left out an image: {failure}" for failure in failures)
    return layers


def _layers_of_one(
    image: Node | Location | Together, notes: Notes
) -> tuple[str, list[LayerData]]:
    """Name and layers of one of several images, or of those that are shown as one."""
    if isinstance(image, Together):
        layers = image_layers(image.image, _has_colormap, notes)
        for _, meta, _ in layers:
            meta["metadata"][POSITIONS_KEY] = list(image.names)
        return image.image.name, layers
    node = image if isinstance(image, Node) else open_node(image)
    if node is not None and not node.kind:
        node = without_words(node)
    if node is None:
        raise InvalidStore(f"{image} is no image")
    with understanding(node.path):
        return node.path.name, _layers_of(node, notes)


def _label_layers(
    group: Location, notes: Notes, beside: Node | None = None
) -> list[LayerData]:
    """Label images of a `labels` group; a damaged one does not hide the others."""
    layers: list[LayerData] = []
    for path in labels_in(group):
        try:
            child = open_node(inside(group, path_below(group, path)))
            if child is None:
                raise InvalidStore(f"{path} is not there")
            if not child.kind:
                child = without_words(child) or child
            with understanding(path):
                image = readable(shown(open_image(child, beside=beside)))
                layers += image_layers(image, _has_colormap, notes, is_label=True)
        except InvalidStore as error:
            notes.append(f"left out a label image: {error}")
    return layers


def _watch_layers() -> None:
    """See to it that contrast can be chosen from all values that pixels may have.

    napari takes for that range what is first shown, and takes another of no layer that
    is not there yet.
    """
    import napari

    viewer = napari.current_viewer()
    if viewer is not None:
        viewer.layers.events.inserted.connect(_widen_range)


def _widen_range(event: Any) -> None:
    layer = event.value
    if given := layer.metadata.get(RANGE_KEY):
        low, high = layer.contrast_limits
        layer.contrast_limits_range = min(low, given[0]), max(high, given[1])
