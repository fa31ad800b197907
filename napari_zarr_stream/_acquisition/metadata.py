"""What Micro-Manager says of its cameras, its frames and a run, in our words."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_zarr_stream._writer.errors import SourceFailed
from napari_zarr_stream._writer.record import RecordKey
from napari_zarr_stream.cameras.host_clock import host_time_ns

from .frame_format import FrameFormat
from .records import as_record, plain

if TYPE_CHECKING:
    import useq
    from pymmcore_plus import CMMCorePlus

_NUMBER = "ImageNumber"
"""Of a frame in a hardware sequence, as the camera counts them."""


def frame_format(core: "CMMCorePlus | None", summary: Mapping[str, Any]) -> FrameFormat:
    """What the cameras of a core give now, by its summary metadata.

    Raises
    ------
    SourceFailed
        There is no camera, or two of different frames behind one.
    """
    infos = summary.get("image_infos") or ()
    if not infos or core is None:
        raise SourceFailed("Micro-Manager has no camera: load one and choose it")
    main = infos[0]
    count = int(main.get("num_camera_adapter_channels", 1))
    labels = tuple(core.getPhysicalCameraDevice(n) for n in range(count))
    shapes = {
        info["camera_label"]: (tuple(info["plane_shape"]), str(info["dtype"]))
        for info in infos
    }
    known = {shapes[label] for label in labels if label in shapes}
    if len(known) > 1:
        raise SourceFailed(
            f"{main['camera_label']} stands for {', '.join(labels)}, which give frames "
            f"of {', '.join(map(str, sorted(known)))}: cameras of one run must give "
            "the same"
        )
    shape = tuple(main["plane_shape"])
    return FrameFormat(
        int(shape[0]),
        int(shape[1]),
        str(main["dtype"]),
        float(main.get("pixel_size_um") or 0.0),
        labels,
        shape[2] if len(shape) > 2 else 1,
        int(core.getImageBitDepth()),
    )


def frames_of(core: "CMMCorePlus") -> FrameFormat:
    """As of `frame_format`, by what a core says of itself now."""
    return frame_format(core, summary_of(core))


def summary_of(core: "CMMCorePlus | None") -> Any:
    """For engines that say nothing."""
    from pymmcore_plus.metadata import summary_metadata

    return {} if core is None else summary_metadata(core)


def run_record(
    sequence: "useq.MDASequence", summary: Mapping[str, Any]
) -> dict[str, Any]:
    """What is kept of a run from its beginning."""
    from importlib.metadata import version

    said = {key: value for key, value in summary.items() if key != "mda_sequence"}
    return {
        RecordKey.SEQUENCE: as_record(sequence),
        RecordKey.MICRO_MANAGER: plain(said),
        RecordKey.VERSIONS: {
            name: version(name) for name in ("useq-schema", "pymmcore-plus")
        },
    }


def frame_count(event: Any) -> int:
    """How many frames an event should give, for each camera."""
    if (several := getattr(event, "events", None)) is not None:
        return len(several)
    # pymmcore-plus takes none for an image
    return int(getattr(event.action, "type", "acquire_image") == "acquire_image")


def index_of(event: Any) -> dict[str, int]:
    return {str(axis): int(number) for axis, number in event.index.items()}


def known_of(event: Any, metadata: Mapping[str, Any]) -> dict[str, float]:
    """What is known of a frame: measured, and as it was asked for."""
    position = metadata.get("position") or {}
    camera = metadata.get("camera_metadata") or {}
    return {
        "time_ns": host_time_ns(),
        "runner_time_ms": _number(metadata.get("runner_time_ms")),
        "exposure_ms": _number(metadata.get("exposure_ms")),
        **{f"{axis}_um": _number(position.get(axis)) for axis in "xyz"},
        **{
            f"{axis}_asked_um": _number(getattr(event, f"{axis}_pos")) for axis in "xyz"
        },
        "hardware": int(bool(metadata.get("hardware_triggered"))),
        "device_index": int(_number(camera.get(_NUMBER), -1)),
    }


def _number(value: Any, unknown: float = math.nan) -> float:
    try:
        return unknown if value is None else float(value)
    except (TypeError, ValueError):
        return unknown
