"""Record cameras and napari layers straight into chunked, multiscale OME-Zarr.

Importing this brings in neither Qt nor napari, and nothing at all of the package before
one of its names is asked for: napari imports it when a dock is opened, and waits.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._names import *  # noqa: F403


def __getattr__(name: str) -> Any:
    names = import_module("._names", __name__)
    if name == "__all__" or name in names.__all__:
        return getattr(names, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__getattr__("__all__"))
