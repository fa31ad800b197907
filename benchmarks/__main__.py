"""Measures this writer beside others on the same frames: `make bench`.

    python -m benchmarks                  everything, into docs/benchmarks.{md,png}
    python -m benchmarks --quick          a little of it in a minute, printed only
    python -m benchmarks --report FILE    tables and picture again, of an earlier run

Writers take turns, A B C A B C, and then in reverse, so that a machine that grows
slower or faster is equally unfair to all. Ratios are of the runs of one turn.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import positions
from .measure import camera_frames, measure
from .report import machine, tables, write_report
from .writers import ACQUIRE, OPENERS, OURS, ROOFLINE, Run, can

RESULTS = Path("build/benchmarks.json")
MEMORY_BACKED = "/dev/shm"
CODECS = ("none", "lz4", "zstd")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true")
    add("--rounds", type=int, default=5)
    add("--frames", type=int, default=240)
    add("--codecs", nargs="+", default=CODECS, choices=CODECS)
    add("--modes", nargs="+", default=("write", "small", "positions", "read"))
    add("--writers", nargs="+", default=(*OPENERS, ROOFLINE))
    add(
        "--directory",
        action="append",
        help=f"where to write to, may be given more than once; else {MEMORY_BACKED}",
    )
    add("--output", type=Path, default=Path("docs"), help="else docs")
    add("--report", type=Path, help=f"results of an earlier run, such as {RESULTS}")
    add("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.frames, arguments.codecs = 1, 48, ["lz4"]
    if not arguments.directory:
        there = Path(MEMORY_BACKED).is_dir()
        arguments.directory = [MEMORY_BACKED if there else tempfile.gettempdir()]
    return arguments


def _plan(arguments: argparse.Namespace, source: str) -> list[tuple[str, int, Run]]:
    """Every run in its order, with its mode and round."""
    plan: list[tuple[str, int, Run]] = []

    def turns(mode: str, run: Run, writers: list[str], rounds: int) -> None:
        asked = [w for w in writers if w in arguments.writers]
        able = [w for w in asked if can(w, multiscale=run.multiscale)]
        for number in range(rounds):
            for writer in able[:: -1 if number % 2 else 1]:
                verify = number == 0
                plan.append((mode, number, replace(run, writer=writer, verify=verify)))

    size: dict[str, Any] = {"side": 2048, "tile": 512, "frames": arguments.frames}
    layouts = (False, True)
    for directory in arguments.directory if "write" in arguments.modes else ():
        for codec in arguments.codecs:
            for multiscale in (False, True):
                for sharded in layouts:
                    place = {"directory": directory, "source": source}
                    run = Run("", codec, multiscale, sharded, **size, batch=1, **place)
                    everybody = [*OPENERS, ROOFLINE]
                    turns("write", run, everybody, arguments.rounds)
    place = {"directory": arguments.directory[0], "source": source}
    if "small" in arguments.modes:
        # 16 MiB is 512 such frames, so these are whole files.
        size = {"side": 128, "tile": 128, "frames": 4096 if arguments.quick else 16384}
        writers = [OURS, ACQUIRE] if arguments.quick else list(OPENERS)
        for sharded in layouts:
            for batch in (64,) if arguments.quick else (64, 1):
                run = Run("", "lz4", False, sharded, **size, batch=batch, **place)
                turns("small", run, writers, arguments.rounds)
    if "positions" in arguments.modes:
        size = {"side": 2048, "tile": 512, "frames": arguments.frames}
        for sharded in layouts:
            run = Run("", "lz4", True, sharded, **size, batch=1, **place)
            for number in range(arguments.rounds):
                both = list(positions.OPENERS)[:: -1 if number % 2 else 1]
                plan += [("positions", number, replace(run, writer=w)) for w in both]
    if "read" in arguments.modes:
        size = {"side": 2048, "tile": 512, "frames": 32 if arguments.quick else 64}
        for codec in arguments.codecs:
            for sharded in layouts:
                run = Run("", codec, True, sharded, **size, batch=1, **place)
                turns("read", run, ["reading"], 1)
    return plan


def _in_fresh_process(run: Run) -> dict[str, Any]:
    command = [sys.executable, "-m", __package__, "--one", json.dumps(asdict(run))]
    # The encoder allocates its result for every tile. For the roofline, where nothing
    # but the work is to take time, glibc keeps that memory instead of returning it to
    # the system, which comes to preallocation. Writers run with the defaults.
    keep = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        env=os.environ | (keep if run.writer == ROOFLINE else {}),
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Measure, or report what was measured."""
    arguments = _arguments()
    if arguments.one:
        print(json.dumps(measure(Run(**json.loads(arguments.one)))))
        return
    if arguments.report:
        write_report(json.loads(arguments.report.read_text()), arguments.output)
        return
    for directory in arguments.directory:
        Path(directory).mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=arguments.directory[0]) as folder:
        source = f"{folder}/frames.npy"
        np.save(source, camera_frames(4 if arguments.quick else 16, 2048))
        plan = _plan(arguments, source)
        for done, (mode, number, run) in enumerate(plan):
            try:
                result = _in_fresh_process(run)
            except subprocess.CalledProcessError as error:
                if run.writer not in OPENERS or run.writer == OURS:
                    raise
                # A peer that crashes does not take the hour's other figures with it.
                print(f"left out: {error}", file=sys.stderr)
                continue
            results.append({"mode": mode, "round": number, **asdict(run), **result})
            minutes = (time.monotonic() - began) / 60
            print(
                f"{done + 1}/{len(plan)} after {minutes:.1f} min: {mode} {run.writer} "
                f"{run.codec} pyramid={run.multiscale} sharded={run.sharded} "
                f"{result.get('mb_per_s', 0):.0f} MB/s",
                file=sys.stderr,
            )
    report = {"machine": machine(), "results": results}
    if arguments.quick:
        print(tables(report))
        return
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report))
    write_report(report, arguments.output)


if __name__ == "__main__":
    main()
