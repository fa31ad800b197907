"""Fields of a well beside each other: the tile of each well in a mosaic.

They lie as the stage had them, if those places are rows and columns, else in a square.
How far they are apart, or lie over each other, is not shown: each has its whole room.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from .location import Location, look_up
from .looked import corners_of, look
from .mosaic import Place

MOST_EMPTY = 0.5
"""Of a tile. Places that leave more of it black, as random ones, are no rows and
columns."""

ONE_ROW = 0.5
"""Of the side of a field: what is apart by less lies in one row, or one column."""

Group = TypeVar("Group", bound=Hashable)


def side_by_side_in_wells(
    groups: Mapping[Group, Mapping[Place, Sequence[Location]]],
) -> tuple[Place, dict[Group, dict[Place, Location]]]:
    """Where each field of each well lies.

    Parameters
    ----------
    groups : mapping
        The fields of each well, by the place of the well; all of a group lie alike.

    Returns
    -------
    tile : (int, int)
        Rows and columns of fields in each well.
    places : dict
        Each field by its row and column in the whole mosaic.
    """
    cells = {group: _cells(list(wells.values())) for group, wells in groups.items()}
    every = [cell for of_group in cells.values() for cell in of_group.values()]
    down, across = (1 + max((cell[i] for cell in every), default=0) for i in range(2))
    return (down, across), {
        group: {
            (row * down + cell[0], column * across + cell[1]): field
            for (row, column), fields in wells.items()
            for key, field in _keyed(fields, cells[group])
            for cell in [cells[group][key]]
        }
        for group, wells in groups.items()
    }


def _cells(wells: Sequence[Sequence[Location]]) -> dict[Hashable, Place]:
    """Row and column in the tile, by the names of fields; by number if wells differ."""
    most = max(wells, key=len, default=())
    names: list[Hashable] = [field.name for field in most]
    if {field.name for well in wells for field in well} - set(names):
        names = list(range(len(most)))
    return dict(zip(names, _pattern(most), strict=True))


def _keyed(
    fields: Sequence[Location], cells: Mapping[Hashable, Place]
) -> list[tuple[Hashable, Location]]:
    if all(field.name in cells for field in fields):
        return [(field.name, field) for field in fields]
    return list(enumerate(fields))


def _pattern(fields: Sequence[Location]) -> list[Place]:
    count = len(fields)
    across = max(1, math.ceil(math.sqrt(count)))
    square = [divmod(number, across) for number in range(count)]
    return _by_stage(fields) or square if count > 1 else square


def _by_stage(fields: Sequence[Location]) -> list[Place] | None:
    """Rows and columns of the stage; None where nothing says them, or none are."""
    look_up(fields)
    looked = [look(number, field) for number, field in enumerate(fields)]
    known = [each for each in looked if each is not None]
    corners = corners_of(known, {}) if len(known) == len(fields) else None
    if corners is None:
        return None
    sides = known[0].shape[-2:]
    rows, columns = (
        _ranks([corner[i] for corner in corners], ONE_ROW * sides[i]) for i in range(2)
    )
    places = list(zip(rows, columns, strict=True))
    room = (1 + max(rows)) * (1 + max(columns))
    is_full = len(set(places)) == len(places) >= (1 - MOST_EMPTY) * room
    return places if is_full else None


def _ranks(values: Sequence[float], together: float) -> list[int]:
    """The number of each among all, from the least; those close by have one."""
    ranks, before, number = {}, -math.inf, -1
    for value in sorted(values):
        number += value - before > together
        before = value
        ranks[value] = number
    return [ranks[value] for value in values]
