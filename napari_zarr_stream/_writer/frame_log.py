"""What is known of each frame: columns of numbers, 1-D arrays that grow.

They are a group of their own in the dataset; readers of OME-Zarr pass over it. Without
codec, so that rows are added to a chunk in place: a program that is killed loses those
of the last moment only.
"""

import threading
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from .codecs import Raw, stored_dtype
from .errors import InvalidProperties
from .ngff import Serializer
from .ngff_image import Document
from .store import Store, StoredFile

FRAME_LOG = "frame_log"

ROWS_PER_CHUNK = 8192
"""64 KiB of numbers of 8 bytes: a file for 80 s at 100 frames a second."""

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


def _values(name: str, given: npt.ArrayLike) -> Values:
    values = np.asarray(given)
    if values.ndim != 1:
        raise InvalidProperties(
            f"frame log {name!r} has shape {values.shape}; it takes one value a frame"
        )
    return np.ascontiguousarray(values, stored_dtype(values.dtype))
