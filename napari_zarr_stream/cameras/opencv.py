"""Webcams, video files and network streams, read with OpenCV.

OpenCV numbers no frames: how many were lost is unknown.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .host_clock import host_time_ns
from .probes import Probes
from .protocol import (
    Camera,
    CameraEnded,
    CameraError,
    CameraLost,
    CameraStats,
    FrameInfo,
    Setting,
    SettingValue,
    coerced,
    setting_of,
)
from .webcams import claim, release, webcams

if TYPE_CHECKING:
    import cv2

_OPEN_TIMEOUT_MS = 3000
_READ_TIMEOUT_MS = 1500
"""After that a server is taken to be stalled; OpenCV cannot go on reading then."""

_GREY = {b"Y800": 8, b"Y1\x00\x0a": 10, b"Y1\x00\x0c": 12, b"Y1\x00\x10": 16}
"""Pixel formats that have one component, as FFmpeg tags them: bits of a pixel."""

_WEBCAM_SETTINGS = (
    ("width", "Width", "CAP_PROP_FRAME_WIDTH", int, "px"),
    ("height", "Height", "CAP_PROP_FRAME_HEIGHT", int, "px"),
    ("frame_rate", "Frame rate", "CAP_PROP_FPS", float, "Hz"),
)


def find() -> dict[str, Callable[[], Camera]]:
    """Return the webcams, and one camera for a file or a stream."""
    probes = Probes("OpenCV")
    there = probes.ask("webcams", lambda: dict(webcams(opens)), {})
    cameras: dict[str, Callable[[], Camera]] = {
        name: partial(OpenCVCamera, index) for name, index in there.items()
    }
    cameras["OpenCV: file or stream"] = OpenCVCamera
    return cameras


def opens(number: int) -> bool:
    """Whether a webcam opens; nothing is printed where none is there."""
    import cv2

    before = cv2.utils.logging.getLogLevel()
    # it complains of every one that is not there
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        capture = cv2.VideoCapture(number)
        try:
            return bool(capture.isOpened())
        finally:
            capture.release()
    finally:
        cv2.utils.logging.setLogLevel(before)


class _Format(NamedTuple):
    """What a source gives. `grey_bits` is 0 where it is colour, as 8 bits each."""

    height: int
    width: int
    grey_bits: int
    frame_rate: float | None


class OpenCVCamera:
    """A webcam, a video file, or a stream from the network.

    It is connected from `start` to `stop`, and for a moment to learn its format. So a
    file begins anew at every start, and nothing stale waits in a buffer. A file is read
    as fast as frames are taken, and its own frame times are told. Colour comes as R, G
    and B of 8 bits each.

    `read_into` cannot end early: a stream that stalls holds it for 1.5 s, and a webcam
    for as long as its driver does (10 s on Linux).

    Parameters
    ----------
    source : int or str
        Number of a webcam; or a file or URL, "" where it is not known yet.
    """

    def __init__(self, source: int | str = "") -> None:
        self._source = source
        self._wanted: dict[str, SettingValue] = {}  # of a webcam
        self._colour = True
        self._open = False
        self._format: _Format | None = None  # None: no source known
        self._capture: cv2.VideoCapture | None = None  # None: not running
        self._buffer: npt.NDArray[Any] = np.empty(0, np.uint8)
        self._planes: npt.NDArray[Any] = self._buffer
        self._delivered = 0
        self._probes = Probes(f"OpenCV: {self._title}")

    # what it is

    @property
    def _is_stream(self) -> bool:
        return "://" in str(self._source)

    @property
    def _title(self) -> str:
        if isinstance(self._source, int):
            return f"webcam {self._source}"
        return self._source or "file or stream"

    @property
    def info(self) -> Mapping[str, str]:
        """Name of the webcam, the file or the stream."""
        is_file = isinstance(self._source, str) and self._source and not self._is_stream
        file = {"file": str(self._source)} if is_file else {}
        return {"name": f"OpenCV: {self._title}", **file, **self._probes.info}

    @property
    def settings(self) -> Sequence[Setting]:
        """The address or, of a webcam, size and rate; and colour where there is any."""
        settings = []
        if isinstance(self._source, str):
            settings.append(
                Setting("address", "File or URL", self._source, is_path=True)
            )
        if self._format is not None:
            if isinstance(self._source, int):
                for name, label, _, kind, unit in _WEBCAM_SETTINGS:
                    value = kind(getattr(self._format, name) or 0)
                    settings.append(Setting(name, label, value, 0, 1e5, unit=unit))
            if not self._format.grey_bits:
                settings.append(Setting("colour", "Colour", self._colour))
        return settings

    @property
    def shape(self) -> tuple[int, ...]:
        """(3, height, width) of red, green and blue, or (height, width) of grey."""
        known = self._known()
        size = known.height, known.width
        return size if known.grey_bits or not self._colour else (3, *size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel."""
        return np.dtype(np.uint16 if self._known().grey_bits > 8 else np.uint8)

    @property
    def bit_depth(self) -> int:
        """Bits of a pixel that carry signal."""
        return self._known().grey_bits or 8

    @property
    def frame_rate(self) -> float | None:
        """Of a file or webcam; what OpenCV says of streams is a guess."""
        return self._known().frame_rate

    @property
    def pixel_size_um(self) -> None:
        """Videos do not tell."""

    @property
    def stats(self) -> CameraStats:
        """Frames since `start`; how many were lost is unknown."""
        return CameraStats(self._delivered, None, 0)

    def _known(self) -> _Format:
        if self._format is not None:
            return self._format
        if self._open:
            raise CameraError("set the address of a video file or stream first")
        raise CameraError(f"{self.info['name']} is closed: open it first")

    # connection

    def open(self) -> None:
        """Learn the format. Raises `CameraError` where there are no pictures."""
        if self._open:
            return
        with ExitStack() as undo:
            if isinstance(self._source, int):
                claim(self._source)
                undo.callback(release, self._source)
            if self._source != "":
                self._format = self._probe()
            undo.pop_all()
        self._open = True

    def close(self) -> None:
        """Disconnect; may be called twice."""
        self.stop()
        if self._open and isinstance(self._source, int):
            release(self._source)
        self._open, self._format = False, None

    def _connect(self) -> "cv2.VideoCapture":
        """Return an opened capture, set as wanted."""
        import cv2

        if isinstance(self._source, int):
            capture = cv2.VideoCapture(self._source)
            for name, _, key, _, _ in _WEBCAM_SETTINGS:
                if name in self._wanted:
                    value = float(self._wanted[name])
                    ask = partial(capture.set, getattr(cv2, key), value)
                    self._probes.ask(f"way to set {name}", ask, None)
        else:
            if not self._is_stream and not Path(self._source).expanduser().is_file():
                raise CameraError(f"there is no file {self._source}")
            address = self._source
            if not self._is_stream:
                address = str(Path(address).expanduser())
            timeouts = [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                _OPEN_TIMEOUT_MS,
                cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                _READ_TIMEOUT_MS,
            ]
            # other back ends tell the time of the next frame
            capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, timeouts)
        if not capture.isOpened():
            raise CameraError(
                f"OpenCV cannot open {self._title}: it is not there, in use by another "
                "program, or no video"
            )
        if self._grey_bits(capture):
            capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)  # else it makes 8 bit colour of it
        return capture

    def _probe(self) -> _Format:
        import cv2

        capture = self._connect()
        try:
            ask = partial(capture.get, cv2.CAP_PROP_FPS)
            rate = self._probes.ask("frame rate", ask, 0.0)
            there, frame = capture.read()
            grey_bits = self._grey_bits(capture)
        finally:
            capture.release()
        if not there:
            raise CameraError(f"OpenCV has opened {self._title}, but gets no frame")
        if frame.ndim == 2 and not grey_bits:
            grey_bits = 8 * frame.itemsize
        known = rate > 0 and not self._is_stream
        height, width = frame.shape[:2]
        return _Format(height, width, grey_bits, rate if known else None)

    # settings

    def get(self, name: str) -> SettingValue:
        """Return a setting's value; raises `CameraError` when there is no such name."""
        return setting_of(self, name).value

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change a setting; returns the value in force.

        Raises `CameraError` when there is no such setting, while the camera runs, and
        for an address without pictures; then there is no address any more.
        """
        setting = setting_of(self, name)
        if self._capture is not None:
            raise CameraError(f"stop the camera first: {name} is locked while it runs")
        value = coerced(setting, value)
        if name == "colour":
            self._colour = bool(value)
            return value
        if name == "address":
            self._source, self._format = str(value), None
            if self._open and value:
                try:
                    self._format = self._probe()
                except CameraError:
                    self._source = ""
                    raise
        else:
            self._wanted[name] = value
            self._format = self._probe()
        return self.get(name)

    # frames

    def start(self) -> None:
        """Connect and begin to take frames, a file from its first.

        Raises `CameraError` unless it is open and stopped, or where it is gone.
        """
        if self._capture is not None:
            raise CameraError(f"{self.info['name']} runs already: stop it first")
        known = self._known()
        capture = self._connect()
        size = known.height, known.width
        shape = size if known.grey_bits else (*size, 3)
        self._buffer = np.empty(shape, self.dtype)
        self._planes = np.empty(self.shape, self.dtype)
        self._delivered = 0
        self._capture = capture

    def stop(self) -> None:
        """Disconnect from the pictures; may be called twice."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def read_into(
        self, out: npt.NDArray[np.generic], timeout_s: float
    ) -> FrameInfo | None:
        """Copy the next frame into `out`.

        Raises `CameraEnded` at the end of a file, and `CameraLost` when a stream or
        webcam gives no more frames, or frames of another size.
        """
        import cv2

        if self._capture is None:
            raise CameraError(f"{self.info['name']} does not run: start it first")
        start = time.perf_counter()
        there, frame = self._capture.read(self._buffer)
        host_ns = host_time_ns()
        if not there:
            if not self._is_stream and isinstance(self._source, str):
                raise CameraEnded(
                    f"end of file: {self._source} ended after {self._delivered} frames"
                )
            raise CameraLost(self._why_it_ended(time.perf_counter() - start))
        if (frame.shape, frame.dtype) != (self._buffer.shape, self._buffer.dtype):
            raise CameraLost(
                f"{self._title} changed its frames from {self._buffer.shape} "
                f"{self._buffer.dtype} to {frame.shape} {frame.dtype}"
            )
        if frame.ndim == 2:
            out[...] = frame
        elif self._colour:
            red, green, blue = self._planes
            cv2.split(frame, [blue, green, red])
            out[...] = self._planes
        else:
            out[...] = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY, self._planes)
        device_ns = None
        if not self._is_stream:
            ask = partial(self._capture.get, cv2.CAP_PROP_POS_MSEC)
            time_ms = self._probes.ask("frame time", ask, None)
            device_ns = None if time_ms is None else round(time_ms * 1e6)
        self._delivered += 1
        return FrameInfo(self._delivered - 1, None, device_ns, host_ns)

    def _grey_bits(self, capture: "cv2.VideoCapture") -> int:
        """Bits of a grey pixel, 0 where pictures are in colour."""
        import cv2

        ask = partial(capture.get, cv2.CAP_PROP_CODEC_PIXEL_FORMAT)
        code = int(self._probes.ask("pixel format", ask, 0.0))
        return _GREY.get((code & 0xFFFFFFFF).to_bytes(4, "little"), 0)

    def _why_it_ended(self, waited_s: float) -> str:
        after = f"after {self._delivered} frames"
        if waited_s * 1000 >= _READ_TIMEOUT_MS * 0.9:
            return f"{self._title} has stalled: no frame for {waited_s:.1f} s {after}"
        return f"{self._title} has ended its stream or is gone {after}"
