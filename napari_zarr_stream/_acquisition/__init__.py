"""A sequence of planes for many images: its layout, the engine that records it."""
