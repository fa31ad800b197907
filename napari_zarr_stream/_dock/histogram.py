"""How bright the newest frame is: a histogram, and whether pixels are saturated."""

import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QRectF, QSize, QTimer
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPalette
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_zarr_stream._viewer.background import in_background

from .form import PROBLEM_STYLE, wrapping

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

SHOWS_PER_HISTOGRAM = 5
"""Frames shown for one that is counted."""

HISTOGRAM_S = 0.1
"""At least this between two histograms, however fast frames are shown."""

BINS = 128
HEIGHT_PX = 48
SAMPLE_SIDE = 512
"""Of the grid of pixels that the histogram is made of; the maximum is of all."""

POLL_MS = 20

AMBER = QColor("#c8741a")
"""As of everything that needs a look: readable on both themes, and not an alarm."""


class Brightness(NamedTuple):
    """What there is to say of a frame.

    Attributes
    ----------
    counts : numpy.ndarray
        Of a sample, in equal bins from 0 to white.
    saturated : float
        Share of all pixels that are white, 0 to 1.
    maximum, white : int
        The brightest pixel there is, and the brightest there can be.
    """

    counts: npt.NDArray[np.int64]
    saturated: float
    maximum: int
    white: int

    @property
    def in_words(self) -> str:
        """As "saturated 0.3 %, maximum 4095 of 4095"."""
        share = f"{100 * self.saturated:.2g}"
        if self.saturated and self.saturated < 1e-4:
            share = "less than 0.01"
        return f"saturated {share} %, maximum {self.maximum} of {self.white}"


def brightness_of(frame: npt.NDArray[np.generic], bit_depth: int) -> Brightness:
    """Look at a frame of unsigned integers, with all its colours."""
    white = 2**bit_depth - 1
    maximum = int(frame.max())
    saturated = 0.0
    if maximum >= white:
        saturated = int(np.count_nonzero(frame >= white)) / frame.size
    height, width = frame.shape[-2:]
    sample = frame[..., :: 1 + height // SAMPLE_SIDE, :: 1 + width // SAMPLE_SIDE]
    # 8-bit images have as many values as fit in whole bins.
    counts, _ = np.histogram(sample, bins=BINS, range=(0, white + 1))
    return Brightness(counts, saturated, maximum, white)


class Histogram(QWidget):
    """Bars on a logarithmic scale; the last one is amber where pixels are saturated."""

    def __init__(self) -> None:
        super().__init__()
        self._brightness: Brightness | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "Pixels of the newest frame from black to white, counts on a logarithmic "
            "scale"
        )

    def sizeHint(self) -> QSize:
        """See `QWidget.sizeHint`."""
        return QSize(200, HEIGHT_PX)

    def show_brightness(self, brightness: Brightness | None) -> None:
        """Draw another one; None: nothing is known."""
        self._brightness = brightness
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """See `QWidget.paintEvent`."""
        painter = QPainter(self)
        text = self.palette().color(QPalette.ColorRole.WindowText)
        text.setAlpha(30)
        width, height = float(self.width()), float(self.height())
        painter.fillRect(QRectF(0, 0, width, height), text)
        if self._brightness is None:
            return
        logs = np.log1p(self._brightness.counts)
        logs = logs / max(logs.max(), 1.0)
        text.setAlpha(170)
        step = width / BINS
        for number, share in enumerate(logs.tolist()):
            bar = QRectF(number * step, height * (1 - share), step, height * share)
            last = number == BINS - 1 and self._brightness.saturated
            painter.fillRect(bar, AMBER if last else text)


class Light(QWidget):
    """The histogram of what is shown with a line of words; hidden until there is one.

    Exposure is set more slowly than it is seen, so not every frame is counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.histogram = Histogram()
        self.words = wrapping(QLabel())
        self._shows = 0
        self._counted_at = 0.0
        self._next: Callable[[], Brightness] | None = None
        self._counted: Future[Brightness] | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._look)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.histogram)
        layout.addWidget(self.words)
        self.hide()

    def show_some(self, frame: npt.NDArray[np.generic], bit_depth: int) -> None:
        """One of several frames that are shown one after another."""
        self._shows += 1
        now = time.perf_counter()
        few = self._shows % SHOWS_PER_HISTOGRAM or now - self._counted_at < HISTOGRAM_S
        if self.isVisible() and few:
            return
        self._counted_at = now
        self.show_frame(frame, bit_depth)

    def show_frame(self, frame: npt.NDArray[np.generic], bit_depth: int) -> None:
        """Unsigned integers only: of others it is not known what white is.

        They are counted in a thread: of a large frame that takes as long as painting.
        Nobody may change the frame.
        """
        if frame.dtype.kind != "u":
            return
        self._next = partial(brightness_of, frame, bit_depth)
        self._look()

    def forget(self) -> None:
        """Hide until there is another frame."""
        self._next = self._counted = None
        self.hide()

    def _look(self) -> None:
        """Show what is counted, and count the newest that has come meanwhile."""
        if self._counted is not None:
            if not self._counted.done():
                return
            self._show(self._counted.result())
            self._counted = None
        if self._next is not None:
            self._counted = in_background(self._next, may_be_dropped=True)
            self._next = None
            self._timer.start()
        else:
            self._timer.stop()

    def _show(self, brightness: Brightness) -> None:
        self.histogram.show_brightness(brightness)
        self.words.setText(brightness.in_words)
        self.words.setStyleSheet(PROBLEM_STYLE if brightness.saturated else "")
        self.show()
