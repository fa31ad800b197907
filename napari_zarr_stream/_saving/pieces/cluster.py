"""Pieces done by the workers of a cluster of dask, which share a folder with us."""

import math
import pickle
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from napari_zarr_stream._saving.course import Stopped
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.errors import (
    InvalidProperties,
    WriteFailed,
    ZarrStreamError,
)
from napari_zarr_stream._writer.words import size_in_words

from .cut import Piece
from .note import FOLDER, Note
from .run import Crew, Doers
from .work import Work, do_piece

CONNECT_S = 20
"""A scheduler that is there answers within that, however busy."""

MOST_BYTES = 32 * 2**20
"""Of what is sent to workers: graphs of a million chunks have as much. What is larger
has pixels in it."""

ASK_S = 5.0
"""How often the scheduler is asked for the workers that it has now."""

LEAVE_S = 60
"""Pieces that were begun are waited for so long before their folder is taken away."""

ALIKE = ("napari-zarr-stream", "blosc")
"""Packages of which every worker has to have our version: bytes are theirs."""

INSTALL = 'pip install "napari-zarr-stream[cluster]"'


def is_installed() -> bool:
    """Whether there is what exports on a cluster need."""
    return find_spec("distributed") is not None


def on_cluster(scheduler: str) -> Crew:
    """Workers of the cluster with a scheduler at an address, as "tcp://host:8786"."""
    return partial(_workers, scheduler)


@contextmanager
def _workers(scheduler: str, work: Work) -> Iterator[Doers]:
    """The workers, once they are seen to be able to.

    Raises
    ------
    InvalidProperties
        They cannot; says which, and what to do.
    """
    try:
        import distributed
    except ImportError as error:
        raise InvalidProperties(
            f"to export on a cluster, dask.distributed is needed: {INSTALL}"
        ) from error
    packed = _packed(work)
    connect: Any = distributed.Client
    try:
        client = connect(
            scheduler, timeout=CONNECT_S, set_as_default=False, name="zarr-export"
        )
    except (OSError, ValueError) as error:
        raise InvalidProperties(
            f"no scheduler answers at {scheduler}: {error}. Start one with `dask "
            "scheduler`, which says its address, and `dask worker ADDRESS` on each "
            "computer"
        ) from error
    try:
        _check_versions(client, scheduler)
        _check_folder(client, work.root)
        workers = _Workers(client, scheduler, packed)
        try:
            yield workers
        finally:
            workers.leave()
    finally:
        client.close()


def _packed(work: Work) -> bytes:
    """What the workers have to know.

    Raises
    ------
    InvalidProperties
        Pixels would have to go with it.
    """
    import cloudpickle

    for levels in work.levels:
        boxes = levels.boxes
        for name, reader in zip(boxes.names, boxes.readers, strict=True):
            array = reader.array
            if isinstance(array, np.ndarray):
                raise InvalidProperties(
                    f"layer {name!r} is in the memory of this computer, where no "
                    f"worker gets to. {_SAVE_FIRST}"
                )
            try:
                cloudpickle.dumps(array)
            except Exception as error:
                raise InvalidProperties(
                    f"layer {name!r} cannot be sent to workers ({error!r}). "
                    f"{_SAVE_FIRST}"
                ) from error
    packed: bytes = cloudpickle.dumps(work)
    if len(packed) > MOST_BYTES:
        names = ", ".join(repr(n) for each in work.levels for n in each.boxes.names)
        raise InvalidProperties(
            f"what workers would need to read layer {names} is "
            f"{size_in_words(len(packed))}: its pixels are in it. {_SAVE_FIRST}"
        )
    return packed


_SAVE_FIRST = (
    "Workers can open what lies in files that they see as well: a store, an array of "
    "zarr, one of dask that reads from files or works its pixels out. Save the layer "
    "first, and export what was saved"
)


def _check_versions(client: Any, scheduler: str) -> None:
    try:
        client.wait_for_workers(1, timeout=CONNECT_S)
    except TimeoutError:
        raise InvalidProperties(
            f"the scheduler at {scheduler} has no workers: start some with `dask "
            f"worker {scheduler}`"
        ) from None
    found = client.get_versions(packages=list(ALIKE))
    here = found["client"]["packages"]
    for worker, said in found["workers"].items():
        there = said["packages"]
        for package in ALIKE:
            if there.get(package) != here[package]:
                raise InvalidProperties(
                    f"{package} is {here[package]} here, and on the worker {worker} "
                    f"{there.get(package) or 'not installed'}: install the same on all "
                    "computers, so that they write the same"
                )


def _check_folder(client: Any, root: Path) -> None:
    mark = root / FOLDER / "seen"
    token = uuid.uuid4().hex
    system.replace_file(mark, token.encode())
    seen = client.run(_sees, str(mark), token, on_error="return")
    for worker, sees in seen.items():
        if sees is not True:
            why = "" if sees is False else f" ({sees!r})"
            raise InvalidProperties(
                f"worker {worker} does not see the folder {root.parent}{why}: a "
                "cluster writes to a folder that all its computers have under the same "
                "path, as of a file server"
            )


def _sees(path: str, token: str) -> bool:
    try:
        return system.read_file(Path(path), 100) == token.encode()
    except OSError:
        return False


def _unpacked(packed: bytes) -> Work:
    work: Work = pickle.loads(packed)
    return work


class _Doing:
    """A piece that a worker does."""

    def __init__(self, future: Any, scheduler: str) -> None:
        self._future = future
        self._scheduler = scheduler

    def done(self) -> bool:
        """See `Doing.done`."""
        return str(self._future.status) != "pending"

    def result(self) -> Note:
        """See `Doing.result`.

        Raises
        ------
        ZarrStreamError, Stopped
        """
        status = self._future.status
        if status in ("cancelled", "lost"):
            raise WriteFailed(
                f"the scheduler at {self._scheduler} is gone, or has dropped the "
                "export: nothing more can be done there"
            )
        if status == "error":
            error = self._future.exception()
            if isinstance(error, ZarrStreamError | Stopped):
                raise error
            raise WriteFailed(f"a worker of the cluster failed: {error!r}") from error
        note: Note = self._future.result()
        return note


class _Workers:
    """The workers, those that come later among them."""

    def __init__(self, client: Any, scheduler: str, packed: bytes) -> None:
        self._client = client
        self._scheduler = scheduler
        # Sent once. A worker that has it and is killed is no loss: made again of this.
        self._work = client.submit(_unpacked, packed, pure=False)
        self._doing: list[_Doing] = []
        self._threads, self._asked_at = 1, -math.inf

    @property
    def at_once(self) -> int:
        """See `Doers.at_once`: one for each thread, and one that it goes on with."""
        now = time.perf_counter()
        if now - self._asked_at > ASK_S:
            self._threads = max(1, sum(self._client.nthreads().values()))
            self._asked_at = now
        return 2 * self._threads

    def submit(self, piece: Piece) -> _Doing:
        """See `Doers.submit`."""
        future = self._client.submit(do_piece, self._work, piece, pure=False)
        self._doing = [each for each in self._doing if not each.done()]
        self._doing.append(doing := _Doing(future, self._scheduler))
        return doing

    def leave(self) -> None:
        """Wait for what was begun, if somebody is still there to end it."""
        until = time.perf_counter() + LEAVE_S
        while not all(each.done() for each in self._doing):
            if time.perf_counter() > until or self._client.status != "running":
                return
            time.sleep(0.05)
