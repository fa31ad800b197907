"""How far an export has come, told as one number, and whether it is to go on."""

from collections.abc import Callable

Progress = Callable[[int, int], object]
"""Is given the planes that are done and those there are in all."""

VERIFY_SHARE = 1 / 3
"""Of the time, what reading back takes; measured with zstd and a pyramid."""


class Stopped(Exception):
    """The user does not want the rest."""


class Course:
    """Counts what is written and what is read back.

    Parameters
    ----------
    total : int
        Planes of level 0 of all images.
    verify : bool
        Whether they are read back as well.
    progress : callable, optional
        Called whenever another plane is done.
    should_stop : callable, optional
        Asked whenever something was done, or has been waited for.
    """

    def __init__(
        self,
        total: int,
        verify: bool,
        progress: Progress | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        self._total = total
        self._share = VERIFY_SHARE if verify else 0.0
        self._progress = progress
        self._should_stop = should_stop
        self._written = 0.0
        self._verified = 0.0
        self._told = -1

    def wrote(self, planes: float) -> None:
        """Count planes that were handed to the stream.

        Of a kept pyramid those of lower levels are parts of planes.

        Raises
        ------
        Stopped
        """
        self._written += planes
        self.go_on()

    def verified(self, planes: float) -> None:
        """Count planes, or parts of them, that were read back.

        Raises
        ------
        Stopped
        """
        self._verified += planes
        self.go_on()

    def go_on(self) -> None:
        """Say how far it is.

        Raises
        ------
        Stopped
        """
        done = (1 - self._share) * self._written + self._share * self._verified
        whole = min(self._total, int(done + 1e-6))
        if self._progress is not None and whole > self._told:
            self._told = whole
            self._progress(whole, self._total)
        if self._should_stop is not None and self._should_stop():
            raise Stopped
