"""Which of its coordinate systems an image of OME-NGFF 0.6 is shown in.

Its levels lie in one of them, the intrinsic one; the image as a whole may be placed in
others. Shown is the first of those that can be, as other readers for napari do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .documents import mapping, sequence, short

MAX_TRANSFORMS = 64
"""Of one image; more are no description of where it lies."""

INLINE = ("scale", "translation", "rotation", "affine")
"""Transformations that are a matrix or its diagonal, where that is in the document."""


ENDS = ("input", "output")


@dataclass(frozen=True, slots=True)
class ShownSystem:
    """The coordinate system in which an image is shown.

    Attributes
    ----------
    axes : JSON value
        As they are listed there.
    transformation : mapping or None
        What leads there from the system in which the levels lie; None where that is it.
    notes : tuple of str
        On the systems in which it is not shown.
    """

    axes: Any
    transformation: Mapping[str, Any] | None
    notes: tuple[str, ...]


def shown_system(multiscale: Mapping[str, Any]) -> ShownSystem | None:
    """Where an image is shown; None where it names no coordinate systems.

    See "multiscales" and "coordinateTransformations" of OME-NGFF 0.6.
    """
    listed = map(mapping, sequence(multiscale.get("coordinateSystems")))
    systems = {str(system.get("name")): system.get("axes") for system in listed}
    if not systems:
        return None
    levels = sequence(multiscale.get("datasets")) or [{}]
    outputs = [_named(t, "output") for t in transformations_of(mapping(levels[0]))]
    intrinsic = next((name for name in outputs if name in systems), next(iter(systems)))
    axes = systems[intrinsic]
    shown, chosen, others = intrinsic, None, []
    for transformation in transformations_of(multiscale):
        if any(path_at(transformation, end) for end in ENDS):
            continue  # of label images, which are placed where they are read
        begin, end = (_named(transformation, key) for key in ENDS)
        there = systems.get(end, axes)
        is_known = all(map(_is_inline, flat([transformation], [])))
        if (
            chosen is None
            and is_known
            and begin in ("None", intrinsic)
            and _fit(axes, there)
        ):
            shown, chosen, axes = end, mapping(transformation), there
        else:
            kind = short(mapping(transformation).get("type"))
            others.append(f"transformation {kind} to coordinate system {end!r}")
    where = repr(intrinsic if shown == "None" else shown)
    notes = tuple(f"{o} is not applied: shown is {where}" for o in others)
    return ShownSystem(axes, chosen, notes)


def transformations_of(said: Mapping[str, Any]) -> list[Any]:
    """Transformations, also where one stands alone."""
    given = said.get("coordinateTransformations")
    return [given] if isinstance(given, dict) else sequence(given)


def flat(transforms: Sequence[Any], notes: list[str]) -> Iterator[Mapping[str, Any]]:
    """Transformations that are one by one, in their order."""
    left = list(reversed(transforms))
    for _ in range(MAX_TRANSFORMS):
        if not left:
            return
        transform = left.pop()
        if mapping(transform).get("type") == "sequence":
            left += reversed(sequence(transform.get("transformations")))
        elif isinstance(transform, dict):
            yield transform
        else:
            notes.append(f"{short(transform)} is no transformation: passed over")
    notes.append(f"only the first {MAX_TRANSFORMS} transformations are applied")


def _named(transformation: Any, end: str) -> str:
    """Name of its input or output, which drafts wrote without an object around it."""
    given = mapping(transformation).get(end)
    return str(given.get("name") if isinstance(given, dict) else given)


def path_at(transformation: Any, end: str) -> str:
    """Where below the group the image is whose coordinate system is meant."""
    given = mapping(mapping(transformation).get(end)).get("path")
    path = "" if given is None else str(given).strip("/").removeprefix("./")
    return "" if path == "." else path


def _is_inline(transformation: Mapping[str, Any]) -> bool:
    kind = transformation.get("type")
    return kind == "identity" or (kind in INLINE and kind in transformation)


def _fit(axes: Any, others: Any) -> bool:
    """Whether axes can be those of the same pixels, one by one in this order."""
    here, there = (
        [str(mapping(a).get("name")) for a in sequence(s)] for s in (axes, others)
    )
    return here == there or (len(here) == len(there) and set(here) != set(there))
