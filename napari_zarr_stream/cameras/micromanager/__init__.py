"""Cameras of Micro-Manager: of the core that is running, or of a configuration file."""

from .camera import MicroManagerCamera, find
from .simulated import simulated_microscope

__all__ = ["MicroManagerCamera", "find", "simulated_microscope"]
