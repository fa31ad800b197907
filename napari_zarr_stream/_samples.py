"""Sample data: what the simulated cameras see, as layers."""

from typing import Any

import numpy as np

from .cameras import SimulatedCamera

LayerData = tuple[Any, dict[str, Any], str]

FRAMES = 30


def moving_cells() -> list[LayerData]:
    """Fluorescent cells that crawl, 30 frames of 512 x 512."""
    return _filmed("cells", "Moving cells")


def radial_sine() -> list[LayerData]:
    """Rings that run outwards, 30 frames of 512 x 512."""
    return _filmed("radial sine", "Radial sine")


def _filmed(pattern: str, name: str) -> list[LayerData]:
    # As fast as frames can be drawn; the layer says a frame every second.
    camera = SimulatedCamera(pattern, width=512, height=512, frame_rate=1000.0)
    camera.open()
    frames = np.zeros((FRAMES, *camera.shape), camera.dtype)
    camera.start()
    try:
        for frame in frames:
            while camera.read_into(frame, 0.1) is None:
                pass
    finally:
        camera.close()
    meta = {
        "name": name,
        "scale": (1.0, 0.65, 0.65),
        "units": ("second", "micrometer", "micrometer"),
        "axis_labels": ("t", "y", "x"),
        "contrast_limits": (0.0, float(frames.max())),
        "rgb": False,
    }
    return [(frames, meta, "image")]
