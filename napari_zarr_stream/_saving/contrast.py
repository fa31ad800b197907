"""Contrast limits of channels that came without, from the pixels as they pass by."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._sources.source import SourceDescription
from napari_zarr_stream._writer.properties import Channel


class ContrastFinder:
    """Smallest and largest pixel of each channel that has no contrast limits.

    As in napari, 8-bit images keep the range of their type; labels seldom fill it.
    """

    def __init__(self, description: SourceDescription) -> None:
        axes, shape = description.axes, description.shape
        self._channels = description.channels
        if self._channels is None and "c" not in axes:
            self._channels = (Channel(description.name),)
        at = axes.index("c") + 1 if "c" in axes else 0
        self._depth = math.prod(size or 1 for size in shape[at:-2]) if at else 1
        is_wide = description.dtype.kind == "f" or description.dtype.itemsize > 1
        self._limits = {
            i: (math.inf, -math.inf)
            for i, channel in enumerate(self._channels or ())
            if channel.contrast_limits is None and (is_wide or description.is_label)
        }

    def see(self, planes: npt.NDArray[np.generic], first: int) -> None:
        """Look at (n, height, width), the first of which is plane number `first`.

        Of each plane its smallest and its largest pixel will do, (n, 2).
        """
        if not self._limits or self._channels is None:
            return
        runs = np.arange(first, first + len(planes)) // self._depth
        channel_of = runs % len(self._channels)
        for i in self._limits.keys() & set(channel_of.tolist()):
            values = planes[channel_of == i] if len(self._channels) > 1 else planes
            if values.dtype.kind == "f":
                values = values[np.isfinite(values)]
            if values.size:
                low, high = self._limits[i]
                self._limits[i] = (
                    min(low, float(values.min())),
                    max(high, float(values.max())),
                )

    @property
    def limits(self) -> dict[int, tuple[float, float]]:
        """Smallest and largest pixel that was seen, by channel."""
        return {i: found for i, found in self._limits.items() if found[0] <= found[1]}

    def take(self, limits: Mapping[int, tuple[float, float]]) -> None:
        """Take what another one has seen."""
        for i in limits.keys() & self._limits.keys():
            low, high = self._limits[i]
            self._limits[i] = min(low, limits[i][0]), max(high, limits[i][1])

    def channels(self) -> Sequence[Channel] | None:
        """The channels with the limits that were missing; None for unnamed ones."""
        if self._channels is None:
            return None
        return [
            replace(channel, contrast_limits=limits)
            if (limits := self._limits.get(i)) and limits[0] < limits[1]
            else channel
            for i, channel in enumerate(self._channels)
        ]
