"""How far the writing of planes has come: in a row, or at any place of many images.

The queue that holds one guards it.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Protocol, TypeVar

from .plan import Plan
from .slot import Slot
from .tile_row import TileRow

Row = Mapping[str, float]
"""What is known of a plane, by the names of columns."""


S = TypeVar("S", contravariant=True)


class Tally(Protocol[S]):
    """What is written, and how much of it readers may be told."""

    @property
    def planes_written(self) -> int:
        """How many planes are."""

    def add(self, slot: S) -> None:
        """Count what is in a slot: its chunks lie in their files, at every level."""

    def committable(self) -> int:
        """A number that rises as soon as there is more that readers can be told."""

    def all_written(self) -> int:
        """The same, where files that are not finished are made readable."""


class RowTally:
    """Planes of one image in C order; those count that have all others before them.

    Parameters
    ----------
    plan : Plan
    has_holes : bool
        As of the store.
    """

    def __init__(self, plan: Plan, has_holes: bool = True) -> None:
        self._plan = plan
        self._has_holes = has_holes
        self._ends: dict[int, int] = {}  # by the first plane
        self.planes_written = 0

    def add(self, slot: Slot) -> None:
        """See `Tally.add`."""
        self.count(slot.first_plane, slot.end)

    def count(self, first: int, end: int) -> None:
        """Count planes from number `first` up to `end`."""
        self._ends[first] = end
        while self.planes_written in self._ends:
            self.planes_written = self._ends.pop(self.planes_written)

    def committable(self) -> int:
        """Steps along the first axis that are in finished files at every level."""
        plan = self._plan
        if plan.z_is_halved and plan.axes[0] == "z":
            return 0
        steps = self.all_written()
        return steps - steps % plan.steps_until_read(self._has_holes)

    def all_written(self) -> int:
        """Whole steps along the first axis."""
        return self.planes_written // self._plan.planes_per_step


class TileRowTally:
    """Planes of one image that come by rows of tiles; those count that are whole.

    Parameters
    ----------
    plan, has_holes
        As of `RowTally`.
    """

    def __init__(self, plan: Plan, has_holes: bool = True) -> None:
        self._planes = RowTally(plan, has_holes)
        levels = range(len(plan.level_shapes))
        self._rows = sum(plan.tile_grid(level)[0] for level in levels)
        self._written: Counter[int] = Counter()  # by plane

    @property
    def planes_written(self) -> int:
        """See `Tally.planes_written`."""
        return self._planes.planes_written

    def add(self, slot: TileRow) -> None:
        """See `Tally.add`."""
        self._written[slot.plane] += 1
        if self._written[slot.plane] == self._rows:
            del self._written[slot.plane]
            self._planes.count(slot.plane, slot.plane + 1)

    def committable(self) -> int:
        """See `Tally.committable`."""
        return self._planes.committable()

    def all_written(self) -> int:
        """See `Tally.all_written`."""
        return self._planes.all_written()


class PlacesTally:
    """Planes of many images, in any order."""

    def __init__(self) -> None:
        self.planes_written = 0
        self._steps: dict[int, int] = {}  # by image, of those that changed
        self._rows: list[Row] = []

    def add(self, slot: Slot) -> None:
        """See `Tally.add`."""
        self.planes_written += slot.planes
        steps = (slot.end - 1) // slot.plan.planes_per_step + 1
        self._steps[slot.image] = max(steps, self._steps.get(slot.image, 0))
        self._rows += slot.rows

    def committable(self) -> int:
        """See `Tally.committable`."""
        return self.planes_written

    def all_written(self) -> int:
        """See `Tally.all_written`."""
        return self.planes_written

    def take(self) -> tuple[dict[int, int], list[Row]]:
        """What has changed since: steps of each image, and what is known of planes."""
        steps, self._steps = self._steps, {}
        rows, self._rows = self._rows, []
        return steps, rows
