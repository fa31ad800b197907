"""One look at a store: what is wrong with it, and what is to be done, in order."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import starmap
from pathlib import Path

import numpy as np

from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.logged import SetLog, place_in_set
from napari_zarr_stream._writer.ngff_image import Document
from napari_zarr_stream._writer.record import FinishReason

from .documents import Documents, group_key
from .existing_store import ExistingStore
from .files import FileExaminer, Found, Layout, Need
from .leftovers import holds_only_documents, is_on_its_way, leftovers
from .level import Level, Run, gaps, joined, words_for
from .mend import Mender
from .pixels import CACHE_BYTES, LevelPixels
from .places import named, planes_there, together
from .report import Finding, Progress, Report, Watcher
from .sets import log_documents

Action = Callable[[ExistingStore, Watcher], None]


class Examination:
    """What was found in a store, and what is to be done about it.

    Attributes
    ----------
    findings : list of Finding
    actions : list of callable
        Each leaves a store that is as good as it was, or better.

    Raises
    ------
    InvalidStore
        No store of this package, or one that its own record contradicts.
    """

    def __init__(self, root: Path, watch: Watcher, steps: int | None = None) -> None:
        self.root = root
        self._steps_of_set = steps
        self.findings: list[Finding] = []
        self.actions: list[Action] = []
        self._watch = watch
        self._to_mend: list[Found] = []
        self._before = self._after = 0
        self._look_beside()
        self._beside = tuple(self.findings)
        if group_key(root) is None:
            if not any(finding.remedy for finding in self.findings):
                beside = "".join(f"; beside it: {found}" for found in self.findings)
                what = "is not a Zarr group" if root.exists() else "does not exist"
                raise InvalidStore(f"{root} {what}{beside}")
            return
        self._documents = Documents(root)
        self._plan = self._documents.plan
        self._layout = Layout(self._plan)
        self._mender = Mender(
            self._layout,
            self._documents.codec,
            self._documents.serializer,
            self._documents.properties.method,
        )
        self._look_for_partials()
        self._look_at_levels()
        self._look_at_record()

    def report(self) -> Report:
        """All of it, in words."""
        return Report(self.root, None, tuple(self.findings), self._before, self._after)

    def _find(
        self,
        where: str,
        problem: str,
        remedy: str = "",
        action: Action | None = None,
        *,
        is_loss: bool = False,
    ) -> None:
        self.findings.append(Finding(where, problem, remedy, is_loss))
        if action is not None:
            self.actions.append(action)

    # --------------------------------------------------------------------- leftovers

    def _look_beside(self) -> None:
        replaced = []
        for folder in leftovers(self.root):
            if folder.name.endswith(".replaced"):
                replaced.append(folder)
            elif holds_only_documents(folder):
                self._find(
                    folder.name,
                    "left by a writer that was killed before it had a store",
                    "removed, it holds no pixels",
                    _removes(folder),
                )
            else:
                self._find(folder.name, "left by an export that did not end: kept")
        is_gone = not self.root.exists()
        for folder in replaced:
            if is_gone and len(replaced) == 1:
                self._find(
                    folder.name,
                    "the store that was to be replaced, and never was",
                    f"renamed to {self.root.name}",
                    _renames(folder, self.root),
                )
            else:
                self._find(folder.name, "what was left of a replaced store: kept")

    def _look_for_partials(self) -> None:
        levels = map(str, range(len(self._plan.level_shapes)))
        for folder in [self.root, *(self.root / level for level in levels)]:
            for path in sorted(folder.glob("*.partial")):
                self._look_at_stray(path)

    def _look_at_stray(self, path: Path) -> None:
        where = path.relative_to(self.root).as_posix()
        if is_on_its_way(path):
            self._find(
                where,
                "on its way when the program was killed",
                "removed",
                _removes(path),
            )
        else:
            self._find(where, "not of this package, or a link: left as it is")

    # ------------------------------------------------------------------------ levels

    def _look_at_levels(self) -> None:
        plan, documents = self._plan, self._documents
        prefix = documents.serializer.chunk_prefix
        levels = [
            Level(self.root / str(level), level, self._layout, prefix)
            for level in range(len(plan.level_shapes))
        ]
        committed = documents.committed()
        self._look_into(levels)
        full, *smaller = levels
        self._full = LevelPixels(full, documents.codec)
        if documents.part_of is not None:
            steps = max(committed, self._steps_of_set or 0)
            self._look_at_places(levels, steps)
            self._look_at_documents(levels, steps)
            return
        self._before = committed * plan.planes_per_step
        if documents.is_open:
            for level in levels:
                level.doubt_beyond(committed)
        steps = self._readable_steps(full, committed)
        self._after = steps * plan.planes_per_step
        runs = full.runs()
        for gap in gaps(runs, 0, steps):
            self._find("0", f"{words_for(*gap)} cannot be read", is_loss=True)
        self._look_at_files(full, steps)
        again: dict[Run, list[int]] = {}
        for level in smaller:
            self._look_at_files(level, steps)
            for layer in self._look_at_smaller(level, runs, steps):
                again.setdefault(layer, []).append(level.level)
        self._make_again(again)
        self._look_at_documents(levels, steps)

    def _look_at_documents(self, levels: Sequence[Level], steps: int) -> None:
        """Strays, and what readers are told of how far levels go."""
        for level in levels:
            for path in level.strays:
                if not (path.parent == level.folder and path.suffix == ".partial"):
                    self._look_at_stray(path)
        # Level 0 last: it promises the others.
        for level in reversed(levels):
            self._look_at_shape(level, steps)

    def _look_at_places(self, levels: Sequence[Level], steps: int) -> None:
        """Planes that nobody asked for are no losses, nor is a step that has none."""
        plan = self._plan
        full, *smaller = levels
        there = planes_there(full, steps)
        self._before = self._after = int(there.sum())
        where, number = place_in_set(self.root, self._documents.part_of or {})
        outer = plan.level_shape_after(0, steps)[:-2]
        logged = SetLog.at(where).planes_of(number, plan.axes[:-2], outer)
        if (lost := logged & ~there).any():
            problem = f"cannot be read, and were recorded: {named(plan, lost)}"
            self._find("0", problem, is_loss=True)
        self._look_at_files(full, steps)
        again: dict[tuple[int, ...], list[int]] = {}
        for level in smaller:
            self._look_at_files(level, steps)
            behind = there & ~planes_there(level, steps)
            if behind.any():
                self._find(
                    str(level.level),
                    f"{named(plan, behind)}: missing or damaged",
                    "made again from level 0",
                )
            for group in together(plan, np.flatnonzero(there).tolist()):
                if behind[group].any():
                    again.setdefault(tuple(group), []).append(level.level)

        def make(group: tuple[int, ...], store: ExistingStore, _: Watcher) -> None:
            self._mender.make_planes(again[group], group, self._full, store)

        self.actions += [partial(make, group) for group in again]

    def _look_into(self, levels: Sequence[Level]) -> None:
        """Look into all files of all levels, and say how many are left."""
        done, total = 0, sum(map(len, levels))
        examiner = FileExaminer(
            self._layout, self._documents.codec, self._documents.is_open
        )

        def tick() -> None:
            nonlocal done
            done += 1
            self._watch(Progress("looking into files", done, total, "files"))

        for level in levels:
            level.look(examiner, tick)

    def _readable_steps(self, full: Level, committed: int) -> int:
        """Steps from the first on that readers can be told of."""
        if not self._plan.outer:
            return 1
        runs = full.runs()
        most = self._plan.shape[0]
        end = max((min(run[1], committed) for run in runs), default=0)
        if not self._documents.is_open or end < committed:
            return max(0, end)
        for start, stop in runs:
            if start <= committed < stop:
                end = stop if most is None else min(stop, most)
        if self._plan.bytes_per_chunk > CACHE_BYTES:
            return committed  # to look into one would take too much memory
        # The last chunk is filled up with zeros when a stream is closed.
        while end > committed and self._is_black(end - 1):
            end -= 1
        return end

    def _is_black(self, step: int) -> bool:
        first = step * self._plan.planes_per_step
        planes = range(first, first + self._plan.planes_per_step)
        try:
            return not any(self._full.plane(number).any() for number in planes)
        except OSError:
            return True  # cannot be decoded, and was never promised

    def _steps_at(self, level: Level, steps: int) -> int:
        """Steps of a level where level 0 has `steps`."""
        if not self._plan.outer:
            return 1
        return self._plan.level_shape_after(level.level, steps)[0]

    def _look_at_files(self, level: Level, steps: int) -> None:
        """What brings parts back that are there and cannot be read yet."""
        here = self._steps_at(level, steps)
        unplaced = 0
        for found in level.files.values():
            unplaced += found.unplaced_bytes
            if found.need is Need.NOTHING or level.first_step_of(found) >= here:
                continue
            parts = int(found.there.sum())
            self._find(
                found.path.relative_to(self.root).as_posix(),
                found.problem or "its index is not the last one",
                f"given {found.need.value}, {parts} of {self._layout.parts} are there",
                partial(self._mend, len(self._to_mend)),
            )
            self._to_mend.append(found)
        if unplaced:
            self._find(
                str(level.level),
                f"{unplaced / 1e6:.1f} MB of chunks were on their way, and nothing "
                "tells their place: left as they are, beyond the last frame",
            )

    def _mend(self, number: int, store: ExistingStore, watch: Watcher) -> None:
        self._mender.mend(self._to_mend[number], store)
        watch(Progress("mending files", number + 1, len(self._to_mend), "files"))

    def _look_at_smaller(
        self, level: Level, full: Sequence[Run], steps: int
    ) -> list[Run]:
        """What is missing in a smaller level; returns what of it level 0 has."""
        missing = list(gaps(level.runs(), 0, self._steps_at(level, steps)))
        # Where the first axis is z and is halved, all of it is one thing.
        is_one = self._plan.z_is_halved and self._plan.axes[0] == "z"
        layers: list[Run] = []
        if missing and is_one:
            layers = [] if list(gaps(full, 0, steps)) else [(0, steps)]
        elif missing:
            size = self._layout.steps_per_file
            numbers = sorted(
                {
                    n
                    for a, b in full
                    for n in range(a // size, -(-min(b, steps) // size))
                }
            )
            layers = [(n * size, min((n + 1) * size, steps)) for n in numbers]
            layers = [
                (start, end)
                for start, end in layers
                if any(a < start + size and b > start for a, b in missing)
                and not list(gaps(full, start, end))
            ]
        for layer in layers:
            self._find(
                str(level.level),
                f"{words_for(*layer)} are missing or damaged",
                "made again from level 0",
            )
        for start, end in missing:
            if not any(a <= start and end <= b for a, b in joined(layers)) and not (
                is_one and layers
            ):
                self._find(
                    str(level.level),
                    f"{words_for(start, end)} cannot be read, nor all of level 0 there",
                    is_loss=True,
                )
        return layers

    def _make_again(self, again: dict[Run, list[int]]) -> None:
        """All levels that miss the same steps at once: level 0 is read once."""
        per_step = self._plan.planes_per_step
        total = sum(end - start for start, end in again) * per_step
        done = 0

        def make(layer: Run, store: ExistingStore, watch: Watcher) -> None:
            def tick(planes: int) -> None:
                nonlocal done
                done += planes
                watch(Progress("making smaller levels", done, total, "planes"))

            self._mender.make_smaller(again[layer], layer, self._full, store, tick)

        self.actions += [partial(make, layer) for layer in sorted(again)]

    def _look_at_shape(self, level: Level, steps: int) -> None:
        for key, wanted in self._documents.of_level(level.level, steps).items():
            here, problem = self._documents.find(key, wanted)
            if problem:
                self._find(key, problem)
            if here is None:
                self._find(
                    key, "missing or damaged", "written anew", _writes(key, wanted)
                )
            elif "shape" in wanted and here["shape"] != wanted["shape"]:
                self._find(
                    key,
                    f"says {here['shape'][0]} steps, {wanted['shape'][0]} can be read",
                    "corrected",
                    _writes(key, here | {"shape": wanted["shape"]}),
                )

    def _look_at_record(self) -> None:
        if self._documents.is_open:
            if (self._documents.part_of or {}).get("root") == "":
                documents = log_documents(self.root)
                self.actions += starmap(_writes, documents.items())
            self.findings.insert(
                0,
                Finding(
                    self._documents.key,
                    "left open by a program that did not end properly",
                    f"noted as {FinishReason.INTERRUPTED}",
                ),
            )
        done = [finding for finding in self.findings if finding.remedy]
        if all(finding in self._beside for finding in done):
            return  # what lay beside a healthy store is not written into it
        document = self._documents.repaired(
            list(map(str, done)),
            self._after,
            self._before != self._after,
        )
        self.actions.append(_writes(self._documents.key, document))


def _writes(key: str, document: Document) -> Action:
    return lambda store, _: store.write_json(key, document)


def _removes(path: Path) -> Action:
    return lambda store, _: store.remove(path)


def _renames(folder: Path, place: Path) -> Action:
    return lambda store, _: store.give_place(folder, place)
