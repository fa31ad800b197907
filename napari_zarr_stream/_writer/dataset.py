"""The dataset on its storage: its levels and the documents that describe them.

Knows no queue and no threads. What a reader is told follows what it could read: the
stream says how far that is.
"""

import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .array import LevelArray
from .axes import check_scale
from .codecs import codec_of
from .errors import InvalidProperties
from .frame_log import FrameLog
from .ngff import serializer_of
from .ngff_image import Document, Image, check_channels
from .properties import Channel, StorageProperties
from .record import FinishReason, beginning, check_record, ending
from .store import Store


class Dataset:
    """An image's levels and documents in a store.

    Parameters
    ----------
    store : Store
    properties : StorageProperties
    image : Image
        Its record is added to what is kept of `properties`.
    in_turn : bool
        As of `LevelArray`.
    """

    def __init__(
        self,
        store: Store,
        properties: StorageProperties,
        image: Image,
        *,
        in_turn: bool = False,
    ) -> None:
        self._store = store
        self._steps = 0  # that readers were told of
        record = beginning(properties, image.plan) | dict(image.record)
        self._lock = threading.Lock()  # held while documents of the image are written
        self._image = replace(image, record=record)  # guarded by _lock
        self._is_noted = False  # and not written yet; guarded by _lock
        self._serializer = serializer_of(properties.ngff)
        self.frame_log = FrameLog(store, self._serializer)
        block_bytes = image.plan.blosc_block_bytes
        codec = codec_of(properties.kind, block_bytes, properties.codec_level)
        self.levels = [
            LevelArray(
                image.plan, level, store, codec, self._serializer, in_turn=in_turn
            )
            for level in range(len(image.plan.level_shapes))
        ]

    @property
    def described(self) -> Image:
        """What its documents say, as far as it was changed."""
        with self._lock:
            return self._image

    def create(self) -> None:
        """Write an empty dataset, which nobody sees yet.

        Raises
        ------
        WriteFailed
        """
        for level in self.levels:
            shape = level.plan.level_shape_after(level.level, 0)
            self._write(level.documents(shape))
        self._write(self._serializer.image(self._image))

    def publish(self) -> None:
        """Put it in its place.

        Raises
        ------
        StoreExists, WriteFailed
        """
        self._store.publish()

    def commit(self, steps: int) -> None:
        """Tell readers how far the levels go, level 0 last: it promises the others.

        Before that, what was noted.

        Raises
        ------
        WriteFailed
        """
        with self._lock:
            if self._is_noted:
                self._write(self._serializer.image(self._image))
                self._is_noted = False
        for level in self.levels:
            level.publish()
        # After a flush, those of files that are full are fewer than those known.
        if self._image.plan.outer and steps > self._steps:
            for level in reversed(self.levels):
                shape = level.plan.level_shape_after(level.level, steps)
                self._write(level.documents(shape))
            self._steps = steps

    def note(self, record: Mapping[str, Any]) -> None:
        """Add to what is kept; it is written with the next commit.

        Raises
        ------
        InvalidProperties
            A record that is not JSON.
        """
        with self._lock:
            self._image = self._recording(record)
            self._is_noted = True

    def _recording(self, record: Mapping[str, Any]) -> Image:
        """The image with more of a record. Caller must hold `_lock`."""
        merged = check_record(dict(self._image.record) | dict(record))
        return replace(self._image, record=merged)

    def annotate(
        self,
        channels: Sequence[Channel] | None,
        record: Mapping[str, Any],
        interval_s: float | None = None,
    ) -> None:
        """Change how channels are shown, how far steps are apart, and what is kept.

        Raises
        ------
        InvalidProperties
            Another number of channels than there are, a record that is not JSON, or an
            interval where there is no time.
        WriteFailed
        """
        with self._lock:
            image = self._recording(record)
            if interval_s is not None:
                if image.plan.axes[0] != "t":
                    raise InvalidProperties(
                        f"axes {image.plan.axes!r} have no time axis"
                    )
                image = replace(
                    image,
                    scale=check_scale((interval_s, *image.scale[1:]), image.plan.axes),
                    units=("second", *image.units[1:]),
                )
            if channels is not None:
                named = check_channels(channels, image.plan)
                image = replace(image, channels=tuple(named))
            self._image = image
            self._write(self._serializer.image(self._image))

    def flush(self) -> None:
        """Make what lies in files that are not full readable, though more will come.

        Raises
        ------
        WriteFailed
        """
        for level in self.levels:
            level.flush()

    def finish_levels(self) -> None:
        """Make what lies in unfinished files readable.

        Every level is tried; a failure is raised afterwards.

        Raises
        ------
        WriteFailed
        """
        with contextlib.ExitStack() as each:
            for level in self.levels:
                each.callback(level.finish)

    def end(
        self,
        steps: int,
        reason: FinishReason,
        frames_committed: int,
        planes_padded: int = 0,
    ) -> None:
        """Write the root's documents for the last time, and let others write here.

        Where channels come one after another only those that came, `steps` of them,
        are named.

        Raises
        ------
        WriteFailed
        """
        with self._lock:
            channels, plan = self._image.channels, self._image.plan
            if plan.axes[0] == "c":
                here = replace(plan, shape=plan.level_shape_after(0, steps))
                named = check_channels(None, here)
                channels = (*channels[: len(named)], *named[len(channels) :])
            record = ending(self._image.record, reason, frames_committed, planes_padded)
            self._image = replace(self._image, channels=channels, record=record)
            try:
                self._write(self._serializer.image(self._image))
            finally:
                self._store.close()

    def _write(self, documents: Mapping[str, Document]) -> None:
        for key, document in documents.items():
            self._store.write_json(key, document)
