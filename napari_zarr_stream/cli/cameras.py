"""The cameras that there are, and what of `--set` is meant for each."""

import sys
from collections.abc import Sequence
from contextlib import closing

from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream.cameras import (
    CameraError,
    Setting,
    find_cameras,
)


def list_cameras() -> int:
    """Print all cameras, their settings, and how to get those that are missing."""
    found = find_cameras()
    for name, make in found.cameras.items():
        print(name)
        with closing(make()) as camera:
            try:
                camera.open()
                for setting in camera.settings:
                    print(f"    {_described(setting)}")
            except CameraError as error:
                print("   ", *str(error).split())
    for title, command in found.missing.items():
        print(f"{title}: not installed; {command}")
    for title, why in found.failed.items():
        print(f"{title}: failed;", *why.split(), file=sys.stderr)
    return 0


def settings_of(number: int, cameras: int, settings: Sequence[str]) -> dict[str, str]:
    """What of `--set` is meant for camera number 1, 2, ..."""
    mine: dict[str, str] = {}
    for setting in settings:
        which, colon, assignment = setting.partition(":")
        if not (colon and which.isdecimal()):
            mine |= _assigned(setting)
        elif not 1 <= int(which) <= cameras:
            raise InvalidProperties(
                f"--set {setting}: there is no camera {which}, they are numbered 1 to "
                f"{cameras}"
            )
        elif int(which) == number:
            mine |= _assigned(assignment)
    return mine


def _described(setting: Setting) -> str:
    allowed = ", ".join(setting.choices)
    if setting.minimum is not None or setting.maximum is not None:
        low = "" if setting.minimum is None else f"{setting.minimum:g} "
        high = "" if setting.maximum is None else f" {setting.maximum:g}"
        allowed = f"{low}to{high}" if high else f"{low}or more"
    unit = f" {setting.unit}" if setting.unit else ""
    of = f"  ({allowed})" if allowed else ""
    return f"{setting.name} = {setting.value}{unit}{of}"


def _assigned(assignment: str) -> dict[str, str]:
    name, equals, text = assignment.partition("=")
    if not equals:
        raise InvalidProperties(f"--set {assignment}: settings are NAME=VALUE")
    return {name: text}
