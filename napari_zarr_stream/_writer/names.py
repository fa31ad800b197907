"""What an image is called after its path: the name without an ending that is known.

What stands behind other dots belongs to the name: dates and concentrations have them.
"""

import os
import re

_ENDING = re.compile(
    r"(\.ome)?\.(zarr|tiff?)|\.(btf|bmp|czi|gif|ims|jpe?g|lif|lsm|mrc|nd2|npy|png|stk)",
    re.IGNORECASE,
)


def split_ending(path: str | os.PathLike[str]) -> tuple[str, str]:
    """The last part of a path, cut before the ending of a store or an image file.

    >>> split_ending("data/26.11.2026 HeLa 1.5 mM.ome.zarr/")
    ('26.11.2026 HeLa 1.5 mM', '.ome.zarr')
    """
    name = os.path.basename(os.path.abspath(path))
    for dot in (found.start() for found in re.finditer(r"\.", name)):
        if dot and _ENDING.fullmatch(name, dot):
            return name[:dot], name[dot:]
    return name, ""


def image_name(path: str | os.PathLike[str]) -> str:
    """What the image at `path` is called where nothing else says it.

    >>> image_name("26.11.2026 HeLa 1.5 mM.zarr")
    '26.11.2026 HeLa 1.5 mM'
    """
    return split_ending(path)[0]


def is_store_name(path: str | os.PathLike[str]) -> bool:
    """Whether a path ends as that of a store does: in ".zarr", in any letters' case."""
    return split_ending(path)[1].lower().endswith(".zarr")
