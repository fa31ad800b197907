"""The house rules: who imports whom, who starts threads, what importing brings in."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import napari_zarr_stream

PACKAGE = Path(napari_zarr_stream.__file__).parent

FLOORS = [
    {"errors"},
    {"properties", "kernels"},
    {"chunk_grid"},
    {"downsample", "codecs", "marks", "lock", "lease"},
    {"ngff", "store"},
    {"array", "frame_log"},
    {"slot", "dataset"},
    {"slot_queue"},
    {"stream"},
    {"lazy", "salvage"},
    {"repair"},
]
"""The writer from the ground up: a module imports from floors below its own."""

MAY_START_THREADS = {
    "_writer/stream.py",
    "_recording/recording.py",
    "_dock/background.py",
    "cameras/thread.py",
}

GUI = {"napari", "magicgui", "qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "npe2"}

MODULES = sorted(PACKAGE.rglob("*.py"))
WRITER = sorted((PACKAGE / "_writer").glob("*.py"))


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def imports_of(path):
    """(module, relative level) of every import, also of those inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module is None:
                yield from ((alias.name, node.level) for alias in node.names)
            else:
                yield node.module, node.level


@pytest.mark.parametrize("path", WRITER, ids=name_of)
def test_the_writer_imports_downwards(path):
    floors = {module: floor for floor, names in enumerate(FLOORS) for module in names}
    assert path.stem == "__init__" or path.stem in floors, "give it a floor"
    for module, level in imports_of(path):
        if level:
            assert level == 1, f"{module} is outside the writer"
            assert floors[module] < floors[path.stem], module
        else:
            assert not module.startswith("napari_zarr_stream"), "relative, please"


@pytest.mark.parametrize("path", WRITER, ids=name_of)
def test_the_writer_knows_no_gui(path):
    roots = {module.split(".")[0] for module, level in imports_of(path) if not level}
    assert not roots & GUI


@pytest.mark.parametrize("name", ["_recording", "_sources/source", "_sources/layer"])
def test_recording_knows_no_gui(name):
    for module, level in imports_of(PACKAGE / f"{name}.py"):
        assert level or module.split(".")[0] not in GUI, module
        assert not module.startswith(("_widget", "_session", "_reader")), module


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "cameras").rglob("*.py")), ids=name_of
)
def test_cameras_need_only_errors_of_the_writer(path):
    for module, level in imports_of(path):
        inside = [part for part in module.split(".") if part != "napari_zarr_stream"]
        if inside and inside[0] == "_writer":
            assert inside[1:] == ["errors"], module
        if level > 1:
            assert inside[0] == "_writer", module


def calls_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_four_files_start_threads(path):
    starting = re.compile(r"(^|\.)(Thread|Timer|ThreadPoolExecutor|thread_worker)$")
    started = [call for call in calls_of(path) if starting.search(call)]
    if name_of(path) not in MAY_START_THREADS:
        assert not started


@pytest.mark.parametrize("path", WRITER, ids=name_of)
def test_every_module_begins_with_its_idea(path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert docstring.split("\n\n")[0].rstrip().endswith((".", "`."))


def test_importing_brings_in_neither_qt_nor_napari():
    script = (
        "import sys, napari_zarr_stream\n"
        f"print(sorted({GUI!r} & {{m.split('.')[0] for m in sys.modules}}))"
    )
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_all_names_are_public_and_sorted():
    public = {
        name
        for name, value in vars(napari_zarr_stream).items()
        if not name.startswith("_") and not isinstance(value, type(sys))
    }
    # `version` of importlib is how the package learns its own.
    assert sorted(napari_zarr_stream.__all__) == napari_zarr_stream.__all__
    assert set(napari_zarr_stream.__all__) == public - {"version"} | {"__version__"}
    for name in napari_zarr_stream.__all__:
        assert hasattr(napari_zarr_stream, name)
