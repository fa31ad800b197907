"""What all tests share."""

import subprocess
from collections import Counter
from pathlib import PurePosixPath

import pytest
from hypothesis import HealthCheck, settings

from napari_zarr_stream.cameras import CameraThread

pytest.register_assert_rewrite("camera_contract")

# The machine may be busy: an example that takes long is no failure.
settings.register_profile(
    "project",
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("project")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from crashed_workers import GoesOnAfterACrash

    if config.getoption("dist") == "loadscope":
        return GoesOnAfterACrash(config, log)
    return None


def pytest_terminal_summary(terminalreporter, config):
    """Say which folder of tests took how long: setup, call and teardown."""
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                folder = PurePosixPath(report.nodeid.partition("::")[0]).parent
                seconds[str(folder)] += report.duration
    if len(seconds) > 1:
        terminalreporter.section("seconds of each folder")
        for folder, took in seconds.most_common():
            terminalreporter.write_line(f"{took:8.1f}  {folder}")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no `mount`, which small disks are made with")
    if mounted.returncode:
        pytest.skip(f"no small disk can be made: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def opened():
    """Have a camera made and opened in a thread, and closed in the end."""
    threads = []

    def open_in_thread(make):
        thread = CameraThread(make)
        threads.append(thread)
        thread.call(lambda camera: camera.open())
        return thread

    yield open_in_thread
    for thread in threads:
        thread.close()


@pytest.fixture(autouse=True)
def settings_of_nobody(monkeypatch, tmp_path_factory):
    """Keep what widgets remember away from the user, and from other tests."""
    folder = tmp_path_factory.mktemp("napari")
    monkeypatch.setenv("NAPARI_CONFIG", str(folder / "settings.yaml"))
