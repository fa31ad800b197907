"""A set of images as readers find it: its documents, kept true while planes come.

Knows no threads: `commit` and `end` are called by one at a time.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .axes import check_scale, check_translation, check_units
from .dataset import Dataset
from .frame_log import FrameLog
from .local_store import LocalStore
from .logged import rows_of
from .ngff import serializer_of
from .ngff_image import Image, check_channels
from .ome_xml import OME_XML, PLANE_COLUMNS, OmeImage, ome_xml
from .plan import Plan
from .plane_rows import columns_of
from .plate import Plate
from .properties import StorageProperties
from .record import FinishReason, RecordKey, check_record, now, of_set
from .set_images import ALONE, ImageDescription, SetImage
from .store import PartOfStore, Store
from .tally import Row


class SetOnDisk:
    """A set of images in a store.

    Parameters
    ----------
    local : LocalStore
        Where it is.
    store : Store
        The same, as it is to be written to.
    properties : StorageProperties
    described : sequence of ImageDescription
    plans : sequence of Plan
        One for each.
    plate : Plate or None
    record : mapping
        What else to keep of all.

    Raises
    ------
    InvalidProperties, WriteFailed
    """

    def __init__(
        self,
        local: LocalStore,
        store: Store,
        properties: StorageProperties,
        described: Sequence[ImageDescription],
        plans: Sequence[Plan],
        plate: Plate | None,
        record: Mapping[str, Any],
    ) -> None:
        self._local, self._store, self._plate = local, store, plate
        self._is_alone = [each.path for each in described] == [ALONE]
        if self._is_alone:  # the record of the image is that of the store
            [alone] = described
            described = [replace(alone, record={**record, **alone.record})]
        self._described = tuple(described)
        self._record = of_set(check_record(record), len(plans))
        self._serializer = serializer_of(properties.ngff)
        self._frame_log = FrameLog(store, self._serializer)
        self.images: list[SetImage] = []
        for each, plan in zip(described, plans, strict=True):
            self._add(each, plan, properties)
        self._untold: dict[int, int] = {}  # steps, by image
        if not self._is_alone:
            self._write_root(all_groups=True)

    def _add(
        self, each: ImageDescription, plan: Plan, properties: StorageProperties
    ) -> None:
        # A step has planes that come, and others that will.
        prefix = f"{each.path}/" if each.path else ""
        part = PartOfStore(self._store, prefix, _nothing, is_in_view=True)
        number = len(self.images)
        root = "/".join([".."] * prefix.count("/"))
        image = Image(
            plan=plan,
            name=each.name,
            method=properties.method,
            scale=check_scale(each.scale, each.axes),
            translation=check_translation(each.translation, each.axes),
            units=check_units(each.units, each.axes),
            channels=check_channels(each.channels, plan),
            record=check_record(each.record)
            | {RecordKey.PART_OF: {"root": root, "image": number}},
        )
        dataset = Dataset(part, properties, image)
        dataset.create()
        self.images.append(SetImage(number, plan, dataset))

    def _write_root(self, *, all_groups: bool) -> None:
        paths = [image.path for image in self._described]
        documents = (
            self._serializer.plate(self._plate, paths, self._record)
            if self._plate
            else self._serializer.series(paths, self._record)
        )
        for key, document in documents.items():
            if all_groups or "/" not in key:
                self._store.write_json(key, document)
        rows = {} if all_groups else rows_of(self._local.root, PLANE_COLUMNS)
        described = [
            OmeImage(
                told.name, told.plan, image.steps, told.channels, told.scale,
                told.units, rows.get(image.number, ()),
            )
            for image in self.images
            for told in [image.dataset.described]
        ]  # fmt: skip
        self._store.replace(OME_XML, ome_xml(described, self._plate, paths))

    def commit(
        self,
        steps: Mapping[int, int],
        rows: Sequence[Row],
        columns: Mapping[str, type],
    ) -> None:
        """Tell readers how far images go now, and what is known of further planes.

        Raises
        ------
        WriteFailed
            The next commit tells the rest.
        """
        for number, top in steps.items():
            self._untold[number] = max(top, self._untold.get(number, 0))
        if rows:
            self._frame_log.add(columns_of(rows, columns))
        if self._plate and self._untold:
            # Fields are shown side by side: readers want them of one shape.
            told = [image.steps for image in self.images]
            top = max(*told, *self._untold.values())
            behind = {n for n, steps in enumerate(told) if steps < top}
            self._untold = dict.fromkeys(behind | self._untold.keys(), top)
        for number, top in list(self._untold.items()):
            image = self.images[number]
            image.dataset.commit(top)
            image.steps = max(image.steps, top)
            del self._untold[number]
        self._frame_log.write()

    def finish_levels(self) -> None:
        """Make what lies in unfinished files readable; a failure is raised afterwards.

        Raises
        ------
        WriteFailed
        """
        self._each(lambda image: image.dataset.finish_levels())

    def show_all(self) -> None:
        """Give images of which nothing came a black step, where others have some.

        Many readers open no store in which an image has none.

        Raises
        ------
        WriteFailed
        """
        steps = int(any(image.steps for image in self.images))
        self.commit({i.number: steps for i in self.images if i.steps < steps}, (), {})

    def _each(self, act: Callable[[SetImage], object]) -> None:
        """Do it with all images, and raise a failure afterwards."""
        with contextlib.ExitStack() as each:
            for image in reversed(self.images):
                each.callback(act, image)

    def end(self, reason: FinishReason, record: Mapping[str, Any], planes: int) -> None:
        """Write all documents for the last time, `planes` being there.

        Raises
        ------
        WriteFailed
            All was tried.
        """
        self._record |= dict(record) | {
            RecordKey.END_TIME: now(),
            RecordKey.FINISH_REASON: str(reason),
            RecordKey.FRAMES_COMMITTED: planes,
        }
        with contextlib.ExitStack() as last:
            last.callback(self._store.close)
            if self._is_alone:
                self.images[0].dataset.annotate(None, record)
            else:
                last.callback(self._write_root, all_groups=False)
            self._each(
                lambda image: image.dataset.end(image.steps, reason, image.planes)
            )


def _nothing() -> None:
    """An image of a set has nothing of its own to let go of."""
