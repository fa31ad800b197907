"""What an interrupted export left beside the place of its store, and what it was of."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from napari_zarr_stream._saving.image import PlannedImage
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.errors import InvalidProperties, InvalidStore
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.record import beginning
from napari_zarr_stream._writer.refusals import writing
from napari_zarr_stream._writer.store import read_json

from .note import FOLDER, STOP_KEY

WHAT_KEY = f"{FOLDER}/what.json"
"""What an export is of, said at its start."""

_OF_THE_RUN = ("store_id", "start_time")

Said = dict[str, Any]


def what_is_exported(images: Mapping[str, PlannedImage], path: Path) -> Said:
    """All that the files of an export follow from, but for the pixels, as JSON."""
    said: Said = {"store": path.name, "version": version("napari-zarr-stream")}
    for image, planned in images.items():
        description = planned.levels[0].describe()
        stored = beginning(planned.properties, planned.plan)
        said[f"image {image!r}"] = {
            **{key: at for key, at in stored.items() if key not in _OF_THE_RUN},
            **{
                key: value
                for key, value in asdict(description).items()
                if key in ("name", "axes", "scale", "translation", "units", "is_label")
            },
            "channels": [asdict(each) for each in description.channels or ()],
            "record": dict(description.record),
            "levels": [list(shape) for shape in planned.plan.level_shapes],
            "levels_kept": len(planned.levels),
        }
    plain: Said = json.loads(json.dumps(said, default=str))
    return plain


def begin(store: LocalStore, said: Said) -> None:
    """Say in the folder of a store what it is to become, for who finds it.

    Raises
    ------
    WriteFailed
    """
    store.write_json(WHAT_KEY, said)


def end(store: LocalStore) -> None:
    """Take away what no reader of a store is to meet.

    Raises
    ------
    WriteFailed
    """
    with writing(store.root):
        system.remove_tree(store.root / FOLDER)
        for path in _partial(store.root):
            system.remove(path)


def _partial(folder: Path) -> Iterator[Path]:
    """Files on their way to their place, of workers that were killed."""
    for entry in system.entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _partial(Path(entry.path))
        elif system.PARTIAL.fullmatch(entry.name):
            yield Path(entry.path)


def can_be_taken_up(store: LocalStore) -> bool:
    """Whether another export can go on in its folder."""
    return (store.root / WHAT_KEY).is_file()


def take_up(store: LocalStore, path: Path, said: Said) -> bool:
    """Go on in the folder that an interrupted export of the same left.

    Returns
    -------
    bool
        False where there is none.

    Raises
    ------
    InvalidProperties
        It was of something else; says of what.
    """
    others = []
    for folder, before in _left_at(store, path):
        if not (found := _differences(before, said)):
            store.go_on_in(folder)
            with writing(folder):
                system.remove(folder / STOP_KEY)
            return True
        others.append((folder, found))
    if not others:
        return False
    folder, found = others[0]
    raise InvalidProperties(
        f"what is left of an interrupted export is of another one: {folder} ("
        f"{'; '.join(found[:4])}). Ask for the same as then, or delete that folder"
    )


def _left_at(store: LocalStore, path: Path) -> Iterator[tuple[Path, Said]]:
    """What interrupted exports to a place left, the newest first."""
    ours = re.compile(rf"\.{re.escape(path.name[:40])}\.[0-9a-f]{{8}}")
    found = []
    for entry in system.entries(path.parent):
        folder = Path(entry.path)
        if not ours.fullmatch(entry.name) or entry.is_symlink() or folder == store.root:
            continue
        try:
            said = read_json(folder / WHAT_KEY)
        except InvalidStore:
            continue
        if said is not None and said.get("store") == path.name:
            found.append((entry.stat().st_mtime, folder, said))
    for _, folder, said in sorted(found, key=lambda each: -each[0]):
        yield folder, said


def _differences(before: Any, now: Any, name: str = "") -> Sequence[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        found: list[str] = []
        for key in {**before, **now}:
            inside = f"{name}, {key}" if name else key
            found += _differences(before.get(key), now.get(key), inside)
        return found
    return [] if before == now else [f"{name}: {_short(before)}, now {_short(now)}"]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
