"""Frames in, OME-Zarr out.

Not the npe2 "writer" hook: that is `_saving/npe2_writers.py`. Nothing in here knows Qt,
napari or a camera.
"""
