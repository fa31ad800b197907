"""The core that a viewer works with: the one of Micro-Manager, or a simulated one."""

import atexit
from collections.abc import Callable
from concurrent.futures import Future  # noqa: TC003 - of attributes
from contextlib import ExitStack
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_zarr_stream._acquisition.microscope import Microscope, look_at
from napari_zarr_stream.cameras.micromanager.core import running_core
from napari_zarr_stream.cameras.micromanager.simulated import simulated_microscope

from .background import in_background


class FollowedCore(QObject):
    """Keeps to the core that others use, unless it is asked to simulate one.

    What takes its time is asked of a core in a thread, and answers are polled.
    `changed` is emitted when there is another core, or something is known of it.

    Parameters
    ----------
    is_held : callable
        Whether a run needs the core that there is.

    Attributes
    ----------
    core : CMMCorePlus or None
    microscope : Microscope or None
        What the core said of itself last.
    why_not : str
        Why nothing is known of it.
    """

    changed = Signal()

    def __init__(self, is_held: Callable[[], bool]) -> None:
        super().__init__()
        self._is_held = is_held
        self.core: Any = None
        self.microscope: Microscope | None = None
        self.why_not = ""
        self._simulation: ExitStack | None = None
        self._loading: Future[Any] | None = None
        self._looking: Future[Microscope] | None = None

    @property
    def is_simulated(self) -> bool:
        """Whether it is one that is a program, or that is being made."""
        return self._simulation is not None or self._loading is not None

    def follow(self) -> None:
        """Take the core that Micro-Manager has now, if it is another."""
        if not self.is_simulated:
            self._take(running_core())

    def simulate(self) -> None:
        """Make a microscope that is a program, in place of another."""
        if self.is_simulated or self._is_held():
            return
        stack = ExitStack()
        self._loading = in_background(
            lambda: (stack, stack.enter_context(simulated_microscope()))
        )
        atexit.register(stack.close)  # before what it stands on is taken down
        self.changed.emit()

    def end_simulation(self) -> None:
        """Go back to Micro-Manager's own core."""
        stack, self._simulation = self._simulation, None
        if stack is not None:
            self._take(None)
            in_background(stack.close)
        self.follow()

    def _take(self, core: Any) -> None:
        if core is self.core or self._is_held():
            return
        self.core, self.microscope, self.why_not = core, None, ""
        self._looking = None
        self.changed.emit()
        self.look()

    def look(self) -> None:
        """Ask the core for what it has, in the background."""
        core = self.core
        if core is not None and self._looking is None:
            self._looking = in_background(lambda: look_at(core), may_be_dropped=True)

    def take_answers(self) -> None:
        """See what has come of that; to be called now and then."""
        if self._loading is not None and self._loading.done():
            loading, self._loading = self._loading, None
            if (error := loading.exception()) is not None:
                self.why_not = f"The simulated microscope could not be made: {error}"
            else:
                self._simulation, core = loading.result()
                self._take(core)
            self.changed.emit()
        if self._looking is not None and self._looking.done():
            looking, self._looking = self._looking, None
            error = looking.exception()
            self.why_not = str(error) if error else ""
            self.microscope = None if error else looking.result()
            self.changed.emit()
