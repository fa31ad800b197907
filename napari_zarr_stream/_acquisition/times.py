"""How far time points really are apart: asked for is one thing, reached another."""

import statistics


class Times:
    """Looks at one plane of each time point: always the same one."""

    def __init__(self) -> None:
        self._followed: tuple[int, int, int] | None = None  # image, c and z
        self._at_ms: dict[int, float] = {}  # by t

    def see(self, image: int, place: tuple[int, int, int], at_ms: float) -> None:
        """A plane has come."""
        t, c, z = place
        if self._followed is None:
            self._followed = image, c, z
        if self._followed == (image, c, z):
            self._at_ms[t] = at_ms

    @property
    def interval_s(self) -> float | None:
        """The median; None where there are not two of one after the other."""
        steps = [
            at_ms - self._at_ms[t - 1]
            for t, at_ms in self._at_ms.items()
            if t - 1 in self._at_ms
        ]
        median = statistics.median(steps) / 1000 if steps else 0.0
        return median if median > 0 else None
