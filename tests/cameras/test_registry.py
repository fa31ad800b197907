"""What cameras are found: with nothing installed, of other packages, of broken ones."""

import re
import sys
import threading
from pathlib import Path

import pytest
from camera_contract import CameraContract
from programs import run_python
from waiting import PATIENCE_S, wait_until

from napari_zarr_stream import cli
from napari_zarr_stream.cameras import (
    CameraError,
    CameraSearch,
    find_cameras,
    registry,
)

PAGE = Path(__file__).parents[2] / "docs" / "cameras.md"
PATTERNS = ["cells", "uniform random", "radial sine", "empty"]
SIMULATED = [f"Simulated: {pattern}" for pattern in PATTERNS]
SDKS = {"pymmcore_plus", "viva_genicam", "pypylon", "harvesters", "cv2"}


def block(language):
    text = PAGE.read_text("utf-8")
    [found] = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return found


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install a package with one module and entry points; as pip leaves it."""

    def install(name, code, entry_points):
        (tmp_path / f"{name}.py").write_text(code)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\n")
        lines = [f"[{registry.ENTRY_POINTS}]"]
        lines += [f"{title} = {value}" for title, value in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join(lines))

    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield install
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_simulated_cameras_come_first():
    cameras = find_cameras().cameras
    assert list(cameras)[:4] == SIMULATED
    for name in SIMULATED:
        camera = cameras[name]()
        assert camera is not cameras[name]()
        assert camera.info["name"] == name
        assert camera.info["vendor"] == "napari-zarr-stream"
        assert camera.info["model"] == "Simulated camera"
        assert camera.info["serial"].startswith("SIM-")
        with pytest.raises(CameraError, match="open"):
            camera.start()


@pytest.mark.parametrize("title", ["Micro-Manager", "OpenCV"])
def test_stacks_that_are_installed(title):
    found = find_cameras()
    assert title not in found.missing
    assert title not in found.failed
    [_] = [
        name
        for name in found.cameras
        if name.startswith(f"{title}: ") and "file" in name
    ]


def test_nothing_installed():
    code = f"""
import sys
for name in {sorted(SDKS)}:
    sys.modules[name] = None  # cannot be imported, and find_spec says so
from napari_zarr_stream import cli
from napari_zarr_stream.cameras import find_cameras
found = find_cameras()
assert not found.failed, found.failed
assert list(found.cameras) == {SIMULATED}
sys.exit(cli.main(["record", "--list-cameras"]))
"""
    done = run_python(code, options=["-W", "error"])
    assert not done.stderr
    for title, extra in (
        ("Micro-Manager", "micromanager"),
        ("GenICam", "genicam"),
        ("Basler", "basler"),
        ("GenTL", "gentl"),
        ("OpenCV", "opencv"),
    ):
        line = f'{title}: not installed; pip install "napari-zarr-stream[{extra}]"'
        assert line in done.stdout.splitlines()


def test_nothing_is_imported_to_decide_what_is_missing():
    code = (
        "import sys, napari_zarr_stream.cameras.registry as registry\n"
        "registry._finders = lambda missing: []\n"
        "registry.find_cameras()\n"
        f"print(sorted({SDKS!r} & set(sys.modules)))"
    )
    assert run_python(code).stdout.strip() == "[]"


def test_extras_are_those_of_the_project():
    text = (PAGE.parents[1] / "pyproject.toml").read_text("utf-8")
    for stack in registry._STACKS:
        assert re.search(rf"^{stack.extra} = \[", text, re.MULTILINE)


FIND_ONE = """
from napari_zarr_stream.cameras import SimulatedCamera
def find():
    clashing = lambda: SimulatedCamera("empty")
    return {"Simulated: cells": clashing, "Only mine": SimulatedCamera}
"""


def test_names_that_clash_get_their_titles(package):
    package("one", FIND_ONE, {"Acme": "one:find", "Simulated": "one:find"})
    found = find_cameras()
    assert not {"Acme", "Simulated (one:find)"} & set(found.failed)
    for title, pattern in (
        ("Simulated", "cells"),
        ("Acme", "empty"),
        ("Simulated (one:find)", "empty"),
    ):
        camera = found.cameras[f"{title}: Simulated: cells"]()
        assert camera.info["name"] == f"Simulated: {pattern}"
    assert "Simulated: cells" not in found.cameras
    assert {"Acme: Only mine", "Simulated (one:find): Only mine"} <= set(found.cameras)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise OSError('libacme.so: cannot open')", "OSError: libacme.so"),
        ("import acme_sdk", "ModuleNotFoundError"),
        ("def other(): pass", "AttributeError"),
        ("def find(): return 1 / 0", "ZeroDivisionError"),
        ("def find(): return ['camera']", "AttributeError"),
    ],
)
def test_a_broken_one_hides_no_other_and_is_heard(code, said, package, capsys):
    package("broken", code, {"Acme": "broken:find"})
    package("fine", FIND_ONE, {"Fine": "fine:find"})
    found = find_cameras()
    assert found.failed["Acme"].startswith(said)
    assert "Only mine" in found.cameras
    assert set(SIMULATED[1:]) <= set(found.cameras)
    assert cli.main(["record", "--list-cameras"]) == 0
    assert f"Acme: failed; {said}" in capsys.readouterr().err
    assert cli.main(["record", "x.zarr", "--camera", "acme"]) == 2
    assert f"Acme failed: {said}" in capsys.readouterr().err


def test_who_begins_a_search_waits_for_no_disk(monkeypatch):
    """What is installed stands on it, and the window begins a search."""
    answer, asked_by = threading.Event(), []

    def slow_disk(group):
        asked_by.append(threading.current_thread())
        answer.wait(PATIENCE_S)
        raise OSError("the disk has gone")

    monkeypatch.setattr(registry, "entry_points", slow_disk)
    monkeypatch.setattr(registry, "_STACKS", registry._STACKS[:1])
    search = CameraSearch()
    assert set(search.found.cameras) == set(SIMULATED)
    assert search.found.awaited == ("Micro-Manager",)
    answer.set()
    assert search.wait().failed == {"Search": "OSError: the disk has gone"}
    assert asked_by != [threading.current_thread()]


HANGS = """
import threading
go_on = threading.Event()
def find():
    go_on.wait(250)
    return {"Late": None}
"""


def test_one_that_hangs_hides_no_other_and_is_asked_once(package):
    package("hangs", HANGS, {"Acme": "hangs:find"})
    package("fine", FIND_ONE, {"Fine": "fine:find"})
    search = CameraSearch(timeout_s=250)
    assert set(SIMULATED[1:]) <= set(search.found.cameras)  # at once
    wait_until(lambda: search.found.awaited == ("Acme",))
    assert "Only mine" in search.found.cameras
    assert not search.is_over
    before = set(threading.enumerate())
    again = CameraSearch(timeout_s=0)
    assert again.is_over
    wait_until(lambda: "Acme" in again.found.failed)  # it is known what there is
    assert "hangs" in again.found.failed["Acme"]
    wait_until(lambda: set(threading.enumerate()) <= before)  # those that did answer
    import hangs

    hangs.go_on.set()
    assert "Late" in search.wait().cameras
    assert "Late" in again.found.cameras  # late, but there
    assert search.is_over
    assert not search.found.failed.keys() & {"Acme", "Fine"}


def test_one_that_hangs_keeps_no_program_from_ending(package, tmp_path):
    package("hangs", HANGS, {"Acme": "hangs:find"})
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from napari_zarr_stream.cameras import registry\n"
        "registry.SEARCH_TIMEOUT_S = 0.1\n"
        "registry._STACKS = ()  # they abort where no time is left to come back\n"
        # what is installed may take longer to find out than this
        "while 'Acme' not in registry.find_cameras(0.1).failed:\n"
        "    pass\n"
        "print('it hangs')"
    )
    assert run_python(code).stdout.strip() == "it hangs"


# the page


def test_the_page_names_every_stack():
    text = PAGE.read_text("utf-8")
    for stack in registry._STACKS:
        assert f"| {stack.title} | `{stack.extra}` |" in text


def entry_point_of_the_page():
    [found] = re.findall(r'"([^"]+)" = "([\w.]+):(\w+)"', block("toml"))
    assert f'[project.entry-points."{registry.ENTRY_POINTS}"]' in block("toml")
    return found


@pytest.fixture
def acme(package):
    title, name, function = entry_point_of_the_page()
    package(name, block("python"), {title: f"{name}:{function}"})


def test_the_camera_of_the_page_is_short(acme):
    lines = [line for line in block("python").splitlines() if line]
    assert len(lines) < 40
    assert "Ramp camera" in find_cameras().cameras


def test_the_camera_of_the_page_records(acme, tmp_path, capsys):
    command = ["record", tmp_path / "ramp.zarr", "--camera", "ramp", "--frames", "5"]
    assert cli.main([str(argument) for argument in command]) == 0
    assert "5 frames acquired" in capsys.readouterr().out


class TestCameraOfThePage(CameraContract):
    @pytest.fixture
    def make(self, acme):
        return find_cameras().cameras["Ramp camera"]
