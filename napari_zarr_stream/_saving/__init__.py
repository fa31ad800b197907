"""Layers and arrays into a store, here and now."""
