"""How late the thread of a window is, what that cost it, and what it did meanwhile."""

import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import numpy as np
from qtpy.QtCore import Qt, QTimer

BEAT_MS = 10
LATE_MS = 40
"""What is looked into."""

SAMPLE_S = 0.005
DEEPEST = 14


@dataclass
class Turn:
    """What passed between two beats.

    Attributes
    ----------
    phase : str
    late_ms : float
        By the clock: others may have had the processor, or the GIL.
    cpu_ms : float
        Of the thread of the window: what it did itself.
    ready_ms : float
        How long it was not late, but had no processor: others had them. 0 where the
        system does not say.
    inside : Counter of str
        Where it was, innermost first, and how often it was seen there.
    beside : Counter of str
        What other threads were in.
    """

    phase: str
    late_ms: float
    cpu_ms: float
    ready_ms: float
    inside: Counter[str] = field(default_factory=Counter)
    beside: Counter[str] = field(default_factory=Counter)


class Lateness:
    """A timer in the thread of a window, and a thread that looks at it when it is late.

    Attributes
    ----------
    phase : str
        What goes on now; assigned from outside.
    turns : list of Turn
    """

    def __init__(self, phase: str) -> None:
        self.phase = phase
        self.turns: list[Turn] = []
        self._of_window = threading.get_ident()
        self._inside: Counter[str] = Counter()
        self._beside: Counter[str] = Counter()
        self._ends = threading.Event()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        thread = threading.get_native_id()
        self._schedule = Path(f"/proc/self/task/{thread}/schedstat")
        self._beat_at, self._cpu_at = time.perf_counter(), time.thread_time()
        self._ready_at = self._ready_ms()
        self._timer.start(BEAT_MS)
        threading.Thread(target=self._sample, name="lateness", daemon=True).start()

    def _ready_ms(self) -> float:
        """Of the thread of the window since it began."""
        try:
            return int(self._schedule.read_text().split()[1]) / 1e6
        except FileNotFoundError:
            return 0.0

    def _beat(self) -> None:
        now, cpu, ready = time.perf_counter(), time.thread_time(), self._ready_ms()
        late_ms = max(0.0, 1e3 * (now - self._beat_at) - BEAT_MS)
        cpu_ms, ready_ms = 1e3 * (cpu - self._cpu_at), ready - self._ready_at
        turn = Turn(self.phase, late_ms, cpu_ms, ready_ms)
        if self._inside:
            turn.inside, self._inside = self._inside, Counter()
            turn.beside, self._beside = self._beside, Counter()
        self.turns.append(turn)
        self._beat_at, self._cpu_at, self._ready_at = now, cpu, ready

    def _sample(self) -> None:
        """Thread "lateness"."""
        while not self._ends.wait(SAMPLE_S):
            beat_at = self._beat_at
            if time.perf_counter() - beat_at < LATE_MS / 1e3 / 2:
                continue
            frames = sys._current_frames()  # noqa: SLF001 - it has no public name
            inside = _place_of(frames.pop(self._of_window, None))
            frames.pop(threading.get_ident(), None)
            if beat_at != self._beat_at:
                continue
            self._inside[inside] += 1
            for frame in frames.values():
                self._beside[_place_of(frame, 2)] += 1

    def stop(self) -> None:
        """Beat no more."""
        self._timer.stop()
        self._ends.set()

    def table(self) -> str:
        """A row for each phase."""
        rows = [
            "| phase | turns | late ms: p50 | p95 | max | with a processor at hand: "
            "p95 | max | CPU of the window's thread, ms a turn: p95 | max | all |",
            "| --- |" + " ---: |" * 9,
        ]
        for phase in dict.fromkeys(turn.phase for turn in self.turns):
            turns = [turn for turn in self.turns if turn.phase == phase]
            late = [turn.late_ms for turn in turns]
            own = [max(0.0, turn.late_ms - turn.ready_ms) for turn in turns]
            cpu = [turn.cpu_ms for turn in turns]
            cells = [
                *np.percentile(late, (50, 95, 100)),
                *np.percentile(own, (95, 100)),
                *np.percentile(cpu, (95, 100)),
                sum(cpu),
            ]
            words = " | ".join(f"{cell:.0f}" for cell in cells)
            rows.append(f"| {phase} | {len(turns)} | {words} |")
        return "\n".join(rows)

    def causes(self, count: int) -> str:
        """The turns that were latest, and where the window was in them."""
        latest = sorted(self.turns, key=lambda of: of.ready_ms - of.late_ms)[:count]
        said = []
        for turn in latest:
            said.append(
                f"{turn.phase}: {turn.late_ms:.0f} ms late, {turn.ready_ms:.0f} "
                f"without a processor; {turn.cpu_ms:.0f} of CPU"
            )
            for name, seen in (("in", turn.inside), ("beside", turn.beside)):
                said += [
                    f"  {name} {times} x {where}"
                    for where, times in seen.most_common(4)
                ]
        return "\n".join(said)


def _place_of(frame: FrameType | None, deepest: int = DEEPEST) -> str:
    """Its functions, innermost first."""
    places: list[str] = []
    while frame is not None and len(places) < deepest:
        code = frame.f_code
        module = "/".join(code.co_filename.rsplit("/", 2)[-2:])
        places.append(f"{module}:{frame.f_lineno} {code.co_name}")
        frame = frame.f_back
    return " < ".join(places)
