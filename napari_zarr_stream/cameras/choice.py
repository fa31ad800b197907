"""Which camera is meant by a name, and how it is opened with settings."""

import warnings
from collections.abc import Callable, Mapping

from napari_zarr_stream._writer.errors import InvalidProperties

from .protocol import Camera, CameraError, SettingValue
from .region import Region, region_of, set_region
from .registry import find_cameras


def meant_by(wanted: str | None) -> tuple[Callable[[], Camera], str]:
    """What makes the camera that is meant, and its name.

    Raises
    ------
    InvalidProperties
        There is no such one, or several; names those that there are.
    """
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
        f"no single camera is meant by {wanted!r}" if wanted else "choose a camera"
    )
    there = ", ".join(names) or "none"
    failed = "".join(f"; {title} failed: {why}" for title, why in found.failed.items())
    raise InvalidProperties(f"{problem}: there are {there}{failed}")


def _warn(said: str) -> None:
    warnings.warn(said, UserWarning, stacklevel=2)


def open_with(
    camera: Camera,
    settings: Mapping[str, SettingValue],
    tell: Callable[[str], object] = _warn,
) -> None:
    """Open a camera and set it; text stands for a value of any type.

    `tell` is given what the camera has made of a value; a warning if there is none.

    Raises
    ------
    InvalidProperties
        No such setting, or a value that it cannot have.
    CameraError
    """
    camera.open()
    # An address comes first: nothing else can be set before it.
    names = sorted(settings, key=lambda name: name != "address")
    if set(Region._fields) <= settings.keys() and region_of(camera.settings):
        # One by one, an offset might not fit to the width that there is.
        names = [name for name in names if name not in Region._fields]
        try:
            region = Region(*(int(settings[name]) for name in Region._fields))
        except ValueError as error:
            raise InvalidProperties(f"the region of interest: {error}") from error
        if region != region_of(camera.settings):
            set_region(camera, region)
    for name in names:
        _set(camera, name, settings[name], tell)


def _set(
    camera: Camera, name: str, given: SettingValue, tell: Callable[[str], object]
) -> None:
    there = {setting.name: setting for setting in camera.settings}
    if name not in there:
        raise InvalidProperties(
            f"{name}={given}: settings are NAME=VALUE, with {', '.join(there)}"
        )
    value = given
    if isinstance(there[name].value, bool) and isinstance(given, str):
        value = given.lower() in ("1", "true", "yes", "on")
    try:
        in_force = camera.set(name, value)
    except CameraError as error:
        raise InvalidProperties(f"{name}={given}: {error}") from error
    said = str(in_force) in (str(given), str(value))
    if not said and not _same_number(in_force, given):
        tell(f"{name} is {in_force} instead of {given}")


def _same_number(value: SettingValue, given: SettingValue) -> bool:
    try:
        return float(value) == float(given)
    except ValueError:
        return False
