"""A store -> napari layers: the npe2 reader, and what reopens a finished recording."""

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from napari_zarr_stream._writer.colours import digits_of
from napari_zarr_stream._writer.errors import InvalidStore

from .contents import kind_of, listed_in, series_of
from .documents import Node, inside, open_node, understanding
from .image import BEING_WRITTEN, WHOLE, open_image, state_of
from .layers import LayerData, image_layers, plain_layer

PathOrPaths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """npe2 reader: `read` for a folder that is OME-Zarr or a Zarr array, else None."""
    try:
        node = open_node(_single(path))
    except InvalidStore:
        return read  # which then says what is wrong
    if node is None or not (node.is_array or kind_of(node)):
        return None
    return read


def read(path: PathOrPaths) -> list[LayerData]:
    """npe2 reader: see `layers_of`."""
    return layers_of(_single(path))


def _single(path: PathOrPaths) -> Path:
    if isinstance(path, str | os.PathLike):
        return Path(path)
    # Several stores are not slices of one stack.
    return Path(path[0]) if len(path) == 1 else Path(os.devnull)


def layers_of(path: str | os.PathLike[str]) -> list[LayerData]:
    """Layers of a store, as pyramids that read only what is shown.

    One for each channel and one for each label image. Images of a plate or a well are
    put together, as ome-zarr does it.

    Returns
    -------
    list of (data, metadata, layer type)
        Our own record is in the metadata, under "napari_zarr_stream".

    Raises
    ------
    InvalidStore
        Nothing there that can be shown; says why.
    """
    root = Path(path)
    with understanding(root):
        return _layers_of(root)


def _layers_of(root: Path) -> list[LayerData]:
    node = open_node(root)
    if node is None:
        raise InvalidStore(f"{root} is not a Zarr group or array")
    if node.is_array:
        return [plain_layer(root)]
    kind = kind_of(node)
    if kind in ("plate", "well"):
        from .plate import plate_image  # ome-zarr takes 1 s to import

        return image_layers(plate_image(node), _has_colormap)
    if kind == "bioformats2raw.layout":
        return _series_layers(node)
    if kind == "multiscales":
        return _image_layers(node)
    if kind == "labels" and (layers := _label_layers(root)):
        return layers
    raise InvalidStore(f"{root} is a Zarr group without an OME-NGFF image")


def _has_colormap(name: str, colors: Sequence[str] | None) -> bool:
    from napari.utils.colormaps import AVAILABLE_COLORMAPS

    known = AVAILABLE_COLORMAPS.get(name)
    if known is None or colors is None:
        return known is not None
    return [digits_of(color) for color in known.colors] == colors


def _image_layers(node: Node) -> list[LayerData]:
    """Layers of an image and its labels."""
    path, image = node.path, open_image(node)
    state = state_of(path, image.record)
    if state != WHOLE and not state.startswith(BEING_WRITTEN):
        if 0 in image.levels[0].shape:
            raise InvalidStore(f"{path} has no committed frames: {state}")
        warnings.warn(f"{path} is {state}", UserWarning, stacklevel=4)
    return image_layers(image, _has_colormap) + _label_layers(path / "labels")


def _series_layers(node: Node) -> list[LayerData]:
    """Layers of several images; one that cannot be shown does not hide the others."""
    layers: list[LayerData] = []
    failures: list[InvalidStore] = []
    for child in series_of(node):
        try:
            if (image := open_node(child)) is None:
                raise InvalidStore(f"{child} is not there")
            with understanding(child):
                layers += _image_layers(image)
        except InvalidStore as error:
            failures.append(error)
    if failures and not layers:
        raise failures[0]
    for failure in failures:
        warnings.warn(f"left out an image: {failure}", UserWarning, stacklevel=4)
    return layers


def _label_layers(group: Path) -> list[LayerData]:
    """Label images of a `labels` group; a damaged one does not hide the others."""
    node = open_node(group)
    names = node.ome.get("labels") if node else None
    layers = []
    for name in listed_in(group, names):
        try:
            child = open_node(inside(group, name))
            if child is None:
                raise InvalidStore(f"{group / str(name)} is not there")
            with understanding(child.path):
                layers += image_layers(open_image(child), _has_colormap, is_label=True)
        except InvalidStore as error:
            warnings.warn(f"left out a label image: {error}", UserWarning, stacklevel=2)
    return layers
