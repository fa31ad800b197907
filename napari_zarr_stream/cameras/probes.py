"""What a camera need not be able to say: asked so that a failure takes nothing away.

Drivers raise whatever they like where one question is too many for a camera. What could
not be asked is left out, and said: in the log, and in the camera's `info`.
"""

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from .protocol import CameraLost

T = TypeVar("T")
D = TypeVar("D")

LEFT_OUT = "left out"
"""Key of `Camera.info`: what the camera could not be asked, and why; for people."""


class Probes:
    """Asks what is optional, and keeps what failed.

    Parameters
    ----------
    name : str
        Of the camera, for the log.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._failed: dict[str, str] = {}

    @property
    def info(self) -> Mapping[str, str]:
        """What to add to `Camera.info`; empty where all could be asked."""
        if not self._failed:
            return {}
        return {LEFT_OUT: "; ".join(f"{w}: {why}" for w, why in self._failed.items())}

    def ask(self, what: str, question: Callable[[], T], otherwise: D) -> T | D:
        """Ask a question; `otherwise` where it fails, whatever it raises.

        Raises
        ------
        CameraLost
            The camera is gone: then all questions fail.
        """
        try:
            answer = question()
        except CameraLost:
            raise
        # code of drivers, and its failure is told
        except Exception as error:  # noqa: BLE001
            why = f"{type(error).__name__}: {error}"
            if self._failed.get(what) != why:
                self._failed[what] = why
                logging.getLogger(__name__).warning(
                    "%s cannot tell its %s, which is left out: %s",
                    self._name,
                    what,
                    why,
                )
            return otherwise
        self._failed.pop(what, None)
        return answer
