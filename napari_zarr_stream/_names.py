"""The public names, and where each is from."""

from importlib.metadata import version

from ._acquisition.acquisition import Acquisition
from ._acquisition.engine import recording_of
from ._acquisition.states import AcquisitionStatus
from ._reading.open_layers import open_layers
from ._recording.record import record
from ._recording.settings import RecordSettings
from ._recording.states import RecordingStatus
from ._saving.script import export
from ._writer.errors import (
    FrameMismatch,
    IllegalTransition,
    InvalidProperties,
    InvalidStore,
    SourceFailed,
    StoreExists,
    StoreInUse,
    WriteFailed,
    ZarrStreamError,
)
from ._writer.image_set import ImageSet
from ._writer.plan import Plan, plan
from ._writer.plate import Plate
from ._writer.properties import (
    Channel,
    DeviceKind,
    DownsamplingMethod,
    StorageProperties,
    ZHalving,
)
from ._writer.set_images import ImageDescription
from ._writer.stream import ZarrStream
from ._writer.stream_status import StreamStatus

__version__ = version("napari-zarr-stream")

__all__ = [
    "Acquisition",
    "AcquisitionStatus",
    "Channel",
    "DeviceKind",
    "DownsamplingMethod",
    "FrameMismatch",
    "IllegalTransition",
    "ImageDescription",
    "ImageSet",
    "InvalidProperties",
    "InvalidStore",
    "Plan",
    "Plate",
    "RecordSettings",
    "RecordingStatus",
    "SourceFailed",
    "StorageProperties",
    "StoreExists",
    "StoreInUse",
    "StreamStatus",
    "WriteFailed",
    "ZHalving",
    "ZarrStream",
    "ZarrStreamError",
    "__version__",
    "export",
    "open_layers",
    "plan",
    "record",
    "recording_of",
]
