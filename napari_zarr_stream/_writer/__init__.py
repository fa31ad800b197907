"""Frames in, OME-Zarr out. Not the npe2 "writer" hook: that one is `_layer_writer.py`.

Nothing in here knows Qt, napari or a camera.
"""
