"""What frames come from: cameras, napari layers, files."""
