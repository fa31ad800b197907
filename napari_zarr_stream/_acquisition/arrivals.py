"""Which planes of a run have come, and which did not, by number and in words."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from .layout import ImageLayout, Layout

NAMED_AT_MOST = 5
"""Missing planes that are named in one line."""


class Arrivals:
    """Counts planes of a layout; one thread adds, any may read the numbers.

    Attributes
    ----------
    acquired : int
    due : int
        Planes of events that are over.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._there = [np.zeros(image.wanted.shape, bool) for image in layout.images]
        self.acquired = self.due = 0

    def add(self, image: int, place: tuple[int, int, int]) -> None:
        """A plane has come, to a place that there is."""
        self._there[image][place] = True
        self.acquired += 1

    def has(self, image: int, place: tuple[int, int, int]) -> bool:
        """Whether a plane has come, to a place that there is."""
        return bool(self._there[image][place])

    def before(self, image: int, axes: str, steps: int) -> int:
        """Planes of an image with these axes that came to its first so many steps."""
        first = "tcz".find(axes[0])
        if first < 0:  # of one plane
            return 0
        return int(np.moveaxis(self._there[image], first, 0)[:steps].sum())

    def missing(self) -> Iterator[tuple[int, tuple[int, int, int]]]:
        """Planes that were asked for and have not come: image, and (t, c, z)."""
        pairs = zip(self._layout.images, self._there, strict=True)
        for number, (image, there) in enumerate(pairs):
            for t, c, z in np.argwhere(image.wanted & ~there).tolist():
                yield number, (t, c, z)

    def missing_in_words(self) -> str:
        """The first few of them: "t 4, position B3_0001, FITC; ... and 12 more"."""
        count = self._layout.planned - self.acquired
        first = list(islice(self.missing(), NAMED_AT_MOST))
        said = [
            ", ".join(_in_words(self._layout.images[image], place))
            for image, place in first
        ]
        if count > len(first):
            said.append(f"and {count - len(first):,} more")
        return "; ".join(said)


def _in_words(image: ImageLayout, place: tuple[int, int, int]) -> Iterator[str]:
    t, c, z = place
    if "t" in image.axes:
        yield f"t {t}"
    yield f"position {image.name}"
    yield image.channels[min(c, len(image.channels) - 1)].name
    if "z" in image.axes:
        yield f"z {z}"
