"""Requests side by side: all of them wait about as long as one."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

MOST = 64
"""At once: the chunks of a plane of 4096 x 4096 in tiles of 512. Servers take so many
of one browser page as well."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def side_by_side(
    ask: Callable[[Item], Answer], items: Iterable[Item], most: int = MOST
) -> list[Answer]:
    """What `ask` returns for each item, in their order; `most` are asked at once.

    The threads ("zarr-stream-request") end with it. The first exception is raised when
    all have ended.
    """
    every = list(items)
    if min(most, len(every)) < 2:
        return [ask(item) for item in every]
    with ThreadPoolExecutor(min(most, len(every)), "zarr-stream-request") as pool:
        return list(pool.map(ask, every))
