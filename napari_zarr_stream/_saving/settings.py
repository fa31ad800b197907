"""The file of what the user chose last, beside napari's own settings."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE_NAME = "napari-zarr-stream.json"

EXPORT_PREFIX = "export."
"""Of the names of what was chosen for exports; File > Save does as they say."""


def settings_file() -> Path | None:
    """Of the file; None where napari was told to keep nothing (an empty NAPARI_CONFIG).

    napari reads that variable once, when it is imported. Without napari there is none.
    """
    given = os.environ.get("NAPARI_CONFIG")
    if given is not None:
        return Path(given).parent / FILE_NAME if given else None
    try:
        from napari.settings import get_settings
    except ImportError:
        return None
    # There is no public word on it but the path of the settings themselves.
    path = get_settings().config_path
    return path.parent / FILE_NAME if isinstance(path, Path) else None


def read_settings(path: Path | None) -> dict[str, Any]:
    """What is in it; nothing where it is not there or damaged."""
    if path is None:
        return {}
    try:
        stored = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _log.warning("the last settings could not be read: %s", error)
        return {}
    return stored if isinstance(stored, dict) else {}


def export_choices() -> dict[str, Any]:
    """What was chosen for exports, by the names of the fields."""
    choices = read_settings(settings_file()).get("choices")
    if not isinstance(choices, Mapping):
        return {}
    return {
        name.removeprefix(EXPORT_PREFIX): value
        for name, value in choices.items()
        if name.startswith(EXPORT_PREFIX)
    }


_log = logging.getLogger(__name__)
