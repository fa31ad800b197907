"""What is done while the user looks at the new dock."""

from programs import run_python

FIRST_LAYER = """
import sys
import numpy as np
from napari.components import ViewerModel
from napari_zarr_stream._dock.warm_up import warm_up
warm_up()
before = set(sys.modules)
ViewerModel().add_image(np.zeros((4, 4), np.uint16), units=["um", "um"])
large = {"pandas", "pint", "scipy", "skimage", "xarray", "zarr"}
print(sorted(large & {name.split(".")[0] for name in set(sys.modules) - before}))
"""


def test_the_first_layer_imports_nothing_large_at_the_click():
    assert run_python(FIRST_LAYER).stdout.split() == ["[]"]
