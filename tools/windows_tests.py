"""Runs the tests in the Windows of `windows_bed`: a process for each file of them.

    python tools/windows_tests.py [--jobs N] [--resume] [FILE or FOLDER ...] \
        [PYTEST ARGUMENT ...]

A file whose process ends before its time, or never, takes no other with it. At the end
there is a table, why tests were skipped, and what failed; the exit code is 0 only if
nothing did. With `--resume`, a file that passed the last time is not run again: after
an end before the last file, or after what failed was mended.
"""

import argparse
import os
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from windows_bed import BED, PROJECT, output_of, set_up, start

RESULTS = BED / "results"
PATIENCE_S = 3600
"""For one file, on a machine that does much besides."""

NOT_THERE = ("house", "pretend", "helpers")
"""Rooms of tests that look at the checkout, at a Linux, or hold none."""

WINDOWED_ROOMS = ("viewer", "dock")
WINDOWED = ("qtbot", "make_napari_viewer", "import docks", "from docks")
"""Words of other tests that open windows: where none are, napari's and Qt's plugins for
pytest are not loaded, which takes half a minute."""


@dataclass
class Outcome:
    """What came of one file."""

    name: str
    passed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0
    trouble: str = ""
    output: str = ""

    def read(self, report: Path) -> bool:
        """Take what pytest noted of every test; False where it did not come to that."""
        try:
            suites = ElementTree.parse(report)
        except (FileNotFoundError, ElementTree.ParseError):
            return False
        self.seconds = sum(float(s.get("time", 0)) for s in suites.iter("testsuite"))
        for case in suites.iter("testcase"):
            name = f"{case.get('classname')}::{case.get('name')}"
            said = {note.tag: note.get("message") or "" for note in case}
            if said.get("skipped") == "collection skipped":  # why is in the text
                said["skipped"] = "".join(case.itertext()).partition("Skipped: ")[2][
                    :-2
                ]
            if "skipped" in said:
                self.skipped[said["skipped"]] += 1
            elif {"failure", "error"} & set(said):
                self.failed.append(name)
            else:
                self.passed += 1
        return True


def opens_windows(file: Path) -> bool:
    """Whether its tests do."""
    text = file.read_text("utf-8")
    room = file.parent.name
    return room in WINDOWED_ROOMS or any(word in text for word in WINDOWED)


def run(file: Path, resume: bool, pytest_arguments: list[str]) -> Outcome:
    """Run one file's tests; its output is kept in .windows/results."""
    name = str(file.relative_to(PROJECT))
    outcome = Outcome(name)
    short = name.removesuffix(".py").replace(os.sep, "-")
    report = RESULTS / f"{short}.xml"
    if pytest_arguments:  # which leave some of it out
        report = report.with_suffix(".some.xml")
    elif resume and outcome.read(report):
        if not outcome.failed:
            return outcome
        outcome = Outcome(name)
    report.unlink(missing_ok=True)
    folder = BED / "prefix" / "drive_c" / "tests" / short
    folder.mkdir(parents=True, exist_ok=True)
    plugins = ["cacheprovider"]
    if not opens_windows(file):
        plugins += ["napari", "pytest-qt"]
    without = [word for name in plugins for word in ("-p", f"no:{name}")]
    began = time.monotonic()
    process = start(
        ["-m", "pytest", "-q", *without, "--timeout", "900",
         "--basetemp", f"C:\\tests\\{short}",
         "--junit-xml", os.path.relpath(report), name, *pytest_arguments]
    )  # fmt: skip
    stop = threading.Timer(PATIENCE_S, process.send_signal, [signal.SIGKILL])
    stop.start()
    outcome.output = b"".join(output_of(process)).decode(errors="replace")
    code = process.wait()
    stop.cancel()
    (RESULTS / f"{short}.log").write_text(outcome.output)
    was_read = outcome.read(report)
    outcome.seconds = time.monotonic() - began
    if not was_read or code not in (0, 1, 5) or (code == 1 and not outcome.failed):
        outcome.trouble = f"ended with {code}"
        report.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{'  ' if code in (0, 5) else '! '}{line(outcome)}", flush=True)
    return outcome


def line(outcome: Outcome) -> str:
    """A row of the table."""
    skipped = sum(outcome.skipped.values())
    return (
        f"{outcome.name:42} {outcome.passed:6} {skipped:7} {len(outcome.failed):6}"
        f" {outcome.seconds:7.0f}  {outcome.trouble}"
    )


def tell(outcomes: list[Outcome]) -> bool:
    """Print what came of it; returns whether all is well."""
    print(f"\n{'file':42} passed skipped failed seconds")
    total = Outcome("in all")
    for outcome in outcomes:
        print(line(outcome))
        total.passed += outcome.passed
        total.skipped += outcome.skipped
        total.failed += [f"{outcome.name} {name}" for name in outcome.failed]
        total.seconds += outcome.seconds
    print(line(total))
    if total.skipped:
        print("\nskipped, and why")
    for reason, count in total.skipped.most_common():
        print(f"{count:6}  {reason}")
    troubles = [outcome for outcome in outcomes if outcome.trouble]
    if total.failed or troubles:
        print("\nfailed; output in .windows/results")
    for name in total.failed:
        print(f"        {name}")
    for outcome in troubles:
        print(f"        {outcome.name} {outcome.trouble}")
        print(*outcome.output.splitlines()[-15:], sep="\n")
    return not total.failed and not troubles


def main() -> int:
    """Make the Windows, run what is asked for, and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("paths", nargs="*", type=Path)
    arguments, rest = parser.parse_known_args()
    os.chdir(PROJECT)
    files = [
        file.resolve()
        for path in arguments.paths or [Path("tests")]
        for file in (sorted(path.rglob("test_*.py")) if path.is_dir() else [path])
        if arguments.paths or file.parts[1] not in NOT_THERE
    ]
    files.sort(key=opens_windows)  # those last, as they take longest
    set_up()
    RESULTS.mkdir(exist_ok=True)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        outcomes = list(pool.map(lambda file: run(file, arguments.resume, rest), files))
    return 0 if tell(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
