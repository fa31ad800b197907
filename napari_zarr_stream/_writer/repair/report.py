"""What repair has to say: findings, what they come to, and how far it is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_zarr_stream._writer.lock import Holder


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a store that is not as it should be.

    Attributes
    ----------
    where : str
        A path below the store, or beside it.
    problem : str
    remedy : str
        What `repair` does about it; empty where it leaves it.
    is_loss : bool
        Pixels that readers should find are gone for good.
    """

    where: str
    problem: str
    remedy: str = ""
    is_loss: bool = False

    def __str__(self) -> str:
        then = f": {self.remedy}" if self.remedy else ""
        return f"{self.where}: {self.problem}{then}"


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in a store.

    Attributes
    ----------
    path : Path
    holder : Holder or None
        Who is writing it. Then nothing else is said.
    findings : tuple of Finding
    planes_before, planes_after : int
        That readers find, and that they find after repair.
    """

    path: Path
    holder: Holder | None = None
    findings: tuple[Finding, ...] = ()
    planes_before: int = 0
    planes_after: int = 0

    @property
    def can_be_repaired(self) -> bool:
        """Whether `repair` has something to do."""
        return any(finding.remedy for finding in self.findings)

    @property
    def has_losses(self) -> bool:
        """Whether pixels are gone for good."""
        return any(finding.is_loss for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far `examine` or `repair` is.

    Attributes
    ----------
    what : str
        What is being done, in words.
    done, total : int
        Of `unit`, a word in the plural.
    """

    what: str
    done: int
    total: int
    unit: str


Watcher = Callable[[Progress], None]
"""Is told of progress. What it raises ends the work: as safe as a kill."""


def unwatched(progress: Progress) -> None:
    """For whom nobody watches."""
