"""Cameras of Micro-Manager: of the core that is running, or of a configuration file."""

from .camera import MicroManagerCamera, find

__all__ = ["MicroManagerCamera", "find"]
