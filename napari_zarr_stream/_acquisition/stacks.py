"""Which planes useq takes at each position: counted from its plans, never by iterating.

To iterate takes long, and what useq keeps of a grid then is of another field of view.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer.errors import InvalidProperties

from .frame_format import FrameFormat

if TYPE_CHECKING:
    import useq

MAX_IMAGES = 10_000
"""More takes minutes to make; a grid of steps of 1 µm has millions, by mistake."""

MAX_PLANES = 10**8
"""As many as a frame log is read of."""

Mask = npt.NDArray[np.bool_]
"""(t, c, z): which planes there will be."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What is taken at a position, at each place of its grid alike.

    Attributes
    ----------
    axes : str
        Along which it goes: some of "tgcz".
    wanted : array of bool, (t, c, z)
    channels : tuple of str
    interval_s : float
        0 where there is none, or no single one.
    z_step_um : float
        0 where there is none, or no single one.
    grid : plan, optional
        As the engine will have it.
    tiles : int
        How many places that has.
    """

    axes: str
    wanted: Mask
    channels: tuple[str, ...] = ()
    interval_s: float = 0.0
    z_step_um: float = 0.0
    grid: Any = None
    tiles: int = 1


def stack_of(
    sequence: "useq.MDASequence",
    own: "useq.MDASequence | None",
    frame: FrameFormat,
    where: str,
) -> Stack:
    """What is taken at a position that may have a sequence of its own.

    Raises
    ------
    InvalidProperties
        Plans that cannot be carried out, or planes that would come more than once.
    """
    around, below = _sizes(sequence, frame, where), _sizes(own, frame, where)
    kept, tiles = _kept(sequence, around, where), around.get("g", 1)
    if own is not None and own.autofocus_plan is None:
        # What the position says anew, useq leaves out of the sequence around but once.
        plans = any((own.grid_plan, own.z_plan, own.time_plan))
        if (own.channels and plans) or not plans:
            kept[:, 1:] = False
        if own.z_plan is not None:
            kept[:, :, 1:] = False
        if own.grid_plan is not None:
            tiles = 1
    if own is not None and below:
        _check_once(kept, tiles, below, where)
        for axis in "tcz":
            if axis in below:
                kept = np.any(kept, "tcz".index(axis), keepdims=True)
        kept = np.logical_and(kept, _kept(own, below, where))
        tiles = below.get("g", tiles)
    elif own is not None and (
        own.channels
        or any(plan is not None for plan in (own.time_plan, own.z_plan, own.grid_plan))
    ):
        kept[:] = False  # plans without places: useq goes nowhere

    def plans_of(axis: str) -> "useq.MDASequence":
        return own if own is not None and axis in below else sequence

    axes = "".join(axis for axis in "tgcz" if axis in {*around, *below})
    times = plans_of("t").time_plan if "t" in axes else None
    heights = list(plans_of("z").z_plan or ()) if "z" in axes else []
    return Stack(
        axes,
        kept,
        tuple(channel.config for channel in plans_of("c").channels if "c" in axes),
        _interval_s(times),
        _step(heights),
        _of_field(plans_of("g").grid_plan, frame) if "g" in axes else None,
        tiles,
    )


def _check_once(kept: Mask, tiles: int, below: Mapping[str, int], where: str) -> None:
    """Refuse a sequence within another that repeats it: its planes have one place."""
    times = kept.astype(np.int64)
    repeating = ["g"] if "g" in below and tiles > 1 else []
    for axis in "tcz":
        if axis in below:
            times = times.sum("tcz".index(axis), keepdims=True)
            if kept.any("tcz".index(axis)).sum() < kept.sum():
                repeating.append(axis)
    if times.max(initial=0) > 1 or (repeating == ["g"] and kept.any()):
        names = {"t": "times", "g": "a grid", "c": "channels", "z": "a z plan"}
        said = " and ".join(names[axis] for axis in repeating)
        raise InvalidProperties(
            f"{where} has {said} of its own, and the sequence around it has {said} as "
            "well: planes would come more than once, and have no place of their own. "
            f"Take {said} out of one of the two"
        )


def _sizes(
    sequence: "useq.MDASequence | None", frame: FrameFormat, where: str
) -> dict[str, int]:
    """Sizes of the axes along which a sequence goes, but for its positions."""
    if sequence is None:
        return {}
    sizes = {
        "t": _times(sequence.time_plan, where),
        "g": _tiles(sequence.grid_plan, frame, where),
        "c": len(sequence.channels),
        "z": _planes(sequence.z_plan, where),
    }
    order = [str(axis) for axis in sequence.axis_order]
    return {axis: size for axis, size in sizes.items() if size and axis in order}


def _kept(sequence: "useq.MDASequence", sizes: Mapping[str, int], where: str) -> Mask:
    """Which planes its channels take: every nth time, or the middle of a stack only."""
    kept = np.ones([sizes.get(axis, 1) for axis in "tcz"], bool)
    for c, channel in enumerate(sequence.channels if "c" in sizes else ()):
        if "t" in sizes:
            kept[np.arange(len(kept)) % channel.acquire_every != 0, c] = False
        if not channel.do_stack and sequence.z_plan is not None:
            if "z" not in sizes:  # useq looks for its place, and ends with a KeyError
                raise InvalidProperties(
                    f"{where}: {channel.config} is to be taken in the middle of a z "
                    "plan only, which has no planes or is not in the order of axes "
                    f"{''.join(map(str, sequence.axis_order))!r}. Add z to the order, "
                    "or take out the z plan"
                )
            middle = sequence.z_plan.num_positions() // 2
            kept[:, c, np.arange(kept.shape[2]) != middle] = False
    return kept


def _times(plan: Any, where: str) -> int:
    if plan is None:
        return 0
    phases = getattr(plan, "phases", None)
    try:
        for phase in phases or (plan,):
            if phase.interval.total_seconds() < 0:
                raise InvalidProperties(f"{where}: time would run backwards: {plan!r}")
        if phases is None:
            return int(plan.loops)
        # the first of a phase is the last of the one before
        return 1 + sum(int(phase.loops) - 1 for phase in phases)
    except ZeroDivisionError:
        raise InvalidProperties(
            f"{where}: a duration goes with an interval above 0, or with two loops or "
            f"more: {plan!r}"
        ) from None


def _interval_s(plan: Any) -> float:
    interval = getattr(plan, "interval", None)
    return 0.0 if interval is None else float(interval.total_seconds())


def _planes(plan: Any, where: str) -> int:
    if plan is None:
        return 0
    if plan.num_positions() > MAX_PLANES:
        raise InvalidProperties(f"{where}: {plan!r} has too many planes")
    return len(plan.positions())


def _step(heights: Sequence[float]) -> float:
    steps = np.abs(np.diff(heights))
    if len(steps) and np.allclose(steps, steps[0], rtol=1e-6):
        return float(steps[0])
    return 0.0


def _tiles(plan: Any, frame: FrameFormat, where: str) -> int:
    """How many places a grid has: computed, where that can be millions."""
    if plan is None:
        return 0
    grid = _of_field(plan, frame)
    if not hasattr(grid, "overlap") or hasattr(grid, "rows"):
        return int(grid.num_positions())
    if grid.fov_width is None or grid.fov_height is None:
        raise InvalidProperties(
            f"{where}: a grid over an area needs the field of view, and Micro-Manager "
            "knows no pixel size. Set one, or give rows and columns"
        )
    across, down = grid.overlap
    dx, dy = grid.fov_width * (1 - across / 100), grid.fov_height * (1 - down / 100)
    if min(dx, dy) <= 0:
        raise InvalidProperties(f"{where}: a grid cannot overlap by {grid.overlap} %")
    if hasattr(grid, "poly"):  # counted by laying it out
        left, bottom, right, top = grid.poly.bounds
        if (right - left) * (top - bottom) > 10 * MAX_IMAGES * dx * dy:
            return MAX_IMAGES + 1
    return int(grid.num_positions())


def _of_field(plan: Any, frame: FrameFormat) -> Any:
    """A copy of a grid as the engine will have it."""
    if not frame.pixel_size_um:
        return plan.model_copy()
    width, height = (size * frame.pixel_size_um for size in (frame.width, frame.height))
    return plan.model_copy(update={"fov_width": width, "fov_height": height})
