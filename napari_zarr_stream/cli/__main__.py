"""`python -m napari_zarr_stream.cli`: the same command where no script is installed."""

import sys

from . import main

sys.exit(main())
