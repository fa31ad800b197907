"""What a microscope has that a form offers: groups of channels, camera, stages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_zarr_stream._writer.errors import SourceFailed

from .frame_format import FrameFormat
from .metadata import frames_of

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus


@dataclass(frozen=True, slots=True)
class Microscope:
    """A core of Micro-Manager at one moment.

    Attributes
    ----------
    groups : mapping of str to tuple of str
        Presets of each group.
    channel_group : str
        Empty where none is chosen.
    frame : FrameFormat or None
        None without a camera.
    camera : str
    exposure_ms : float
    x_um, y_um, z_um : float or None
        None without that stage.
    """

    groups: Mapping[str, tuple[str, ...]]
    channel_group: str
    frame: FrameFormat | None
    camera: str
    exposure_ms: float
    x_um: float | None
    y_um: float | None
    z_um: float | None


def look_at(core: "CMMCorePlus") -> Microscope:
    """Ask a core for all of it: may take long, where a device is busy.

    Raises
    ------
    SourceFailed
        It does not answer; says why.
    """
    try:
        return _look_at(core)
    except SourceFailed:
        raise
    except Exception as error:  # of the core or a device, which may be Python
        raise SourceFailed(f"Micro-Manager does not answer: {error}") from error


def _look_at(core: Any) -> Microscope:
    camera = core.getCameraDevice()
    x = y = z = None
    if core.getXYStageDevice():
        x, y = core.getXPosition(), core.getYPosition()
    if core.getFocusDevice():
        z = core.getPosition()
    return Microscope(
        {
            group: tuple(core.getAvailableConfigs(group))
            for group in core.getAvailableConfigGroups()
        },
        core.getChannelGroup(),
        frames_of(core) if camera else None,
        camera,
        core.getExposure() if camera else 0.0,
        x,
        y,
        z,
    )
