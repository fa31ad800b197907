"""What a form asks of a run, and the sequence of useq that it comes to."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_zarr_stream._writer.errors import InvalidProperties

from .layout import load_sequence

if TYPE_CHECKING:
    import useq

ORDERS = ("tpcz", "tpzc", "ptcz", "ptzc", "pzct", "cpzt")
"""Those in use, the last letter fastest: time, positions, channels, z."""


@dataclass(frozen=True, slots=True)
class AskedChannel:
    """A preset of a group, how long light is taken, and whether in all of a z stack."""

    group: str
    config: str
    exposure_ms: float
    has_stack: bool = True


@dataclass(frozen=True, slots=True)
class AskedPosition:
    """Where the stage goes, in micrometers; None: it stays there."""

    name: str
    x_um: float | None
    y_um: float | None
    z_um: float | None = None


@dataclass(frozen=True, slots=True)
class AskedPlate:
    """Wells of a plate that useq knows by name.

    Attributes
    ----------
    name : str
    wells : str
        As people write them: "A1, B3-B6, C1:D4".
    a1_um : (float, float)
        Where the stage has the middle of A1, x and y.
    fields : (int, int)
        Rows and columns of fields in each well.
    """

    name: str
    wells: str
    a1_um: tuple[float, float]
    fields: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class Asked:
    """A run, as a form asks for it.

    Attributes
    ----------
    channels : sequence of AskedChannel
    order : str
        One of `ORDERS`.
    loops : int
        Time points.
    interval_s : float
    z_range_um, z_step_um : float
        Around the present focus; no stack where one of them is 0.
    positions : sequence of AskedPosition
        None: where the stage is.
    plate : AskedPlate or None
        In place of positions.
    """

    channels: Sequence[AskedChannel] = ()
    order: str = ORDERS[0]
    loops: int = 1
    interval_s: float = 0.0
    z_range_um: float = 0.0
    z_step_um: float = 0.0
    positions: Sequence[AskedPosition] = ()
    plate: AskedPlate | None = None


def sequence_of(asked: Asked) -> "useq.MDASequence":
    """The sequence; a new one each time, since those that were looked at are spoiled.

    Raises
    ------
    InvalidProperties
        It asks for nothing, or for what there is not; says what.
    """
    import useq

    plans: dict[str, Any] = {"axis_order": asked.order}
    if asked.channels:
        plans["channels"] = [
            {
                "group": channel.group,
                "config": channel.config,
                "exposure": channel.exposure_ms or None,
                "do_stack": channel.has_stack,
            }
            for channel in asked.channels
        ]
    if asked.loops > 1:
        plans["time_plan"] = {"interval": asked.interval_s, "loops": asked.loops}
    if asked.z_range_um and asked.z_step_um:
        plans["z_plan"] = {"range": asked.z_range_um, "step": asked.z_step_um}
    if asked.plate is not None:
        plans["stage_positions"] = _plate_plan(asked.plate)
    elif asked.positions:
        plans["stage_positions"] = [
            {"name": at.name or None, "x": at.x_um, "y": at.y_um, "z": at.z_um}
            for at in asked.positions
        ]
    if len(plans) == 1:
        raise InvalidProperties(
            "nothing is asked for: choose a channel, time points, a stack or positions"
        )
    try:
        return useq.MDASequence(**plans)
    except (ValueError, TypeError) as error:
        raise InvalidProperties(f"that is no sequence of useq: {error}") from error


def _plate_plan(plate: AskedPlate) -> Any:
    import useq

    known = useq.WellPlate.from_str(plate.name)
    wells = wells_in(plate.wells, known.rows, known.columns)
    rows, columns = plate.fields
    chosen = tuple(row for row, _ in wells), tuple(column for _, column in wells)
    if rows * columns == 1:
        return useq.WellPlatePlan(
            plate=known, a1_center_xy=plate.a1_um, selected_wells=chosen
        )
    return useq.WellPlatePlan(
        plate=known,
        a1_center_xy=plate.a1_um,
        selected_wells=chosen,
        well_points_plan=useq.GridRowsColumns(rows=rows, columns=columns),
    )


def wells_in(text: str, rows: int, columns: int) -> list[tuple[int, int]]:
    """Rows and columns, from 0, of wells as people write them.

    Raises
    ------
    InvalidProperties
        None are named, or one that the plate does not have.
    """
    wells: dict[tuple[int, int], None] = {}
    for part in filter(None, re.split(r"[,;\s]+", text.strip().upper())):
        ends = re.fullmatch(
            r"([A-Z]{1,2})(\d{1,2})(?:[-:]([A-Z]{1,2})(\d{1,2}))?", part
        )
        if ends is None:
            raise InvalidProperties(
                f"{part!r} is no well: write them as A1, B3-B6 or C1:D4"
            )
        first = _row(ends[1]), int(ends[2]) - 1
        last = (_row(ends[3]), int(ends[4]) - 1) if ends[3] else first
        for row, column in (first, last):
            if not (0 <= row < rows and 0 <= column < columns):
                raise InvalidProperties(
                    f"the plate has no well {part}: it has {rows} rows and {columns} "
                    "columns"
                )
        (top, bottom), (left, right) = (
            sorted(side) for side in zip(first, last, strict=True)
        )
        for row in range(top, bottom + 1):
            wells |= dict.fromkeys((row, c) for c in range(left, right + 1))
    if not wells:
        raise InvalidProperties("no well is named: write for example A1, B3-B6, C1:D4")
    return list(wells)


def _row(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1


def positions_in(path: Path) -> list[AskedPosition]:
    """Positions of a sequence file; of a plate, one for each field.

    Raises
    ------
    InvalidProperties
        It cannot be read, or has none.
    """
    sequence = load_sequence(path)
    found = [
        AskedPosition(at.name or "", at.x, at.y, at.z)
        for at in sequence.stage_positions
    ]
    if not found:
        raise InvalidProperties(f"{path} has no positions")
    return found
