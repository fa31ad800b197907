"""Levels of an image that is still written: arrays whose first axis grows.

They only ever show what is committed. How far that is they are told by whoever has
them, who may ask `progress_of` a store.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.record import RECORD_KEY, RecordKey

from .axes import Notes
from .contrast import contrast_of
from .documents import mapping, open_node, sequence, understanding
from .image import BEING_WRITTEN, StoredImage, state_of
from .kept import KeptArray
from .layers import RANGE_KEY, LayerData, counted_at_any_length
from .lazy import LazyArray

Pixels = npt.NDArray[np.generic]

ATTEMPTS = 3
"""To read what is committed. Where no lease keeps readers away while the end of a shard
moves, the first may meet it."""

READS_KEPT = 2
"""Of each level: napari reads the smallest one for the thumbnail at every change of the
view, and again for the picture where it shows that one."""


class StoredLevel:
    """A level on disk, opened when it is read, and again for what came later.

    Parameters
    ----------
    path : Path or None
        None while it is not known where it will be: nothing is committed then.
    shape : tuple of int
        Now. The first number is assigned anew when more is committed.
    dtype : numpy.dtype
    chunks : tuple of int
    """

    def __init__(
        self,
        path: Path | None,
        shape: tuple[int, ...],
        dtype: np.dtype[np.generic],
        chunks: tuple[int, ...],
    ) -> None:
        self.path = path
        self.shape = shape
        self.dtype = dtype.newbyteorder("=")
        self.chunks = chunks
        self._array: Any = None
        self._kept: OrderedDict[str, Pixels] = OrderedDict()

    def grow(self, steps: int) -> None:
        """So many steps along the first axis are committed."""
        self.shape = (steps, *self.shape[1:])

    def __getitem__(self, key: tuple[int | slice, ...]) -> Pixels:
        """Read pixels; as `ZarrArray`, within the present shape.

        Raises
        ------
        InvalidStore
            It cannot be read, or is not as long as its shape.
        """
        name = repr(key)
        kept = self._kept.pop(name, None)
        if kept is None:
            kept = self._read(key)
        self._kept[name] = kept
        while len(self._kept) > READS_KEPT:
            self._kept.popitem(last=False)
        return kept.copy()

    def _read(self, key: tuple[int | slice, ...]) -> Pixels:
        first = key[0]
        steps = first.stop if isinstance(first, slice) else first + 1
        for attempt in range(ATTEMPTS):
            try:
                pixels: Pixels = self._opened(steps)[key]
            except InvalidStore:
                self._array = None
                if attempt + 1 == ATTEMPTS:
                    raise
            else:
                return pixels
        raise AssertionError("the last attempt returns or raises")

    def _opened(self, steps: int) -> Any:
        from .zarr_array import ZarrArray  # 0.3 s, which listing readers need not cost

        if self._array is None or self._array.shape[0] < steps:
            if self.path is None:
                raise InvalidStore("nothing is committed yet")
            array = KeptArray(ZarrArray(self.path))
            if array.shape[0] < steps or array.shape[1:] != self.shape[1:]:
                raise InvalidStore(
                    f"array {self.path} is of shape {array.shape}, and should have "
                    f"{steps} steps of {self.shape[1:]}"
                )
            self._array = array
        return self._array


class Growing(Protocol):
    """Pixels whose first axis grows: a `StoredLevel`, or what knows of more."""

    dtype: np.dtype[np.generic]
    chunks: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Now."""

    def __getitem__(self, key: tuple[int | slice, ...]) -> Pixels:
        """As of `StoredLevel`."""


class GrowingArray:
    """A view of pixels that grow, with the shape that they have when it is asked.

    Parameters
    ----------
    pixels : Growing
    view : LazyArray, optional
        Of which channel, and in which order of axes, they are seen. The first axis
        stays the first.
    """

    def __init__(self, pixels: Growing, view: LazyArray | None = None) -> None:
        self.pixels = pixels
        self._view = view or LazyArray(pixels)
        self.dtype = pixels.dtype
        self.ndim = self._view.ndim

    @property
    def now(self) -> LazyArray:
        """The view of what there is now."""
        return self._view.over(self.pixels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Now."""
        return (self.pixels.shape[0], *self._view.shape[1:])

    @property
    def size(self) -> int:
        """Number of pixels, now."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size in memory once it is read."""
        return self.size * self.dtype.itemsize

    @property
    def chunks(self) -> tuple[int, ...]:
        """How many pixels of each axis are stored together."""
        return self._view.chunks

    def __len__(self) -> int:
        return self.pixels.shape[0]

    def __repr__(self) -> str:
        return f"GrowingArray(shape={self.shape}, dtype={self.dtype})"

    def __getitem__(self, key: Any) -> LazyArray | Pixels:
        """As of `LazyArray`."""
        return self.now[key]

    def transpose(self, *axes: Any) -> LazyArray:
        """As of `LazyArray`; it grows no more."""
        return self.now.transpose(*axes)

    def astype(self, dtype: npt.DTypeLike) -> Pixels:
        """Read, and convert."""
        return self.now.astype(dtype)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> Pixels:
        return self.now.__array__(dtype, copy)


def as_growing(
    image: StoredImage, layers: list[LayerData], notes: Notes
) -> list[LayerData]:
    """Layers of an image that is still written, so that they can follow it.

    Whoever records says how bright the frames are when they are all there: before,
    what there is is looked at.
    """
    if image.channel_axis == 0:
        return layers  # what comes are further layers
    levels = list(zip(image.level_paths, image.levels, strict=True))

    def grown(number: int, view: LazyArray) -> GrowingArray:
        path, level = levels[number]
        assert isinstance(image.path, Path)  # none but those are followed
        stored = StoredLevel(image.path / path, level.shape, level.dtype, level.chunks)
        return GrowingArray(stored, view)

    growing: list[LayerData] = []
    for data, meta, kind in layers:
        if kind == "image" and meta["contrast_limits"] == meta["metadata"][RANGE_KEY]:
            smallest = data[-1] if meta["multiscale"] else data
            meta["contrast_limits"], _ = contrast_of([smallest], notes)
        if kind == "image" and meta["multiscale"]:
            data = [grown(*numbered) for numbered in enumerate(data)]
        elif kind == "image":
            data = grown(0, data)
        first = counted_at_any_length(meta["scale"][0], meta["translate"][0])
        for key, value in zip(("scale", "translate"), first, strict=True):
            meta[key] = [value, *meta[key][1:]]
        growing.append((data, meta, kind))
    return growing


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an image has come that is written by somebody.

    Attributes
    ----------
    steps : int
        Committed, along the first axis.
    state : str
        As of `state_of`.
    finish_reason : str
        Empty while it goes on, and where nobody has said it.
    """

    steps: int
    state: str
    finish_reason: str

    @property
    def goes_on(self) -> bool:
        """Whether somebody still writes it."""
        return self.state.startswith(BEING_WRITTEN)


def progress_of(image: Path, level: Path) -> Progress:
    """Ask two small documents, and the lock.

    Parameters
    ----------
    image : Path
    level : Path
        The first of its levels.

    Raises
    ------
    InvalidStore
        They are not there, or cannot be read now.
    """
    with understanding(image):
        node = open_node(image)
        record = mapping(node.attributes.get(RECORD_KEY)) if node else {}
        state = state_of(image, record)
        # Afterwards: of one that has ended it is the last word.
        array = open_node(level)
        if node is None or array is None:
            raise InvalidStore(f"{image} is not there any more")
        steps = int(sequence(array.document.get("shape"))[0])
        reason = str(record.get(RecordKey.FINISH_REASON, ""))
        return Progress(steps, state, reason)
