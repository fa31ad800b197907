"""One camera as the window sees it: asked in its own thread, never waited for.

What the camera said last is in a `CameraView`, which is all that widgets look at.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, QTimer, Signal

from napari_zarr_stream._viewer.background import in_background
from napari_zarr_stream._writer.errors import ZarrStreamError
from napari_zarr_stream.cameras import Camera, CameraError, CameraThread, Setting
from napari_zarr_stream.cameras.preview import Preview, halted, take_one
from napari_zarr_stream.cameras.probes import LEFT_OUT
from napari_zarr_stream.cameras.protocol import SettingValue
from napari_zarr_stream.cameras.region import Region, restore_settings, set_region
from napari_zarr_stream.cameras.thread import CLOSE_TIMEOUT_S

BLINK_S = 0.05
"""An answer that comes within this is waited for: widgets do not flicker then. Nobody
waits while a camera runs, as answers come between frames, or while one is opened: what
is shown of it takes as long again."""

POLL_MS = 20

OPENED_S = 10.0
"""Programs that ask for the settings of a camera wait so long for it to be opened."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CameraView:
    """What a camera said of itself, read in one go in its own thread.

    Attributes
    ----------
    settings : sequence of Setting
    info : mapping
    problem : str
        Why the rest is not known yet: an address has to be set. Empty if it is.
    shape, dtype, bit_depth, frame_rate, pixel_size_um
        As of `Camera`.
    """

    settings: Sequence[Setting]
    info: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    shape: tuple[int, ...] = ()
    dtype: np.dtype[np.generic] = field(default_factory=lambda: np.dtype(np.uint8))
    bit_depth: int = 8
    frame_rate: float | None = None
    pixel_size_um: float | None = None

    @classmethod
    def of(cls, camera: Camera) -> "CameraView":
        """Ask a camera; in its own thread."""
        settings, info = tuple(camera.settings), dict(camera.info)
        try:
            return cls(
                settings,
                info,
                "",
                camera.shape,
                camera.dtype,
                camera.bit_depth,
                camera.frame_rate,
                camera.pixel_size_um,
            )
        except CameraError as error:
            return cls(settings, info, str(error))


class CameraControl(QObject):
    """Opens, sets, previews and closes one camera after another.

    Every result arrives on the GUI thread, through signals: `changed` when there is a
    new `view`, or none; `failed` with what went wrong, for people; `preview_changed`
    when a preview began or ended.
    """

    changed = Signal()
    failed = Signal(str)
    preview_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.name = ""
        self.thread: CameraThread | None = None
        self.view: CameraView | None = None
        self.message = ""
        self.preview: Preview | None = None
        self.is_recording = False
        self._awaited: list[tuple[Future[Any], Callable[[Future[Any]], None]]] = []
        self._closing: Future[None] | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._collect)

    # ------------------------------------------------------------------ asking

    def _when_done(
        self, future: "Future[T]", then: Callable[["Future[T]"], None]
    ) -> None:
        self._awaited.append((future, then))
        if self.view is not None and self.preview is None and not self.is_recording:
            wait((future,), BLINK_S)
        self._collect()

    def _collect(self) -> None:
        done = [each for each in self._awaited if each[0].done()]
        self._awaited = [each for each in self._awaited if not each[0].done()]
        for future, then in done:
            then(future)
        if self._awaited and not self._timer.isActive():
            self._timer.start()
        elif not self._awaited:
            self._timer.stop()

    @property
    def is_waiting(self) -> bool:
        """Whether the camera still owes an answer; a preview is none."""
        preview = self.preview.ended if self.preview is not None else None
        return any(future is not preview for future, _ in self._awaited)

    def await_view(self) -> None:
        """Wait for a camera that is being opened; for programs, not for who clicks."""
        if self.view is None and self.is_waiting:
            wait([future for future, _ in self._awaited], OPENED_S)
            self._collect()

    def _ask(self, work: Callable[[Camera], T], then: Callable[[T], None]) -> None:
        """Have work done; `then` gets its result, unless the camera has gone."""
        thread = self.thread
        if thread is None:
            return

        def arrived(future: "Future[T]") -> None:
            if thread is not self.thread:
                return
            if (error := future.exception()) is None:
                then(future.result())
            else:
                self.failed.emit(str(error))

        self._when_done(thread.submit(work), arrived)

    # ----------------------------------------------------------- open and close

    def choose(
        self,
        name: str,
        make: Callable[[], Camera] | None,
        last: Mapping[str, SettingValue],
    ) -> None:
        """Open a camera instead of the present one, with its last settings."""
        if name == self.name and self.thread is not None:
            return
        self.close()
        if make is None:
            self.changed.emit()
            return
        self.name, closing = name, self._closing
        self.thread = thread = CameraThread(make, name)
        self.message = f"Connecting to {name} …"

        def opened(camera: Camera) -> tuple[CameraView, list[str]]:
            if closing is not None:  # it may be the same device
                wait((closing,), CLOSE_TIMEOUT_S)
            camera.open()
            refused = [] if "shared" in camera.info else restore_settings(camera, last)
            return CameraView.of(camera), refused

        def arrived(future: "Future[tuple[CameraView, list[str]]]") -> None:
            if thread is not self.thread:
                return
            if (error := future.exception()) is not None:
                self.message = f"{name} could not be opened: {error}"
                self.thread = None
                self._let_go(thread)
                self.changed.emit()
                return
            view, problems = future.result()
            if LEFT_OUT in view.info:
                problems.append(f"The camera cannot tell {view.info[LEFT_OUT]}")
            self.message = "\n".join(problems)
            self._see(view)

        self.changed.emit()
        self._when_done(thread.submit(opened), arrived)

    def close(self) -> None:
        """Close the camera in the background; what it still owes is not waited for."""
        self.stop_preview()
        thread, self.thread = self.thread, None
        self.name, self.view, self.message = "", None, ""
        if thread is not None:
            self._let_go(thread)

    def _let_go(self, thread: CameraThread) -> None:
        def told(future: "Future[None]") -> None:
            if (error := future.exception()) is not None:
                self.failed.emit(str(error))

        self._closing = in_background(thread.close)
        self._awaited.append((self._closing, told))
        self._timer.start()

    def _see(self, view: CameraView) -> None:
        self.view = view
        self.changed.emit()

    # ----------------------------------------------------------------- settings

    def refresh(self) -> None:
        """Read everything anew."""
        self._ask(CameraView.of, self._see)

    def set(self, name: str, value: SettingValue) -> None:
        """Change a setting, then read all of them: they depend on each other."""
        locked = any(
            s.name == name and s.locked_while_running
            for s in (self.view.settings if self.view else ())
        )
        self._change(lambda camera: camera.set(name, value), locked)

    def set_region(self, region: Region) -> None:
        """Change the region of interest; see `cameras.region.set_region`."""
        self._change(partial(set_region, region=region), True)

    def _change(self, change: Callable[[Camera], object], locked: bool) -> None:
        if locked and self.preview is not None:
            change = halted(change)

        def changed(camera: Camera) -> tuple[CameraView, str]:
            problem = ""
            try:
                change(camera)
            except CameraError as error:
                problem = str(error)
            return CameraView.of(camera), problem

        def arrived(result: tuple[CameraView, str]) -> None:
            view, problem = result
            self.message = ""
            self._see(view)
            if problem:
                self.failed.emit(problem)

        self._ask(changed, arrived)

    # ---------------------------------------------------------- preview and snap

    def start_preview(self) -> None:
        """Run the camera to be looked at."""
        if self.thread is None or self.preview is not None:
            return
        self.preview = preview = Preview(self.thread)

        def ended(future: "Future[None]") -> None:
            error = future.exception()
            if self.preview is preview:
                self.preview = None
                self.preview_changed.emit()
            if error is not None and not isinstance(error, ZarrStreamError):
                error = CameraError(f"the preview failed: {error!r}")
            if error is not None:
                self.failed.emit(str(error))

        self._when_done(preview.ended, ended)
        self.preview_changed.emit()

    def stop_preview(self) -> None:
        """End the preview; returns at once, the camera stops a moment later."""
        preview, self.preview = self.preview, None
        if preview is not None:
            preview.stop()
            self.preview_changed.emit()

    def snap(self, then: Callable[[npt.NDArray[np.generic]], None]) -> None:
        """Take one image; of a preview the next one."""
        thread = self.thread
        if thread is None:
            return

        def arrived(future: "Future[npt.NDArray[np.generic]]") -> None:
            if (error := future.exception()) is None:
                then(future.result())
            else:
                self.failed.emit(f"No image was taken: {error}")

        if self.preview is not None:
            self._when_done(self.preview.snap(), arrived)
        else:
            self._when_done(thread.submit(take_one, is_long=True), arrived)
