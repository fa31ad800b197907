"""The images of a run: axes, sizes, channels, names, and where a plane belongs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_zarr_stream._writer.colours import NAMED, RGB, WHITE, given_color
from napari_zarr_stream._writer.errors import FrameMismatch, InvalidProperties
from napari_zarr_stream._writer.plate import Plate
from napari_zarr_stream._writer.properties import Channel
from napari_zarr_stream._writer.set_images import ALONE

from .frame_format import FrameFormat
from .stacks import MAX_IMAGES, MAX_PLANES, Mask, Stack, stack_of

if TYPE_CHECKING:
    import useq

PLATES = ((2, 3), (3, 4), (4, 6), (6, 8), (8, 12), (16, 24), (32, 48))
"""Rows and columns of usual plates, for positions that say wells and nothing more."""

_DYES = (
    (("dapi", "hoechst", "bfp", "405"), "blue"),
    (("fitc", "gfp", "488"), "green"),
    (("rhodamine", "tritc", "rfp", "mcherry", "cy3", "561"), "red"),
    (("cy5", "647", "640"), "magenta"),
)
"""How channels are shown by what their names begin with or hold."""


@dataclass(frozen=True, slots=True)
class StagePlace:
    """Where an image is taken.

    Attributes
    ----------
    index : int
        Of the position, from 0.
    grid : int or None
        Which one of a grid at that position.
    name : str
        Of the position; empty where it has none.
    x_um, y_um, z_um : float or None
        As it was asked for; None where the stage is left where it is.
    row, column : int or None
        Of the well, from 0.
    """

    index: int
    grid: int | None = None
    name: str = ""
    x_um: float | None = None
    y_um: float | None = None
    z_um: float | None = None
    row: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class ImageLayout:
    """One image of a run.

    Attributes
    ----------
    path, name : str
    axes : str
        Some of "tczyx", in this order.
    shape : tuple of int
    channels : tuple of Channel
        One for each c, or the only one.
    scale : dict
        By axis, of those that are known; of t as it was asked for.
    units : dict
    place : StagePlace
    wanted : array of bool, (t, c, z)
        Which planes there will be.
    """

    path: str
    name: str
    axes: str
    shape: tuple[int, ...]
    channels: tuple[Channel, ...]
    scale: Mapping[str, float]
    units: Mapping[str, str]
    place: StagePlace
    wanted: Mask


@dataclass(frozen=True, slots=True)
class Layout:
    """All images of a run.

    Attributes
    ----------
    frame : FrameFormat
    images : tuple of ImageLayout
    plate : Plate or None
    planned : int
        Planes that are asked for.
    is_padded : bool
        Whether fields of a plate have planes that were never asked for, as all have the
        same shape.
    interval_s : float
        From one time point to the next; 0 where there is none, or no single one.
    """

    frame: FrameFormat
    images: tuple[ImageLayout, ...]
    plate: Plate | None
    planned: int
    is_padded: bool
    interval_s: float
    first_images: tuple[int, ...]
    """The number of the first image of each position."""

    def image_of(self, index: Mapping[str, int]) -> int:
        """The number of the image that an event belongs to, by its index.

        Raises
        ------
        FrameMismatch
            There is none.
        """
        position, tile = index.get("p", 0), index.get("g", 0)
        ends = (*self.first_images[1:], len(self.images))
        if 0 <= position < len(ends):
            number = self.first_images[position] + tile
            if tile >= 0 and number < ends[position]:
                return number
        raise FrameMismatch(
            f"an event came of position {position}, grid {tile}: the sequence has none"
        )

    def place_of(
        self, index: Mapping[str, int], color: int = 0
    ) -> tuple[int, int, int]:
        """Where a plane belongs along t, c and z, by the index of its event."""
        frame = self.frame
        camera = index.get("c", 0) * len(frame.cameras) + index.get("cam", 0)
        return index.get("t", 0), camera * frame.colors + color, index.get("z", 0)


def layout_of(sequence: "useq.MDASequence", frame: FrameFormat) -> Layout:
    """Images of a sequence, in milliseconds whatever its length.

    Raises
    ------
    InvalidProperties
        It has no images, too many, or planes without a place of their own; says which.
    """
    order = [str(axis) for axis in sequence.axis_order]
    positions: Sequence[Any] = sequence.stage_positions if "p" in order else ()
    made: list[tuple[Stack, StagePlace]] = []
    first_images = []
    stacks: dict[int | None, Stack] = {}
    for number, position in enumerate(positions or (None,)):
        own = None if position is None else position.sequence
        key = None if own is None else id(own)
        if key not in stacks:
            where = f"position {number}" if own is not None else "the sequence"
            stacks[key] = stack_of(sequence, own, frame, where)
        stack = stacks[key]
        if position is None and not stack.axes:
            raise InvalidProperties(
                "nobody can say beforehand which images come of a list or an iterator "
                "of events, or of an empty sequence: run a useq.MDASequence that has "
                "channels, positions, times or a z plan"
            )
        if len(made) + stack.tiles > MAX_IMAGES:
            raise InvalidProperties(
                f"there would be more than {MAX_IMAGES:,} images: a grid has "
                f"{stack.tiles:,} places. Check its area, its overlap and the pixel "
                "size"
                if stack.tiles > 1
                else f"there would be more than {MAX_IMAGES:,} images"
            )
        first_images.append(len(made))
        made += [(stack, place) for place in _places(number, position, stack)]
    planned = sum(int(stack.wanted.sum()) for stack, _ in made) * frame.planes
    if not 0 < planned <= MAX_PLANES:
        raise InvalidProperties(
            f"the sequence has {planned:,} planes; 1 to {MAX_PLANES:,} can be recorded"
        )
    plate, paths = _plate(positions, [place for _, place in made])
    alike = _padded([stack for stack, _ in made]) if plate else None
    images = tuple(
        _image(path, alike[number] if alike else stack, place, frame)
        for number, (path, (stack, place)) in enumerate(zip(paths, made, strict=True))
    )
    is_padded = any(
        image.wanted.size > stack.wanted.size * frame.planes
        for image, (stack, _) in zip(images, made, strict=True)
    )
    intervals = {stack.interval_s for stack, _ in made}
    return Layout(
        frame,
        images,
        plate,
        planned,
        is_padded,
        intervals.pop() if len(intervals) == 1 else 0.0,
        tuple(first_images),
    )


def load_sequence(path: Path) -> "useq.MDASequence":
    """A sequence of a file, .yaml or .json.

    Raises
    ------
    InvalidProperties
        It cannot be read, or is none; or useq is not installed.
    """
    try:
        import useq
    except ModuleNotFoundError:
        raise InvalidProperties(
            "sequences of Micro-Manager need what comes with pip install "
            '"napari-zarr-stream[micromanager]"'
        ) from None
    try:
        return useq.MDASequence.from_file(path)
    except Exception as error:
        raise InvalidProperties(f"{path} is no sequence of useq: {error}") from error


# ------------------------------------------------------------------------ positions


def _places(number: int, position: Any, stack: Stack) -> list[StagePlace]:
    """Where the images of a position are taken, in the order of useq."""
    at = StagePlace(number)
    if position is not None:
        at = StagePlace(
            number,
            name=position.name or "",
            x_um=position.x,
            y_um=position.y,
            z_um=position.z,
            row=position.plate_row,
            column=position.plate_col,
        )
    if stack.grid is None:
        return [at]
    is_known = getattr(stack.grid, "random_seed", 0) is not None
    tiles = list(stack.grid) if is_known else []
    places = [replace(at, grid=tile) for tile in range(stack.tiles)]
    for tile, where in enumerate(tiles[: stack.tiles]):
        x, y = where.x, where.y
        if stack.grid.is_relative:
            x, y = x + (at.x_um or 0), y + (at.y_um or 0)
        places[tile] = replace(at, grid=tile, x_um=x, y_um=y)
    if not is_known:
        places = [replace(place, x_um=None, y_um=None) for place in places]
    return places


def _plate(
    positions: Any, places: Sequence[StagePlace]
) -> tuple[Plate | None, list[str]]:
    """The plate that positions are on, if any, and the paths of images."""
    wells = [
        (place.row, place.column)
        for place in places
        if place.row is not None and place.column is not None
    ]
    if len(wells) < len(places):
        numbers = [str(number) for number in range(len(places))]
        return None, numbers if len(places) > 1 else [ALONE]
    known = getattr(positions, "plate", None)
    if known is not None:
        rows, columns, name = known.rows, known.columns, known.name
    else:
        most = [1 + max(each) for each in zip(*wells, strict=True)]
        usual = (size for size in PLATES if size[0] >= most[0] and size[1] >= most[1])
        rows, columns = next(usual, most)
        name = ""
    plate = Plate(
        name or "plate",
        tuple(map(_row_name, range(rows))),
        tuple(str(column + 1) for column in range(columns)),
    )
    fields: dict[str, int] = {}
    paths = []
    for row, column in wells:
        well = f"{plate.rows[row]}/{plate.columns[column]}"
        fields[well] = fields.get(well, -1) + 1
        paths.append(f"{well}/{fields[well]}")
    return plate, paths


def _row_name(row: int) -> str:
    """A, B, ... Z, AA, ..."""
    above, letter = divmod(row, 26)
    return (_row_name(above - 1) if above else "") + chr(ord("A") + letter)


def _padded(stacks: Sequence[Stack]) -> list[Stack]:
    """The same with one shape for all: readers show a plate as one array."""
    shape = [
        max(sizes) for sizes in zip(*(s.wanted.shape for s in stacks), strict=True)
    ]
    axes = "".join(axis for axis in "tgcz" if any(axis in s.axes for s in stacks))
    padded = {}
    for stack in stacks:
        if id(stack) not in padded:
            room = [
                (0, n - has) for n, has in zip(shape, stack.wanted.shape, strict=True)
            ]
            wanted = np.pad(stack.wanted, room)
            padded[id(stack)] = replace(stack, axes=axes, wanted=wanted)
    return [padded[id(stack)] for stack in stacks]


# --------------------------------------------------------------------------- images


def _image(
    path: str, stack: Stack, place: StagePlace, frame: FrameFormat
) -> ImageLayout:
    wanted = np.repeat(stack.wanted, frame.planes, axis=1)
    sizes = dict(zip("tcz", wanted.shape, strict=True))
    axes = "".join(
        axis for axis in "tcz" if sizes[axis] > 1 or (axis == "t" and "t" in stack.axes)
    )
    scale = {"t": stack.interval_s, "z": stack.z_step_um}
    scale |= dict.fromkeys("yx", frame.pixel_size_um)
    known = {axis: scale[axis] for axis in f"{axes}yx" if scale.get(axis)}
    name = place.name or f"p{place.index}"
    return ImageLayout(
        path,
        name if place.grid is None else f"{name} g{place.grid}",
        f"{axes}yx",
        (*(sizes[axis] for axis in axes), frame.height, frame.width),
        tuple(
            replace(channel, value_range=frame.value_range)
            for channel in _channels(stack.channels, stack.wanted.shape[1], frame)
        ),
        known,
        {axis: "second" if axis == "t" else "micrometer" for axis in known},
        place,
        wanted,
    )


def _channels(
    configs: Sequence[str], count: int, frame: FrameFormat
) -> tuple[Channel, ...]:
    names = [*configs, *(f"channel {c}" for c in range(len(configs), count))]
    if not configs and count == 1:
        names = [""]
    cameras = frame.cameras if len(frame.cameras) > 1 or not configs else ("",)
    of_cameras = [
        " ".join(filter(None, (name, camera))) for name in names for camera in cameras
    ]
    if frame.colors > 1:
        return tuple(
            Channel(" ".join(filter(None, (name, color))), NAMED[color])
            for name in of_cameras
            for color in RGB[: frame.colors]
        )
    if len(of_cameras) == 1:
        return (Channel(of_cameras[0] or "image", WHITE),)
    return tuple(
        Channel(name, color)
        for name, color in zip(of_cameras, _colors(of_cameras), strict=True)
    )


def _colors(names: Sequence[str]) -> list[str]:
    """Those of the dyes, if each has another one; else as for channels without."""
    colors = [
        next((color for words, color in _DYES if _names(name, words)), "")
        for name in names
    ]
    if "" in colors or len(set(colors)) < len(colors):
        return [given_color(number) for number in range(len(names))]
    return [NAMED[color] for color in colors]


def _names(name: str, words: Sequence[str]) -> bool:
    return any(word in name.lower() for word in words)
