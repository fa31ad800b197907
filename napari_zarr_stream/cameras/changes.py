"""Settings that change while a camera runs: when, before which frame, to what.

Knows no recording: the job that reads a camera asks a `SettingsWatch` between frames.
"""

import logging
import time
from dataclasses import dataclass

from .host_clock import host_time_ns
from .protocol import Camera, CameraError, SettingValue
from .thread import CameraThread

UNASKED_EVERY_S = 1.0
"""How often a camera is looked at that sets itself, or that others may set as well."""


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting that has another value than before.

    Attributes
    ----------
    time_ns : int
        `time.time_ns()` when the new value was read back.
    frame : int
        `FrameInfo.index` of the first frame that was read after that. Those that waited
        in the camera's ring by then were still exposed as before.
    name : str
        Of the setting, as `Setting.name`.
    value, before : bool, int, float or str
        What is in force now, and what was.
    """

    time_ns: int
    frame: int
    name: str
    value: SettingValue
    before: SettingValue


class SettingsWatch:
    """Finds out what has changed since the camera was started, whoever changed it.

    It compares what the camera says of all its settings, since they depend on each
    other: a higher frame rate may shorten the exposure. That is done only after
    something was asked of the camera, and once a second where it is shared with others
    or has something automatic ("exposure_auto") that is not "Off".

    Parameters
    ----------
    thread : CameraThread
        That of the camera; all methods are called in it.
    """

    def __init__(self, thread: CameraThread) -> None:
        self._thread = thread
        self._values: dict[str, SettingValue] = {}
        self._is_shared = self._is_automatic = False
        self._asked = 0
        self._looked_at = 0.0

    def begin(self, camera: Camera) -> None:
        """Take the present settings as those of the start."""
        self._is_shared = "shared" in camera.info
        self._note({setting.name: setting.value for setting in camera.settings})

    def look(self, camera: Camera) -> tuple[SettingChange, ...]:
        """What has changed since the last look; costs nothing where nobody asked."""
        is_due = (self._is_shared or self._is_automatic) and (
            time.perf_counter() - self._looked_at >= UNASKED_EVERY_S
        )
        if self._thread.asked_between == self._asked and not is_due:
            return ()
        before = self._values
        self._note(before)
        try:
            values = {setting.name: setting.value for setting in camera.settings}
        except CameraError as error:
            logging.getLogger(__name__).warning(
                "%s cannot tell whether its settings changed: %s",
                self._thread.name,
                error,
            )
            return ()
        now_ns, frame = host_time_ns(), camera.stats.delivered
        self._note(values)
        return tuple(
            SettingChange(now_ns, frame, name, value, before[name])
            for name, value in values.items()
            if name in before and before[name] != value
        )

    def _note(self, values: dict[str, SettingValue]) -> None:
        self._values = values
        self._is_automatic = any(
            name.endswith("_auto") and value not in ("Off", False)
            for name, value in values.items()
        )
        self._asked = self._thread.asked_between
        self._looked_at = time.perf_counter()
