"""The house rules: which room stands on which, and who may do what."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

from house import (
    MODULES,
    PACKAGE,
    idea_of,
    imports_of,
    name_of,
    own_imports_of,
    parsed,
    room_of,
)

import napari_zarr_stream

GUI = {"magicgui", "napari", "npe2", "qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6"}

STANDS_ON = {
    "_writer": set(),
    "cameras": {"_writer"},
    "_sources": {"_writer", "cameras"},
    "_upload": {"_writer"},
    "_recording": {"_writer", "cameras", "_sources", "_upload"},
    "_acquisition": {"_writer", "cameras", "_recording", "_upload"},
    "_reading": {"_writer", "_upload"},
    "_saving": {"_writer", "_sources", "_recording", "_reading"},
    "_viewer": {
        "_upload",
        "_writer",
        "cameras",
        "_sources",
        "_acquisition",
        "_recording",
        "_reading",
        "_saving",
    },
    "_dock": {
        "_upload",
        "_writer",
        "cameras",
        "_sources",
        "_acquisition",
        "_reading",
        "_recording",
        "_saving",
        "_viewer",
    },
    "_acquire_widget": {"_dock"},
    "_widget": {"_dock"},
    "_opening": {"_reading", "_viewer"},
    "_samples": {"cameras"},
    "cli": {
        "_writer",
        "cameras",
        "_sources",
        "_acquisition",
        "_recording",
        "_saving",
        "_reading",
        "_upload",
    },
    "_names": {"_writer", "_acquisition", "_reading", "_recording", "_saving"},
    "": {"_names"},
}
"""The rooms, and those that each may import from: the one place that says so."""

KNOWS_GUI = {
    "_dock": {"magicgui", "napari", "qtpy"},
    "_viewer": {"napari", "qtpy"},
    "_widget": {"napari"},
    "_acquire_widget": {"napari"},
}
"""What a room may import of Qt, magicgui and napari."""

KNOWS_GUI_INSIDE_FUNCTIONS = {
    "_opening.py": {"napari"},
    "_reading/reader.py": {"napari"},
    "_saving/npe2_writers.py": {"napari"},
    "_saving/settings.py": {"napari"},
    "cli/files.py": {"npe2"},
}
"""The same, where only a function may: its module is imported without napari, too."""

FLOORS = [
    {"words"},
    {"unix", "windows"},
    {"system"},
    {"computer", "errors", "colours", "left_open", "names"},
    {"stream_status", "properties", "kernels", "grid", "tiles", "axes", "refusals"},
    {
        "downsample",
        "codecs",
        "contrast",
        "marks",
        "lock",
        "lease",
        "levels",
        "limits",
        "memory",
    },
    {"plan", "store", "workers"},
    {"record", "part_files", "local_file"},
    {"local_store"},
    {"ozx"},
    {"plate", "plane_rows"},
    {"ome_xml"},
    {"ngff_image"},
    {"ngff"},
    {"array", "frame_log"},
    {"logged"},
    {"cascade", "dataset"},
    {"set_images"},
    {"slot", "tile_row"},
    {"tally"},
    {"set_on_disk"},
    {"slot_queue"},
    {"intake"},
    {"stream", "image_set", "tile_row_stream"},
    {"repair"},
]
"""The writer from the ground up: a module imports from floors below its own. A room in
it stands on one floor as a whole."""

HARMLESS_OF_OS = {
    "PathLike", "_exit", "cpu_count", "devnull", "environ", "fspath", "name",
    "path.abspath", "path.basename", "register_at_fork",
    "path.join", "path.normpath", "pathsep", "sep",
}  # fmt: skip
"""Names of `os` that call for no file."""

MAKE_FILE_CALLS = {"_writer/system.py", "_writer/unix.py", "_writer/windows.py"}

FILE_CALLS_ELSEWHERE = {
    "_reading/info.py": {"os.walk", "os.lstat"},
    "_reading/location.py": {"os.scandir"},
    "_recording/awake.py": {
        "ctypes.WinDLL",
        "ctypes.c_uint32",
        "ctypes.get_last_error",
    },
    "_recording/disk.py": {"shutil.disk_usage"},
    "_recording/interrupt.py": {
        "ctypes.WINFUNCTYPE",
        "ctypes.WinDLL",
        "ctypes.c_int",
        "ctypes.c_uint32",
    },
    "_dock/place.py": {"os.path.lexists"},
    "_writer/computer.py": {
        "ctypes.CDLL",
        "ctypes.byref",
        "ctypes.c_long",
        "ctypes.c_size_t",
        "ctypes.create_string_buffer",
    },
    "cli/commands.py": {"io.TextIOWrapper", "os.dup2", "os.open", "os.O_WRONLY"},
}
"""What may be asked of the system but in these two. Looking is free: pathlib
says what is there, and whoever reads pixels has a library for it."""

LOW_LEVEL = {"ctypes", "fcntl", "io", "mmap", "msvcrt", "shutil", "tempfile"}

CHANGING = {
    "chmod", "hardlink_to", "mkdir", "rename", "rmdir", "symlink_to", "unlink",
    "write_bytes", "write_text",
}  # fmt: skip
"""Methods of `pathlib.Path` that change something."""

MAY_START_THREADS = {
    "_writer/workers.py",
    "_reading/ahead.py",
    "_reading/side_by_side.py",
    "_recording/awake.py",
    "_recording/disk.py",
    "_recording/recording.py",
    "_recording/together.py",
    "_saving/image.py",
    "_saving/npe2_writers.py",
    "_saving/pieces/run.py",
    "_saving/verify.py",
    "_upload/uploader.py",
    "_viewer/background.py",
    "cameras/registry.py",
    "cameras/thread.py",
}

SDKS = {
    "botocore": "_upload/credentials.py",
    "cv2": "cameras/opencv.py",
    "distributed": "_saving/pieces/cluster.py",
    "genicam": "cameras/gentl.py",
    "harvesters": "cameras/gentl.py",
    "pymmcore": "cameras/micromanager/",
    "pymmcore_plus": ("cameras/micromanager/", "_acquisition/"),
    "pypylon": "cameras/basler.py",
    "useq": "_acquisition/",
    "viva_genicam": "cameras/genicam.py",
}
"""What may not be installed, and the place that knows it, inside functions."""

TESTS_OF_NO_ROOM = {"data", "helpers", "house", "pretend", "whole"}

TESTS = Path(__file__).parents[1]


def each(find, among=MODULES):
    """All modules in which something is found that should not be there, with it."""
    return {name_of(path): found for path in among if (found := list(find(path)))}


def test_a_room_stands_on_those_below_it():
    assert {room_of(path) for path in MODULES} <= STANDS_ON.keys(), "no place in table"

    def upward(path):
        allowed = {room_of(path), "__version__", *STANDS_ON[room_of(path)]}
        return [name for to, _, name in own_imports_of(path) if to not in allowed]

    assert each(upward) == {}


def test_no_two_rooms_stand_on_each_other():
    def below(room, seen=()):
        assert room not in seen, (room, seen)
        for other in STANDS_ON[room]:
            below(other, (*seen, room))

    for room in STANDS_ON:
        below(room)


def test_only_some_rooms_know_a_gui():
    def seen(path):
        allowed = KNOWS_GUI.get(room_of(path), set())
        in_functions = KNOWS_GUI_INSIDE_FUNCTIONS.get(name_of(path), set())
        for module, _, inside in imports_of(path):
            root = module.split(".")[0]
            if root in GUI - allowed - (in_functions if inside else set()):
                yield module

    assert each(seen) == {}


def test_only_its_room_knows_an_sdk():
    def known(path):
        for module, _, inside in imports_of(path):
            root = module.split(".")[0]
            at_home = inside and name_of(path).startswith(SDKS.get(root, ()))
            if root in SDKS and not at_home:
                yield module

    assert each(known) == {}


def test_no_private_name_is_imported_from_another_module():
    public = {*STANDS_ON, "__version__"}

    def private(path):
        for module, name, _ in imports_of(path):
            is_ours = module.startswith("napari_zarr_stream")
            if is_ours and name.startswith("_") and name not in public:
                yield f"{module}: {name}"

    assert each(private) == {}


def test_the_writer_imports_downwards():
    floors = {module: floor for floor, names in enumerate(FLOORS) for module in names}

    def upward(path):
        mine = name_of(path).split("/")[1].removesuffix(".py")
        assert mine == "__init__" or mine in floors, f"give {mine} a floor"
        for _, below, name in own_imports_of(path):
            module = (below or [name])[0]
            if module != mine and floors[module] >= floors[mine]:
                yield module

    assert each(upward, [p for p in MODULES if room_of(p) == "_writer"]) == {}


def names_a_mode(arguments):
    return any(re.fullmatch("'[rwax][bt+]*'", ast.unparse(a)) for a in arguments)


def is_harmless(of_os):
    return any(".".join(of_os[:n]) in HARMLESS_OF_OS for n in (1, 2))


def file_calls_of(path):
    """What of `path` asks the system for files: names of modules and of methods."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute):
            root, *rest = ast.unparse(node).split("(")[0].split(".")
            if root in LOW_LEVEL or (root == "os" and not is_harmless(rest)):
                yield ".".join([root, *rest])
        elif isinstance(node, ast.ImportFrom) and node.module in {*LOW_LEVEL, "os"}:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            of, _, method = ast.unparse(node.func).rpartition(".")
            # Strings are replaced with two arguments, other things by name.
            replaces = method == "replace" and len(node.args) == 1 and not node.keywords
            opens = method == "open" and (not of or names_a_mode(node.args[:1]))
            if opens or (of not in {"", "system"} and (replaces or method in CHANGING)):
                yield f"{of}.{method}"


def test_only_one_file_makes_file_calls():
    def elsewhere(path):
        return (
            set(file_calls_of(path))
            - {"os.path"}
            - FILE_CALLS_ELSEWHERE.get(name_of(path), set())
        )

    others = [path for path in MODULES if name_of(path) not in MAKE_FILE_CALLS]
    assert each(elsewhere, others) == {}
    for name, allowed in FILE_CALLS_ELSEWHERE.items():
        made_no_more = allowed - set(file_calls_of(PACKAGE / name))
        assert not made_no_more, f"take out of the table for {name}"


def test_only_listed_files_start_threads():
    starting = re.compile(r"(^|\.)(Thread|Timer|ThreadPoolExecutor|thread_worker)$")

    def started(path):
        calls = (node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call))
        names = (ast.unparse(call.func) for call in calls)
        return [name for name in names if starting.search(name)]

    assert each(started).keys() == MAY_START_THREADS


def test_time_is_taken_from_clocks_of_fine_steps():
    """On Windows `time.monotonic` has steps of 15.6 ms, as has the date, up to 3.12."""

    def coarse(path):
        called = {ast.unparse(n) for n in ast.walk(parsed(path))}
        of_frames = {"time.time_ns"} if room_of(path) in {"cameras", "_sources"} else {}
        return called & {"time.monotonic", *of_frames}

    others = [path for path in MODULES if name_of(path) != "cameras/host_clock.py"]
    assert each(coarse, others) == {}


def test_every_module_begins_with_its_idea():
    """One sentence, which is its row in the README."""

    def amiss(path):
        idea = idea_of(path)
        if not idea.endswith((".", "`.")):
            yield f"no sentence: {idea!r}"
        if len(idea) > 100:
            yield f"{len(idea)} characters are more than one idea: {idea!r}"

    assert each(amiss) == {}


def test_no_file_is_long():
    """One that grows beyond this holds two ideas."""
    long = {name_of(path): n for path in MODULES if (n := lines_of(path)) > 450}
    assert long == {}


def lines_of(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def test_tests_have_the_same_rooms():
    rooms = {room_of(path) for path in MODULES if path.parent != PACKAGE}
    folders = {path.parent.name for path in TESTS.glob("*/test_*.py")}
    assert {room.strip("_") for room in rooms} == folders - TESTS_OF_NO_ROOM


def test_importing_brings_in_neither_qt_nor_napari():
    script = (
        "import sys, napari_zarr_stream\n"
        "ours = [m for m in sys.modules if m.startswith('napari_zarr_stream.')]\n"
        "assert ours == [], 'napari waits for them when a dock is opened'\n"
        "napari_zarr_stream.record\n"
        f"print(sorted({GUI!r} & {{m.split('.')[0] for m in sys.modules}}))"
    )
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_all_names_are_public_and_sorted():
    names = importlib.import_module("napari_zarr_stream._names")
    public = {
        name
        for name, value in vars(names).items()
        if not name.startswith("_") and not isinstance(value, type(sys))
    }
    # `version` of importlib is how the package learns its own.
    assert sorted(names.__all__) == names.__all__
    assert set(names.__all__) == public - {"version"} | {"__version__"}
    assert dir(napari_zarr_stream) == names.__all__
    for name in names.__all__:
        assert hasattr(napari_zarr_stream, name)
