"""What the user chose last, kept between sessions in one JSON file.

The file lies beside napari's own settings. One that cannot be read, or that somebody
has edited, costs no more than the choices in it.
"""

import json
import logging
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import TypeVar

from qtpy.QtCore import QLockFile

from napari_zarr_stream._saving.settings import FILE_NAME as FILE_NAME
from napari_zarr_stream._saving.settings import read_settings, settings_file
from napari_zarr_stream._writer import system
from napari_zarr_stream.cameras.protocol import SettingValue

Settings = dict[str, SettingValue]
T = TypeVar("T")


class Remembered:
    """The user's last choices.

    Attributes
    ----------
    choices : dict
        Of the dock widget, by the names of its fields.
    cameras : dict
        Last settings of each camera, by its name.
    """

    def __init__(self) -> None:
        self._path = settings_file()
        self.choices, self.cameras = self._stored()
        self._kept = deepcopy((self.choices, self.cameras))

    def _stored(self) -> tuple[Settings, dict[str, Settings]]:
        stored = read_settings(self._path)
        cameras = stored.get("cameras")
        return _plain(stored.get("choices")), {
            name: _plain(settings)
            for name, settings in (cameras.items() if isinstance(cameras, dict) else ())
        }

    def save(self) -> bool:
        """Write what has changed since it was read, beside what others have written.

        What cannot be written is logged, and stops nobody.

        Returns
        -------
        bool
            False where another program has the file: worth another try. Nobody waits
            for it, as that would be in the window's thread.
        """
        if self._path is None or self._kept == (self.choices, self.cameras):
            return True
        try:
            system.make_folders(self._path.parent)
            # A second napari may be writing the same file.
            lock = QLockFile(f"{self._path}.lock")
            is_locked = lock.tryLock(0)
            if not is_locked and lock.error() is QLockFile.LockError.LockFailedError:
                return False
            try:
                self._merge(self._path)
            finally:
                lock.unlock()
        except OSError as error:
            _log.warning("the settings could not be kept: %s", error)
        return True

    def _merge(self, path: Path) -> None:
        kept_choices, kept_cameras = self._kept
        choices, cameras = self._stored()
        choices |= _changed(self.choices, kept_choices)
        cameras |= _changed(self.cameras, kept_cameras)
        text = json.dumps({"choices": choices, "cameras": cameras}, indent=1)
        system.replace_file(path, text.encode())
        self._kept = deepcopy((self.choices, self.cameras))


def _changed(now: Mapping[str, T], before: Mapping[str, T]) -> dict[str, T]:
    return {key: each for key, each in now.items() if before.get(key) != each}


def _plain(stored: object) -> Settings:
    """Only what a setting can be, whatever was in the file."""
    if not isinstance(stored, Mapping):
        return {}
    return {
        str(name): value
        for name, value in stored.items()
        if isinstance(value, bool | int | float | str)
    }


_log = logging.getLogger(__name__)
