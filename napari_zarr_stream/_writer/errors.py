"""Every way a recording can fail, as one tree.

::

    ZarrStreamError
      x  the caller's fault, nothing was written
         InvalidProperties(ValueError)    settings that cannot work
         FrameMismatch(ValueError)        another shape or dtype, or one frame too many
         StoreExists(FileExistsError)     something is already there
           StoreInUse                     and somebody is writing it
         IllegalTransition(RuntimeError)  a call that the present state does not allow
      x  not the caller's fault
         SourceFailed(RuntimeError)       the camera or layer failed
         WriteFailed(OSError)             bytes did not reach the storage
         InvalidStore(ValueError)         a store that cannot be read

Each inherits the built-in that a stranger would catch.
"""


class ZarrStreamError(Exception):
    """Base of all errors raised by this package."""


class InvalidProperties(ZarrStreamError, ValueError):
    """Settings that cannot work, alone or together with the shape of a frame."""


class FrameMismatch(ZarrStreamError, ValueError):
    """A frame that does not fit the array: its shape, its dtype, or one too many."""


class StoreExists(ZarrStreamError, FileExistsError):
    """Something is already at the place where a store should be made."""


class StoreInUse(StoreExists):
    """Another program, or this one, is writing the store; says who."""


class IllegalTransition(ZarrStreamError, RuntimeError):
    """A call that the present state does not allow. Nothing was changed."""


class SourceFailed(ZarrStreamError, RuntimeError):
    """The source of frames failed while it was read."""


class WriteFailed(ZarrStreamError, OSError):
    """Bytes did not reach the storage; names the path."""

    def __str__(self) -> str:
        # OSError's own would wrap the message in its number and the path again.
        return str(self.args[-1]) if self.args else ""


class DocumentInUse(WriteFailed):
    """A document that Windows does not replace while another program has it open."""


class InvalidStore(ZarrStreamError, ValueError):
    """A store that cannot be read as OME-Zarr; says why."""
