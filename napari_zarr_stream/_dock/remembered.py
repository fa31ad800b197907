"""What the user chose last, kept between sessions in one JSON file. Knows no Qt.

The file lies beside napari's own settings. One that cannot be read, or that somebody
has edited, costs no more than the choices in it.
"""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_zarr_stream._writer import system
from napari_zarr_stream.cameras.protocol import SettingValue

FILE_NAME = "napari-zarr-stream.json"


def _path() -> Path | None:
    """Of the file; None where napari was told to keep nothing (an empty NAPARI_CONFIG).

    napari reads that variable once, when it is imported.
    """
    given = os.environ.get("NAPARI_CONFIG")
    if given is not None:
        return Path(given).parent / FILE_NAME if given else None
    from napari_zarr_stream._viewer.napari_compat import settings_folder

    folder = settings_folder()
    return folder / FILE_NAME if folder is not None else None


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
        self._path = _path()
        stored = self._read()
        self.choices: dict[str, SettingValue] = _plain(stored.get("choices"))
        cameras = stored.get("cameras")
        self.cameras: dict[str, dict[str, SettingValue]] = {
            name: _plain(settings)
            for name, settings in (cameras.items() if isinstance(cameras, dict) else ())
        }

    def _read(self) -> dict[str, Any]:
        if self._path is None:
            return {}
        try:
            stored = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            _log.warning("the last settings could not be read: %s", error)
            return {}
        return stored if isinstance(stored, dict) else {}

    def save(self) -> None:
        """Write the file; what cannot be written is logged, and stops nobody."""
        if self._path is None:
            return
        text = json.dumps({"choices": self.choices, "cameras": self.cameras}, indent=1)
        try:
            system.make_folders(self._path.parent)
            system.replace_file(self._path, text.encode())
        except OSError as error:
            _log.warning("the settings could not be kept: %s", error)


def _plain(stored: object) -> dict[str, SettingValue]:
    """Only what a setting can be, whatever was in the file."""
    if not isinstance(stored, Mapping):
        return {}
    return {
        str(name): value
        for name, value in stored.items()
        if isinstance(value, bool | int | float | str)
    }


_log = logging.getLogger(__name__)
