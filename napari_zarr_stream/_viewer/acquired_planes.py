"""What live layers of a run show: the newest plane, a stored one, or black.

Knows no Qt and no napari. Nothing is read where a layer asks for pixels: what is not
in memory is read in the background, one plane after the other, and is black until then.
"""

import itertools
import math
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from concurrent.futures import Future  # noqa: TC003 - of an attribute
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._acquisition.acquisition import Acquisition
from napari_zarr_stream._acquisition.layout import ImageLayout, Layout
from napari_zarr_stream._reading.bounds import refuse_beyond_memory
from napari_zarr_stream._reading.zarr_array import ZarrArray
from napari_zarr_stream._writer.errors import InvalidStore

from .background import in_background

Pixels = npt.NDArray[np.generic]
Place = tuple[int, int, int]
Key = tuple[int, Place]
"""Of a plane: the number of its image, and t, c, z."""

KEPT_BYTES = 256 * 2**20
"""Of planes that were looked at: 32 of 2048 x 2048 uint16."""

MOST_WISHES = 256
"""Planes of a stack that is looked at as a volume."""

AGAIN_S = 0.25
"""Before a plane is asked for again that was not committed: as often as it happens."""


class StoredPlanes:
    """Planes of a run under way, read from its store in the background.

    Parameters
    ----------
    acquisition : Acquisition
    layout : Layout
    """

    def __init__(self, acquisition: Acquisition, layout: Layout) -> None:
        self._acquisition, self._layout = acquisition, layout
        self.root = acquisition.properties.path
        self._kept: OrderedDict[Key, Pixels] = OrderedDict()
        self._wishes: OrderedDict[Key, None] = OrderedDict()
        self._reading: Future[dict[Key, Pixels]] | None = None
        self._read_at = 0.0
        self.failure = ""

    def plane(self, key: Key) -> Pixels | None:
        """A plane that is in memory; of others that were acquired, one is read soon."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if self._acquisition.has(*key):
            self._wishes[key] = None
            self._wishes.move_to_end(key)
            while len(self._wishes) > MOST_WISHES:
                self._wishes.popitem(last=False)
        return None

    def take(self) -> bool:
        """Take what was read meanwhile, have more read; whether there is something."""
        came: dict[Key, Pixels] = {}
        if self._reading is not None:
            if not self._reading.done():
                return False
            try:
                came = self._reading.result()
                self.failure = ""
            except (InvalidStore, OSError) as error:
                self.failure = str(error)
            self._reading = None
            self._keep(came)
        if self._wishes and time.perf_counter() - self._read_at > AGAIN_S * (not came):
            wanted = list(self._wishes)[::-1]
            self._read_at = time.perf_counter()
            self._reading = in_background(
                lambda: self._read(wanted), may_be_dropped=True
            )
        return bool(came)

    def _keep(self, came: Mapping[Key, Pixels]) -> None:
        self._kept |= came
        for key in came:
            self._wishes.pop(key, None)
        while len(self._kept) > 1 and self._bytes() > KEPT_BYTES:
            self._kept.popitem(last=False)

    def _bytes(self) -> int:
        return sum(plane.nbytes for plane in self._kept.values())

    def _read(self, keys: Sequence[Key]) -> dict[Key, Pixels]:
        """Thread "background": those that are committed; of a black one none knows."""
        found: dict[Key, Pixels] = {}
        arrays: dict[int, ZarrArray] = {}
        for number, place in keys:
            image = self._layout.images[number]
            if number not in arrays:
                arrays[number] = ZarrArray(self.root / image.path / "0")
            array = arrays[number]
            at = dict(zip("tcz", place, strict=True))
            outer = tuple(at[axis] for axis in image.axes[:-2])
            if all(i < size for i, size in zip(outer, array.shape, strict=False)):
                plane = array[(*outer, slice(None), slice(None))]
                if plane.any():
                    found[number, place] = plane
        return found


@dataclass(frozen=True, slots=True)
class Alike:
    """Images of a run that are shown as one, with a slider.

    Attributes
    ----------
    numbers : tuple of int
        Of the images.
    first : ImageLayout
    axes : str
        With "p" where there are several; no "c".
    shape : tuple of int
        With room for the largest.
    """

    numbers: tuple[int, ...]
    first: ImageLayout
    axes: str
    shape: tuple[int, ...]

    def key(self, at: Sequence[int], channel: int) -> Key:
        """Which plane is at a place along the axes before y and x."""
        where = dict(zip(self.axes, at, strict=False))
        place = where.get("t", 0), channel, where.get("z", 0)
        return self.numbers[where.get("p", 0)], place

    def at(self, key: Key) -> tuple[int, ...]:
        """The place of a plane along the axes before y and x."""
        number, (t, _, z) = key
        where = {"p": self.numbers.index(number), "t": t, "z": z}
        return tuple(where[axis] for axis in self.axes[:-2])


def alike_in(layout: Layout) -> list[Alike]:
    """Images by what they are shown with: axes, channels, size and type."""
    kinds: dict[Hashable, list[int]] = {}
    for number, image in enumerate(layout.images):
        kind = image.axes, image.channels, image.shape[-2:]
        kinds.setdefault(kind, []).append(number)
    found = []
    for numbers in kinds.values():
        images = [layout.images[number] for number in numbers]
        largest = map(max, zip(*(image.shape for image in images), strict=True))
        sizes = dict(zip(images[0].axes, largest, strict=True)) | {"p": len(numbers)}
        several = "p" if len(numbers) > 1 else ""
        axes = several + images[0].axes.replace("c", "")
        shape = tuple(sizes[axis] for axis in axes)
        found.append(Alike(tuple(numbers), images[0], axes, shape))
    return found


class ChannelPlanes:
    """One channel of images that are alike, as what a layer shows.

    Attributes
    ----------
    newest : array or None
        (height, width): shown at every place while `is_live`.
    is_live : bool
    """

    def __init__(
        self, stored: StoredPlanes, layout: Layout, alike: Alike, channel: int
    ) -> None:
        self._stored, self._layout = stored, layout
        self._alike, self.channel = alike, channel
        self.shape = alike.shape
        self.dtype: np.dtype[np.generic] = np.dtype(layout.frame.dtype)
        self.chunks = (*(1,) * (len(self.shape) - 2), *self.shape[-2:])
        self.newest: Pixels | None = None
        self.is_live = True

    def __getitem__(self, key: tuple[int | slice, ...]) -> Pixels:
        """Pixels that are known now: `key` has an int or a slice for each axis.

        Raises
        ------
        InvalidStore
            That is more than there is memory for.
        """
        given = [slice(at, at + 1) if isinstance(at, int) else at for at in key]
        *outer, y, x = (
            range(size)[at] for size, at in zip(self.shape, given, strict=True)
        )
        shape = (*map(len, outer), len(y), len(x))
        path = self._stored.root
        refuse_beyond_memory(path, math.prod(shape) * self.dtype.itemsize)
        pixels = np.zeros(shape, self.dtype)
        for to, at in zip(
            np.ndindex(*shape[:-2]), itertools.product(*outer), strict=True
        ):
            plane = self._plane(at, is_only=math.prod(shape[:-2]) == 1)
            if plane is not None:
                pixels[to] = plane[given[-2], given[-1]]
        return pixels[tuple(0 if isinstance(at, int) else slice(None) for at in key)]

    def _plane(self, at: Sequence[int], *, is_only: bool) -> Pixels | None:
        if self.is_live and is_only:
            return self.newest
        key = self._alike.key(at, self.channel)
        return self._stored.plane(key) if self._has(key) else None

    def _has(self, key: Key) -> bool:
        """Whether the image is so long: others may be longer."""
        number, place = key
        sizes = self._layout.images[number].wanted.shape
        return all(at < size for at, size in zip(place, sizes, strict=True))


def words_of(layout: Layout, acquisition: Acquisition, keys: Iterable[Key]) -> str:
    """What is looked at, and what of it was not acquired."""
    said, absent = "", []
    for number, (t, c, z) in keys:
        image = layout.images[number]
        where = [image.name]
        where += [f"t {t}"] * ("t" in image.axes) + [f"z {z}"] * ("z" in image.axes)
        said = ", ".join(where)
        sizes = image.wanted.shape
        is_inside = all(at < n for at, n in zip((t, c, z), sizes, strict=True))
        if not is_inside or not image.wanted[t, c, z]:
            absent.append(f"{image.channels[c].name} is not asked for here")
        elif not acquisition.has(number, (t, c, z)):
            absent.append(f"{image.channels[c].name} not acquired")
    return "; ".join([said, *absent])
