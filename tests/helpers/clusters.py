"""A cluster of dask on this computer, of processes that can be killed."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager

from waiting import PATIENCE_S, wait_until

QUIET = {"DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "error"}


class Cluster:
    """A scheduler, and workers by their number.

    Attributes
    ----------
    address : str
    workers : list of subprocess.Popen

    Of the workers, `path` is what they look for packages in before all else, and
    `before` a command that runs them.
    """

    def __init__(self, folder, workers=2, path=None, before=()):
        self._folder = folder
        self._path = [str(path)] if path else []
        self._before = before
        self._file = folder / "scheduler.json"
        self.workers = []
        self._scheduler = self._start("scheduler", "--port", "0", "--host", "127.0.0.1")
        try:
            wait_until(self._is_there)
            for _ in range(workers):
                self.add_worker()
            if workers:
                from distributed import Client  # of the extra `cluster`

                with Client(self.address, set_as_default=False) as client:
                    client.wait_for_workers(workers, timeout=PATIENCE_S)
        except BaseException:
            self.close()
            raise

    def _is_there(self):
        assert self._scheduler.poll() is None, "the scheduler has ended"
        try:
            self.address = json.loads(self._file.read_text())["address"]
        except (FileNotFoundError, ValueError):  # half of it
            return False
        return True

    def _start(self, what, *options, path=(), before=()):
        path = os.pathsep.join([*path, *filter(None, sys.path)])
        with (self._folder / f"{what}.log").open("ab") as log:
            return subprocess.Popen(
                [*before, sys.executable, "-m", f"distributed.cli.dask_{what}",
                 *options, "--scheduler-file", str(self._file), "--no-dashboard"],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=os.environ | {"PYTHONPATH": path} | QUIET,
            )  # fmt: skip

    def add_worker(self):
        """Start another worker, of one thread."""
        options = "--no-nanny", "--nthreads", "1", "--host", "127.0.0.1"
        how = {"path": self._path, "before": self._before}
        self.workers.append(self._start("worker", *options, **how))

    def close(self):
        """Kill what still runs."""
        for process in (*self.workers, self._scheduler):
            process.kill()
            process.wait(PATIENCE_S)


def slowly(block, pause_s):
    """A block of an array, for workers who take their time."""
    time.sleep(pause_s)
    return block


@contextmanager
def cluster(folder, **how):
    """A cluster that is there inside."""
    folder.mkdir(exist_ok=True)
    there = Cluster(folder, **how)
    try:
        yield there
    finally:
        there.close()
