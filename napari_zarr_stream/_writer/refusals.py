"""What the system refuses while something is written, in words that say what to do."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from . import system
from .errors import DocumentInUse, WriteFailed, ZarrStreamError

_HINTS = {
    errno.ENOSPC: "the disk is full: free some space or record elsewhere",
    errno.EDQUOT: "the disk quota is used up: free some space or record elsewhere",
    errno.EACCES: "permission denied: choose a folder that you may write to",
    errno.EROFS: "the disk is read-only: choose another folder",
    errno.ENOENT: "the folder is gone: was it moved, deleted or unplugged?",
    errno.ENOTDIR: "a file is where a folder should be: choose another place",
    errno.EEXIST: "a file is where a folder should be: choose another place",
    errno.EISDIR: "a folder is where a file should be: move it away",
    errno.EFBIG: "this disk takes no file of that size: choose a lower chunk cap",
    errno.EBUSY: "it is a drive of its own: choose a folder in it",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
}

MAX_NAME = 255
"""Of characters: no disk takes more."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Failures of the system become those of a store, which name the path."""
    try:
        yield
    except ZarrStreamError:
        raise
    except OSError as error:
        raise failure_of(path, error) from error


def failure_of(path: Path, error: OSError) -> WriteFailed:
    """That of a store which the system's stands for."""
    hint = _HINTS.get(error.errno or 0, error.strerror or str(error))
    if len(path.name) > MAX_NAME:  # systems have several words for it
        hint = _HINTS[errno.ENAMETOOLONG]
    elif system.is_in_use(error):
        hint = (
            "another program has it open, or it may not be written: close it there (a "
            "viewer, an explorer, a virus scanner, a backup), or choose another folder"
        )
    message = f"{path} could not be written: {hint}"
    kind = DocumentInUse if system.is_in_use(error) else WriteFailed
    return kind(error.errno, message, str(path))
