"""What a camera says of its frames: counted, and made into columns of a frame log."""

import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_zarr_stream.cameras.clock import CameraClock
from napari_zarr_stream.cameras.protocol import FrameInfo

Columns = dict[str, npt.NDArray[np.generic]]

MOST_INTERVALS = 2**16
"""Kept to find their median: half a megabyte, and no recording is shorter than a second
that has more."""

_OWN_COLUMNS = ("device_index", "device_time_ns", "time_ns", "complete")


class FrameInfos:
    """Frames in the order in which they came, whatever their numbers say.

    Parameters
    ----------
    are_asked_for : bool
        Each is taken when it is asked for, so that a camera need not say when that was.

    Attributes
    ----------
    incomplete : int
        Frames that have pixels missing.
    out_of_order : int
        Frames that have no higher number than the one before.
    untimed : int
        Frames without a time of the camera.
    """

    def __init__(self, *, are_asked_for: bool = False) -> None:
        self._are_timed = not are_asked_for
        self.incomplete = 0
        self.out_of_order = 0
        self.untimed = 0
        self._clock = CameraClock()
        self._came_ns = 0  # the last frame that was taken
        self._intervals = Intervals()
        self._infos: list[FrameInfo] = []
        self._last: int | None = None
        self._more: dict[str, str] | None = None

    def pass_by(self, info: FrameInfo) -> int:
        """Learn from a frame, thrown away or not, when the camera's clock says what.

        Returns when it came, by `host_time_ns` and to the best that is known by now.
        """
        self._clock.see(info)
        return self._clock.host_time_ns(info)

    def add(self, info: FrameInfo) -> None:
        """Count a frame, and keep what was said of it until it is taken."""
        self._clock.see(info)
        self._infos.append(info)
        self.incomplete += not info.complete
        self.untimed += self._are_timed and info.device_time_ns is None
        if info.device_index is not None:
            if self._last is not None and info.device_index <= self._last:
                self.out_of_order += 1
            self._last = info.device_index
        if self._more is None:
            self._more = {
                _column_name(key): key
                for key, value in info.meta.items()
                if isinstance(value, int | float)
            }
            for name in ("", *_OWN_COLUMNS):
                self._more.pop(name, None)

    def take(self) -> Columns:
        """Columns of the frames since the last call; empty where there are none.

        -1 stands where the camera did not say; NaN in the further numbers of the first
        frame's `FrameInfo.meta`, which are columns of float64.
        """
        infos, self._infos = self._infos, []
        if not infos:
            return {}
        columns: Columns = {
            "device_index": _integers([info.device_index for info in infos]),
            "device_time_ns": _integers([info.device_time_ns for info in infos]),
            "time_ns": self._times(infos),
            "complete": np.array([info.complete for info in infos], bool),
        }
        for name, key in (self._more or {}).items():
            columns[name] = np.array([_number(info.meta.get(key)) for info in infos])
        return columns

    def _times(self, infos: list[FrameInfo]) -> npt.NDArray[np.int64]:
        """When they came, by this computer's clock; never before the one before."""
        came = _integers([self._clock.host_time_ns(info) for info in infos])
        came = np.maximum.accumulate(np.maximum(came, self._came_ns))
        before = [self._came_ns] if self._came_ns else []
        self._intervals.add(np.diff(came, prepend=np.array(before, np.int64)))
        self._came_ns = int(came[-1])
        return came

    @property
    def interval_s(self) -> float | None:
        """Median time from one frame to the next, of those taken; None if unknown."""
        median = self._intervals.median
        return median / 1e9 if median else None


class Intervals:
    """Finds the median of many intervals in little memory."""

    def __init__(self) -> None:
        self._kept = np.empty(0, np.int64)
        self._step = 1  # one of so many is kept
        self._seen = 0

    def add(self, intervals: npt.NDArray[np.int64]) -> None:
        """Take further ones, in nanoseconds."""
        first = -self._seen % self._step
        self._seen += len(intervals)
        self._kept = np.concatenate([self._kept, intervals[first :: self._step]])
        while len(self._kept) > MOST_INTERVALS:
            self._kept, self._step = self._kept[::2], self._step * 2

    @property
    def median(self) -> float | None:
        """In nanoseconds; None before the first."""
        return float(np.median(self._kept)) if len(self._kept) else None


def _integers(values: list[int | None]) -> npt.NDArray[np.int64]:
    return np.array([-1 if value is None else value for value in values], np.int64)


def _number(value: Any) -> float:
    try:
        return float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return math.nan


def _column_name(key: str) -> str:
    """A name that any storage and any reader can take."""
    return re.sub("[^A-Za-z0-9_-]+", "_", key).strip("_-")
