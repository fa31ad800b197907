"""What simulated cameras see: fluorescent cells, rings, noise or nothing.

Each pattern is a function that does what is slow and returns another, which draws the
picture at a time in seconds mostly by copying, as reading a camera is.
"""

import functools
import math
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[Any]
Electrons = npt.NDArray[np.float32]
Draw = Callable[[Image, float], None]

_TILE_PX = 2048  # larger frames repeat their picture, which keeps a bank below 64 MiB
_BANK_BYTES = 64 << 20
_SEED = 5  # the same pictures every time


class Sensor(NamedTuple):
    """What a picture depends on; `light` is relative to normal exposure."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    bit_depth: int
    light: float
    offset: tuple[int, int] = (0, 0)

    @property
    def white(self) -> int:
        """The largest value of a pixel."""
        return (1 << self.bit_depth) - 1

    @property
    def tile_shape(self) -> tuple[int, int]:
        """What is drawn once and repeated in larger frames."""
        return min(self.shape[0], _TILE_PX), min(self.shape[1], _TILE_PX)

    def pixels(self, values: Image) -> Image:
        """Round and saturate, as the converter of a camera does."""
        return (values + np.float32(0.5)).clip(0, self.white).astype(self.dtype)

    def tiles(self, image: Image) -> Iterator[Image]:
        """Yield the parts of a frame that show one tile each, the last ones cut off."""
        height, width = self.tile_shape
        for y in range(0, image.shape[0], height):
            for x in range(0, image.shape[1], width):
                yield image[y : y + height, x : x + width]

    def corner(self, bank: Image, chance: random.Random) -> tuple[int, int]:
        """Return a random place in a bank that is larger than a tile."""
        y = chance.randint(0, bank.shape[0] - self.tile_shape[0])
        x = chance.randint(0, bank.shape[1] - self.tile_shape[1])
        return y, x


def _empty(sensor: Sensor) -> Draw:
    """Make frames of zeros."""
    return lambda out, time_s: out.fill(0)


def _uniform_random(sensor: Sensor) -> Draw:
    """Make noise of the whole range at any exposure, which no codec can shrink."""
    height, width = sensor.tile_shape
    numbers, chance = np.random.default_rng(_SEED), random.Random(_SEED)
    bank_shape = height + 64, width + 64
    bank = numbers.integers(0, sensor.white + 1, bank_shape, sensor.dtype.type)

    def draw(out: Image, time_s: float) -> None:
        for tile in sensor.tiles(out):
            # another key hides from codecs that they have seen this noise before
            key = sensor.dtype.type(chance.randint(0, sensor.white))
            y, x = sensor.corner(bank, chance)
            rows, columns = tile.shape
            np.bitwise_xor(bank[y : y + rows, x : x + columns], key, out=tile)

    return draw


def _radial_sine(sensor: Sensor) -> Draw:
    """Make rings that run outwards, one each second."""
    height, width = sensor.tile_shape
    half = (height + 1) // 2  # the other half is its mirror image
    y = np.arange(half, dtype=np.float32)[:, np.newaxis] - (height - 1) / 2
    x = np.arange(width, dtype=np.float32) - (width - 1) / 2
    ring_px = max(8.0, min(height, width) / 12)
    phase = (np.hypot(y, x) * (256 / ring_px)).astype(np.uint16).astype(np.uint8)
    steps = min(32, _BANK_BYTES // (phase.size * sensor.dtype.itemsize))
    angle = np.arange(256) * (2 * math.pi / 256)
    bright = 0.4 * sensor.white * sensor.light
    bank = [
        sensor.pixels(bright * (1 + np.sin(angle - 2 * math.pi * step / steps)))[phase]
        for step in range(steps)
    ]

    def draw(out: Image, time_s: float) -> None:
        upper = bank[int(time_s * steps) % steps]
        lower = upper[::-1][height % 2 :]
        for tile in sensor.tiles(out):
            rows, columns = tile.shape
            tile[:half] = upper[:rows, :columns]
            tile[half:] = lower[: max(0, rows - half), :columns]

    return draw


_FULL_WELL = 8000.0  # electrons that make a pixel white
_READ_NOISE = 2.0  # electrons
_OFFSET = 0.025  # of white; cameras add it so that noise is not cut off at 0
_CELL_SPACING_PX = 200
_VARIANTS = 6  # of a cell's noise


def _cells(sensor: Sensor) -> Draw:
    """Make fluorescent cells that crawl over a dim, uneven background.

    Noise is computed beforehand: a frame takes it from a random place of a bank, a cell
    from a few variants. Only the motion is computed for each frame.
    """
    numbers, chance = np.random.default_rng(_SEED), random.Random(_SEED)
    gain = np.float32(sensor.white / _FULL_WELL)

    def exposed(electrons: Electrons, read_noise: float, offset: float) -> Image:
        mean = electrons * np.float32(sensor.light)
        noise = numbers.standard_normal(mean.shape, np.float32)
        # the variance of shot noise is the mean
        noise *= np.sqrt(mean + np.float32(read_noise**2))
        return sensor.pixels((mean + noise) * gain + np.float32(offset))

    # numba takes half a second to import
    from .painting import laid_end_to_end, paint_cells

    background = _background(sensor.tile_shape)
    bank = np.array(
        [
            exposed(background, _READ_NOISE, _OFFSET * sensor.white)
            for _ in range(max(2, min(16, (4 << 20) // background.size)))
        ]
    )
    means = _mean_cells()
    variants = [exposed(mean, 0, 0) for mean in means for _ in range(_VARIANTS)]
    pixels, outlines = laid_end_to_end(variants)
    rooms = sensor.dtype.type(sensor.white) - pixels
    margin = max(max(mean.shape) for mean in means)
    extent = np.array(sensor.shape) + margin  # cells leave and come back out of sight
    count = max(4, int(extent.prod() / _CELL_SPACING_PX**2))
    home = numbers.random((count, 2)) * extent
    velocity = numbers.normal(0, 5, (count, 2))  # px/s
    sway_px = numbers.uniform(3, 14, (count, 2))
    sway_rate = numbers.uniform(0.15, 0.6, (count, 2))  # rad/s
    kinds = _VARIANTS * (np.arange(count) % len(means))
    tile = sensor.tile_shape
    # Compiled here, and not when frames have begun to come.
    nothing, nowhere = np.empty((0, 0), sensor.dtype), np.empty((0, 2), int)
    paint_cells(nothing, *tile, bank, outlines, pixels, outlines[:0], nowhere, rooms)

    def draw(out: Image, time_s: float) -> None:
        # another layout would be compiled as well
        frame = out if out.flags.c_contiguous else np.empty(out.shape, out.dtype)
        windows = [
            (chance.randrange(len(bank)), *sensor.corner(bank[0], chance))
            for _ in sensor.tiles(frame)
        ]
        place = home + velocity * time_s + sway_px * np.sin(sway_rate * time_s + home)
        corners = (place % extent).astype(int) - margin
        shown = outlines[kinds + chance.randrange(_VARIANTS)]
        paint_cells(
            frame, *tile, bank, np.array(windows), pixels, shown, corners, rooms
        )
        if frame is not out:
            out[...] = frame

    return draw


def _background(shape: tuple[int, int]) -> Electrons:
    """Return a tile and a narrow rim: uneven light, and cells far out of focus."""
    numbers, rim = np.random.default_rng(_SEED), min(8, min(shape) // 32)
    y, x = (np.arange(side + rim) / side for side in shape)
    limits = ((0.1, 0.9), (0.1, 0.9), (0.02, 0.06), (20.0, 140.0))
    y0, x0, size, peak = (numbers.uniform(low, high, (14, 1)) for low, high in limits)
    columns = np.exp(-(((x - x0) / size) ** 2)).astype(np.float32)
    rows = (peak * np.exp(-(((y - y0) / size) ** 2))).astype(np.float32)
    turn = 2 * math.pi  # whole periods, so that tiles fit together
    glow: Electrons = rows.T @ columns
    glow += (200 - 30 * np.cos(turn * x + 0.3)).astype(np.float32)
    glow -= (40 * np.cos(turn * y - 0.4)).astype(np.float32)[:, np.newaxis]
    return glow


def _disc(radius: npt.NDArray[Any], edge: float) -> npt.NDArray[Any]:
    """Return 1 inside radius 1 and 0 outside, changing smoothly over `edge`."""
    depth = np.clip((1 - radius) / edge + 0.5, 0, 1)
    smooth: npt.NDArray[Any] = depth * depth * (3 - 2 * depth)
    return smooth


@functools.cache
def _mean_cells() -> list[Electrons]:
    """Return 48 cells without noise, each cut to its size."""
    numbers = np.random.default_rng(_SEED)
    return [_mean_cell(numbers) for _ in range(48)]


def _mean_cell(numbers: np.random.Generator) -> Electrons:
    uniform = numbers.uniform
    x = np.linspace(-2, 2, int(4 * uniform(16, 28)))
    y = x[:, np.newaxis]
    turn, stretch = uniform(0, math.pi), uniform(1, 1.4)
    along = (math.cos(turn) * x + math.sin(turn) * y) / stretch
    across = (math.cos(turn) * y - math.sin(turn) * x) * stretch
    angle = np.arctan2(across, along)
    outline = np.ones_like(angle)
    for waves in (2, 3, 4, 5):
        outline += uniform(0, 0.25 / waves) * np.cos(waves * angle + uniform(0, 6.3))
    radius = np.hypot(along, across) / outline
    # thick in the middle, thin at the rim
    body = 0.3 + 0.7 * np.sqrt(np.clip(1.1 - radius**2, 0, 1))
    body *= _disc(radius, uniform(0.3, 0.6))
    for _ in range(20):  # grains
        distance = np.hypot(y - uniform(-0.8, 0.8), x - uniform(-0.8, 0.8))
        grain = np.exp(-((distance / uniform(0.07, 0.25)) ** 2))
        body *= 1 + uniform(-0.3, 0.5) * grain
    nucleus = np.hypot(along - uniform(-0.2, 0.2), across - uniform(-0.2, 0.2))
    contrast = numbers.choice([-0.6, -0.45, -0.3, 0.0, 0.9])
    body *= 1 + contrast * _disc(nucleus / uniform(0.36, 0.46), 0.4)
    body += 0.06 * _disc(radius, 0.9)  # its own light, out of focus
    body *= np.clip(600 * numbers.lognormal(0, 0.6), 200, 2500)
    rows, columns = (np.flatnonzero((body >= 1).any(axis)) for axis in (1, 0))
    body = body[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return body.astype(np.float32)


PATTERNS: dict[str, Callable[[Sensor], Draw]] = {
    "cells": _cells,
    "uniform random": _uniform_random,
    "radial sine": _radial_sine,
    "empty": _empty,
}


def drawing_of(pattern: str, sensor: Sensor, picture: tuple[int, int]) -> Draw:
    """Return what draws a picture, or the part of it at the offset, if there is one.

    Parameters
    ----------
    pattern : str
        One of `PATTERNS`.
    sensor : Sensor
        Its `shape` is that of the arrays of its `dtype` that will be drawn into.
    picture : (int, int)
        Height and width of what an offset cuts a part of, in pixels.
    """
    make, (y, x), (rows, columns) = PATTERNS[pattern], sensor.offset, sensor.shape
    if not (x or y):
        return make(sensor)
    whole = np.empty(
        (max(picture[0], y + rows), max(picture[1], x + columns)), sensor.dtype
    )
    draw = make(sensor._replace(shape=whole.shape))

    def draw_part(out: Image, time_s: float) -> None:
        draw(whole, time_s)
        out[...] = whole[y : y + rows, x : x + columns]

    return draw_part
