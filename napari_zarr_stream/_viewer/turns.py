"""Work of the window's thread in steps, each in a turn of the event loop of its own.

Between two of them the window paints, and answers whoever clicks.
"""

from collections.abc import Iterator

from qtpy.QtCore import QObject, QTimer

SOON_MS = 0
"""The next turn."""

NO_STEPS: Iterator[int] = iter(())


class Turns(QObject):
    """Takes the steps of a generator, each as many ms later as the one before says.

    What a step raises ends the work, and is raised where the step was taken.

    Parameters
    ----------
    parent : QObject
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._steps = NO_STEPS
        self.is_over = True
        self._is_inside = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._step)

    def begin(self, steps: Iterator[int]) -> None:
        """Take the first step now, and each other one in a turn of its own."""
        self._steps, self.is_over = steps, False
        self._step()

    def finish(self) -> None:
        """Take all that are left, now; from within a step nothing happens."""
        while not self.is_over and not self._is_inside:
            self._step()

    def give_up(self) -> None:
        """Take no other one."""
        self._timer.stop()
        self._steps, self.is_over = NO_STEPS, True

    def _step(self) -> None:
        steps, self._is_inside = self._steps, True
        wait_ms = None
        try:
            wait_ms = next(steps, None)
        finally:
            self._is_inside = False
            if steps is not self._steps:
                pass  # it gave up, or began another work
            elif wait_ms is None:
                self.give_up()
            else:
                self._timer.start(wait_ms)
