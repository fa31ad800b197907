"""How much is read at once: chunks, and bytes of memory."""

import psutil

from .documents import BeyondBounds
from .location import Location

MAX_CHUNKS = 2**13
"""Of one read, where chunks are small: zarr takes 1 to 3 s for so many."""


def refuse_beyond_memory(path: Location, wanted: int) -> None:
    """Raise `BeyondBounds` if so many bytes are not free: the system might end us."""
    free = psutil.virtual_memory().available
    if wanted > free:
        raise BeyondBounds(
            f"{path}: {wanted / 1e9:.1f} GB of memory are needed to show this, "
            f"{free / 1e9:.1f} GB are free: look at a part or at a smaller level"
        )
