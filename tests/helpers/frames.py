"""Planes that carry their address, so that a misplaced one is seen."""

import numpy as np

DTYPES = [
    "bool", "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "uint64", "float32", "float64",
]  # fmt: skip


def plane(number, shape=(24, 40), dtype="uint16"):
    """Pixel (0, 0) is the plane's number; its neighbours say where they are."""
    y, x = np.indices(shape)
    address = number + 131 * y + 7 * x
    if np.dtype(dtype) == bool:
        return (address ^ (address >> 3)) % 2 == 1
    return address.astype(dtype)


def planes(count, shape=(24, 40), dtype="uint16", first=0):
    """`count` planes, (count, height, width)."""
    numbers = range(first, first + count)
    return np.array([plane(i, shape, dtype) for i in numbers], dtype).reshape(
        -1, *shape
    )
