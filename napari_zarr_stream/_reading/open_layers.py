"""Opening a store from a script: `open_layers`."""

import os

from .layers import LayerData
from .positions import Positions
from .reader import layers_of


def open_layers(
    uri: str | os.PathLike[str], positions: str = Positions.SLIDER
) -> list[LayerData]:
    """Open an OME-Zarr as napari layers: lazy pyramids that read only what is shown.

    Neither Qt nor napari is imported. In napari, each becomes a layer by
    `viewer.add_layer(napari.layers.Layer.create(*layer))`.

    Parameters
    ----------
    uri : str or path
        A store, of this package or another one.
    positions : "slider" or "side by side"
        How images are shown that are positions of a stage: behind a slider, the first
        axis "p", or where the stage had them, x to the right and y upwards.

    Returns
    -------
    list of (data, metadata, layer type)
        One for each channel and one for each label image. `data` is an array, or a list
        of the levels of a pyramid, the largest first; slicing reads nothing until
        `numpy.asarray` is called. `metadata` has name, scale, units, colormap and
        contrast limits as napari's layers take them, and our own record in "metadata".

    Raises
    ------
    InvalidStore
        Nothing there that can be shown; says why.
    ValueError
        No such way to show positions.

    Warns
    -----
    UserWarning
        Something is odd, and what was made of it.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from napari_zarr_stream import export
    >>> path = export(np.eye(64, dtype="uint8"), f"{tempfile.mkdtemp()}/eye.zarr")
    >>> [(data, metadata, kind)] = open_layers(path)
    >>> kind, metadata["name"], int(np.asarray(data[3:])[0, 3])
    ('image', 'eye', 1)
    """
    return layers_of(uri, Positions(positions))
