"""What is known of each frame: columns of numbers, 1-D arrays that grow.

They are a group of their own in the dataset; readers of OME-Zarr pass over it. Without
codec, so that rows are added to a chunk in place: a program that is killed loses those
of the last moment only.
"""

import operator
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from . import system
from .codecs import Raw, stored_dtype
from .errors import InvalidProperties, InvalidStore
from .ngff import Document, Serializer
from .store import Store, StoredFile, read_json

FRAME_LOG = "frame_log"

ROWS_PER_CHUNK = 8192
"""64 KiB of numbers of 8 bytes: a file for 80 s at 100 frames a second."""

MAX_ROWS = 10**8
"""That are read: nobody records more planes into a set."""

Values = npt.NDArray[np.generic]


class _Column:
    """One array: readers know of `told` rows, `rows` are written, the next wait."""

    def __init__(self, dtype: np.dtype[np.generic]) -> None:
        self.dtype = dtype
        self.told = self.rows = 0
        self.waiting = np.empty(0, dtype)
        self.file: StoredFile | None = None


class FrameLog:
    """Columns with a value for every frame.

    `add` from any thread, `write` from one at a time.

    Parameters
    ----------
    store : Store
    serializer : Serializer
    """

    def __init__(self, store: Store, serializer: Serializer) -> None:
        self._store = store
        self._serializer = serializer
        self._columns: dict[str, _Column] = {}  # guarded by _lock, as is what waits
        self._lock = threading.Lock()

    def add(self, columns: Mapping[str, npt.ArrayLike]) -> None:
        """Keep further values of each column, in memory until `write`.

        Raises
        ------
        InvalidProperties
            Values that cannot be stored, or of another type than those before. Nothing
            was taken.
        """
        new = {name: _values(name, given) for name, given in columns.items()}
        with self._lock:
            for name, values in new.items():
                column = self._columns.get(name)
                if column is not None and column.dtype != values.dtype:
                    raise InvalidProperties(
                        f"frame log {name!r} holds {column.dtype}, not {values.dtype}"
                    )
            for name, values in new.items():
                column = self._columns.setdefault(name, _Column(values.dtype))
                column.waiting = np.concatenate([column.waiting, values])

    def write(self) -> None:
        """Put on the storage what waits, and let readers find it.

        Raises
        ------
        WriteFailed
        """
        with self._lock:
            columns = list(self._columns.items())
        for name, column in columns:
            if column.told == column.rows + len(column.waiting):
                continue
            path = f"{FRAME_LOG}/{name}"
            if not column.told:
                self._write_json(self._serializer.group(f"{FRAME_LOG}/"))
            self._write_rows(f"{path}/{self._serializer.chunk_prefix}", column)
            documents = self._serializer.array(
                path,
                shape=(column.rows,),
                chunk_shape=(ROWS_PER_CHUNK,),
                shard_shape=None,
                dtype=column.dtype,
                codec=Raw(),
                names=("frame",),
            )
            self._write_json(documents)
            column.told = column.rows

    def _write_rows(self, prefix: str, column: _Column) -> None:
        item = column.dtype.itemsize
        while len(column.waiting):
            chunk, row = divmod(column.rows, ROWS_PER_CHUNK)
            if not row:
                column.file = self._store.create_file(f"{prefix}{chunk}", False)
                column.file.lengthen(ROWS_PER_CHUNK * item)
            assert column.file is not None
            values = column.waiting[: ROWS_PER_CHUNK - row]
            column.file.write_at(row * item, Raw().encode(values))
            with self._lock:
                column.waiting = column.waiting[len(values) :]
                column.rows += len(values)

    def _write_json(self, documents: Mapping[str, Document]) -> None:
        for key, document in documents.items():
            self._store.write_json(key, document)


def read_column(root: Path, name: str) -> Values:
    """A column of the log of a store; empty where there is none.

    Raises
    ------
    InvalidStore
        It is none that is written here.
    """
    folder = root / FRAME_LOG / name
    document = read_json(folder / "zarr.json")
    prefix, kind = "c/", "data_type"
    if document is None:
        document = read_json(folder / ".zarray")
        prefix, kind = "", "dtype"
    if document is None:
        return np.zeros(0, np.int64)
    try:
        [rows], dtype = document["shape"], np.dtype(document[kind])
        count = min(operator.index(rows), MAX_ROWS)
        if dtype.kind not in "biuf":
            raise TypeError(dtype)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidStore(f"{folder} is no column of a frame log") from error
    values = np.zeros(max(0, count), dtype)
    for first in range(0, len(values), ROWS_PER_CHUNK):
        path = folder / f"{prefix}{first // ROWS_PER_CHUNK}"
        data = b""
        if path.is_file():
            data = system.read_file(path, ROWS_PER_CHUNK * dtype.itemsize)
        here = np.frombuffer(
            data[: len(data) // dtype.itemsize * dtype.itemsize], dtype
        )
        here = here[: len(values) - first]
        values[first : first + len(here)] = here
    return values


def rows_of(root: Path, columns: Sequence[str]) -> dict[int, list[dict[str, float]]]:
    """What the log of a set tells of its planes, by the numbers of their images.

    Of each its t, c and z, and those of `columns` that there are.

    Raises
    ------
    InvalidStore
        It is none that is written here.
    """
    found = {name: read_column(root, name) for name in ("image", *"tcz", *columns)}
    found = {name: values for name, values in found.items() if len(values)}
    rows: dict[int, list[dict[str, float]]] = {}
    for values in zip(*(column.tolist() for column in found.values()), strict=False):
        row = dict(zip(found, values, strict=True))
        rows.setdefault(row.pop("image"), []).append(row)
    return rows


def _values(name: str, given: npt.ArrayLike) -> Values:
    values = np.asarray(given)
    if values.ndim != 1:
        raise InvalidProperties(
            f"frame log {name!r} has shape {values.shape}; it takes one value a frame"
        )
    return np.ascontiguousarray(values, stored_dtype(values.dtype))
