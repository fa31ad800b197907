"""Presets of channels that change what a camera gives, tried before a run begins.

A store takes planes of one size and type, and an engine sets a preset only when the
first plane of its channel is due.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from napari_zarr_stream._writer.errors import SourceFailed

if TYPE_CHECKING:
    import useq
    from pymmcore_plus import CMMCorePlus

_OF_CORE = ("Core", "Camera")
"""The setting by which a preset chooses another camera."""


def settle_camera(core: "CMMCorePlus", sequence: "useq.MDASequence") -> bool:
    """Have the camera give what it will give in a run; whether that was changed.

    Raises
    ------
    SourceFailed
        Channels of different frames. After this, and whatever a device raises, the
        camera is as it was.
    """
    presets = list(dict.fromkeys(_presets_of(core, sequence)))
    changing = [preset for preset in presets if _changes(core, *preset)]
    if not changing:
        return False
    before = {
        setting: core.getProperty(*setting)
        for preset in changing
        for setting, _ in _of_camera(core, *preset)
    }
    frames = {_frame(core): "now"} if len(changing) < len(presets) else {}
    try:
        for group, config in reversed(changing):
            core.setConfig(group, config)
            core.waitForConfig(group, config)
            frames[_frame(core)] = f"in {config}"
        _check_alike(frames)
    except Exception:
        for setting, value in before.items():
            core.setProperty(*setting, value)
        raise
    return True


def _check_alike(frames: Mapping[str, str]) -> None:
    """Refuse frames of several kinds, each with when it comes."""
    if len(frames) > 1:
        each = ", ".join(f"{frame} {when}" for frame, when in frames.items())
        raise SourceFailed(
            f"channels of the sequence change what the camera gives: {each}. Frames of "
            "one run must be alike: take those out that do, or run each by itself"
        )


def _presets_of(
    core: "CMMCorePlus", sequence: "useq.MDASequence"
) -> Iterator[tuple[str, str]]:
    own = (position.sequence for position in sequence.stage_positions)
    for each in (sequence, *filter(None, own)):
        for channel in each.channels:
            if core.isConfigDefined(channel.group, channel.config):
                yield channel.group, channel.config


def _of_camera(
    core: "CMMCorePlus", group: str, config: str
) -> Iterator[tuple[tuple[str, str], str]]:
    """Settings of a preset that are of the camera, or choose one."""
    camera = core.getCameraDevice()
    for device, name, value in core.getConfigData(group, config):
        if device == camera or (device, name) == _OF_CORE:
            yield (device, name), value


def _changes(core: "CMMCorePlus", group: str, config: str) -> bool:
    return any(
        core.getProperty(*setting) != value
        for setting, value in _of_camera(core, group, config)
    )


def _frame(core: "CMMCorePlus") -> str:
    """Size and type of what the camera gives, in words."""
    colors, wide = core.getNumberOfComponents(), 8 * core.getBytesPerPixel()
    size = f"{core.getImageWidth()} × {core.getImageHeight()} px of {wide} bit"
    return size if colors == 1 else f"{size} in {colors} colours"
