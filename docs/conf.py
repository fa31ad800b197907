"""The site: `make docs`. Every warning is an error."""

from importlib.metadata import version as version_of

project = "napari-zarr-stream"
author = "the napari-zarr-stream team"
copyright = "the napari-zarr-stream team, BSD-3-Clause"  # noqa: A001 - Sphinx' name
release = version_of("napari-zarr-stream")
version = ".".join(release.split(".")[:2])

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.mermaid",
]
exclude_patterns = ["upstream"]

html_theme = "furo"
html_title = "napari-zarr-stream"

myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings have them, in words
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
