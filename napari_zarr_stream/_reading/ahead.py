"""One thread that reads what is likely to be looked at next."""

import threading
from collections.abc import Callable, Sequence

from napari_zarr_stream._writer.errors import InvalidStore

IDLE_S = 5.0
"""The thread ends when nobody wished for anything for so long."""

Read = Callable[[], object]


class Ahead:
    """Wishes of several owners; the newest of each are read, in their order.

    May be used from any thread.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._wishes: list[tuple[object, Read]] = []  # guarded by _changed
        self._runs = False  # the same

    def wish(self, owner: object, reads: Sequence[Read]) -> None:
        """Have something read soon; what its owner wished for before is dropped."""
        with self._changed:
            others = [wish for wish in self._wishes if wish[0] is not owner]
            self._wishes = [*others, *((owner, read) for read in reads)]
            if reads and not self._runs:
                self._runs = True
                # A daemon: nothing is lost when the program ends.
                threading.Thread(
                    target=self._work, name="read-ahead", daemon=True
                ).start()
            self._changed.notify()

    def _next(self) -> Read | None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._wishes, IDLE_S):
                self._runs = False
                return None
            return self._wishes.pop(0)[1]

    def _work(self) -> None:
        while (read := self._next()) is not None:
            try:
                read()
            except InvalidStore:
                continue  # said when somebody looks at it
            except BaseException:
                with self._changed:
                    self._runs = False
                raise


ahead = Ahead()
