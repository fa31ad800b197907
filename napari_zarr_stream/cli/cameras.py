"""Which cameras are meant by their names, and how they are set: `--camera`, `--set`."""

import sys
from collections.abc import Callable, Sequence
from contextlib import closing

from napari_zarr_stream._writer.errors import InvalidProperties, ZarrStreamError
from napari_zarr_stream.cameras import (
    Camera,
    CameraError,
    Setting,
    SettingValue,
    find_cameras,
)


def meant_by(wanted: str | None) -> tuple[Callable[[], Camera], str]:
    """What makes the camera that is meant, and its name."""
    found = find_cameras()
    names = list(found.cameras)
    if wanted is None and len(names) == 1:
        return found.cameras[names[0]], names[0]
    exact = [name for name in names if name.lower() == (wanted or "").lower()]
    alike = [name for name in names if wanted and wanted.lower() in name.lower()]
    for chosen in (exact, alike):
        if len(chosen) == 1:
            return found.cameras[chosen[0]], chosen[0]
    problem = (
        f"no single camera is meant by {wanted!r}" if wanted else "choose a --camera"
    )
    there = ", ".join(names) or "none"
    failed = "".join(f"; {title} failed: {why}" for title, why in found.failed.items())
    raise InvalidProperties(f"{problem}: there are {there}{failed}")


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


def settings_of(number: int, cameras: int, settings: Sequence[str]) -> list[str]:
    """What of `--set` is meant for camera number 1, 2, ..."""
    mine = []
    for setting in settings:
        which, colon, assignment = setting.partition(":")
        if not (colon and which.isdecimal()):
            mine.append(setting)
        elif not 1 <= int(which) <= cameras:
            raise InvalidProperties(
                f"--set {setting}: there is no camera {which}, they are numbered 1 to "
                f"{cameras}"
            )
        elif int(which) == number:
            mine.append(assignment)
    return mine


def prepare(camera: Camera, settings: Sequence[str]) -> None:
    """Open a camera and set it."""
    camera.open()
    # An address comes first: nothing else can be set before it.
    for setting in sorted(settings, key=_is_no_address):
        _set(camera, setting)


def _described(setting: Setting) -> str:
    allowed = ", ".join(setting.choices)
    if setting.minimum is not None or setting.maximum is not None:
        low = "" if setting.minimum is None else f"{setting.minimum:g} "
        high = "" if setting.maximum is None else f" {setting.maximum:g}"
        allowed = f"{low}to{high}" if high else f"{low}or more"
    unit = f" {setting.unit}" if setting.unit else ""
    of = f"  ({allowed})" if allowed else ""
    return f"{setting.name} = {setting.value}{unit}{of}"


def _is_no_address(assignment: str) -> bool:
    return not assignment.startswith("address=")


def _set(camera: Camera, assignment: str) -> None:
    name, equals, text = assignment.partition("=")
    settings = {setting.name: setting for setting in camera.settings}
    if not equals or name not in settings:
        raise InvalidProperties(
            f"--set {assignment}: settings are NAME=VALUE, with {', '.join(settings)}"
        )
    value: SettingValue = text
    if isinstance(settings[name].value, bool):
        value = text.lower() in ("1", "true", "yes", "on")
    try:
        in_force = camera.set(name, value)
    except ZarrStreamError as error:
        raise InvalidProperties(f"--set {assignment}: {error}") from error
    if str(in_force) not in (text, str(value)) and not _same_number(in_force, text):
        print(f"{name} is {in_force} instead of {text}", file=sys.stderr)


def _same_number(value: SettingValue, text: str) -> bool:
    try:
        return float(value) == float(text)
    except ValueError:
        return False
