"""What the command line says of what it was given, and with which exit code."""

import errno
import io
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import zarr
from psutil import virtual_memory
from waiting import PATIENCE_S

from napari_zarr_stream import StorageProperties, ZarrStream, cli, plan
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._saving.export import default_properties
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.memory import FREE_SHARE

PIXELS = np.zeros((2, 5, 3, 16, 20), "u2")


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


def axes_and_scale(store):
    [image] = zarr.open_group(store, mode="r").attrs["ome"]["multiscales"]
    scale = image["datasets"][0]["coordinateTransformations"][0]["scale"]
    return "".join(axis["name"] for axis in image["axes"]), scale


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.zarr"


@pytest.fixture
def hyperstack(tmp_path):
    """As ImageJ writes it: its channels come last."""
    tifffile.imwrite(
        tmp_path / "26.11. 1.5 mM.tif",
        PIXELS,
        imagej=True,
        metadata={"axes": "TZCYX", "spacing": 2.0, "unit": "um"},
        resolution=(4.0, 2.0),
    )
    return tmp_path / "26.11. 1.5 mM.tif"


@pytest.fixture
def unnamed(tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", PIXELS[:, 0, 0], metadata=None)
    return tmp_path / "stack.tif"


# napari 5162 and 8162, ome/ome-zarr-py 458, ndev-kit/napari-ndev 76
def test_axes_and_pixel_sizes_of_a_hyperstack_are_kept(hyperstack, out, capsys):
    assert run("export", hyperstack, out) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "30 planes of 26.11. 1.5 mM\n" in said.out
    assert axes_and_scale(out) == ("tczyx", [1.0, 1.0, 2.0, 0.5, 0.25])
    assert [meta["units"][1] for _, meta, _ in layers_of(out)] == ["micrometer"] * 3


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ("tzcyx", ("tczyx", [1.0, 1.0, 2.0, 0.5, 0.25])),
        # The sizes in the file are those of other axes.
        ("tczyx", ("tczyx", [1.0] * 5)),
    ],
)
def test_axes_that_are_given_win(axes, expected, hyperstack, out, capsys):
    assert run("export", hyperstack, out, "--axes", axes) == 0
    assert axes_and_scale(out) == expected
    assert capsys.readouterr().err == ""


def test_a_guess_is_said_in_one_line(unnamed, out, capsys):
    assert run("export", unnamed, out) == 0
    [line] = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"napari-zarr-stream: axes of 'stack' are not named and were guessed: zyx\. "
        r"If they are others, name them \(.*--axes\) and save again",
        line,
    )


ADDRESS = "https://uk1s3.embassy.ebi.ac.uk/idr/a.zarr"


# ome/napari-ome-zarr 23 and 103
@pytest.mark.parametrize(
    "command",
    [
        ["repair", ADDRESS],
        ["repair", "--check", ADDRESS],
        ["export", ADDRESS, "out.zarr"],
        ["export", "stack.tif", ADDRESS],
        ["record", ADDRESS, "--camera", "simulated: cells"],
    ],
    ids=" ".join,
)
def test_an_address_gets_words_of_its_own(command, unnamed, capsys, monkeypatch):
    monkeypatch.chdir(unnamed.parent)
    assert run(*command) == cli.REFUSED
    [line] = capsys.readouterr().err.splitlines()
    assert re.search(r"(https|s3)://\S+ is an address \((https|s3)\): ", line)
    assert [entry.name for entry in unnamed.parent.iterdir()] == ["stack.tif"]


# id: a command, and what is said of a place with nothing, and of a store in one file
NO_STORES = {
    "info": ("info", "does not exist", None),
    "repair": ("repair", "does not exist", "is a file, and not the folder of a store"),
    "check": ("repair --check", "does not exist", "is a file, and not the folder"),
    "upload": ("upload", "does not exist", "is copied as it is"),
}


@pytest.mark.parametrize("case", NO_STORES)
def test_what_is_no_folder_of_a_store_is_said(case, tmp_path, capsys):
    command, of_nothing, of_a_file = NO_STORES[case]
    name, *options = command.split()
    to = [tmp_path / "there"] if name == "upload" else []
    assert run(name, tmp_path / "nowhere.zarr", *to, *options) == 1
    assert of_nothing in capsys.readouterr().err
    (tmp_path / "a.ozx").write_bytes(b"PK")
    if of_a_file:
        assert run(name, tmp_path / "a.ozx", *to, *options) == 2
        assert of_a_file in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.ozx"]


def test_the_version_is_said(capsys):
    with pytest.raises(SystemExit, match="0"):
        run("--version")
    assert re.fullmatch(r"napari-zarr-stream \d+\.\d+\S*\n", capsys.readouterr().out)


def test_a_file_is_an_address_that_can_be_opened(unnamed, out, capsys):
    assert run("export", unnamed.as_uri(), out.as_uri(), "--axes", "tyx") == 0
    assert run("info", out.as_uri()) == 0
    assert capsys.readouterr().err == ""


def test_nothing_is_exported_into_a_store(unnamed, out, capsys):
    assert run("export", unnamed, out, "--axes", "tyx") == 0
    capsys.readouterr()
    for below in ("labels/new", "x.zarr"):
        assert run("export", unnamed, out / below, "--axes", "tyx") == cli.REFUSED
        [line] = capsys.readouterr().err.splitlines()
        assert f"lies inside the store {out}, which would not list it" in line
    assert not (out / "labels").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["record", "out.zarr", "--camera", "simulated: cells", "--frames", "2"],
        ["export", "stack.tif", "out.zarr", "--axes", "tyx"],
    ],
    ids=["record", "export"],
)
def test_memory_is_looked_at_before_anything_is_made(
    command, unnamed, capsys, monkeypatch
):
    monkeypatch.chdir(unnamed.parent)
    little = virtual_memory()._replace(available=2**20)
    monkeypatch.setattr("psutil.virtual_memory", lambda: little)
    assert run(*command) == cli.REFUSED
    said = capsys.readouterr().err
    assert "memory" in said
    assert [entry.name for entry in unnamed.parent.iterdir()] == ["stack.tif"]


def test_memory_is_that_of_all_cameras_together(out, capsys, monkeypatch):
    """Where one of them could be recorded, two cannot."""
    record = ["record", out, "--camera", "simulated: cells", "--frames", "2"]
    properties = replace(default_properties(out), max_bytes_per_chunk=0)
    one = plan(properties, axes="tyx", shape=(2, 1024, 1024), dtype="u2")
    enough = int(1.5 * one.peak_memory_bytes / FREE_SHARE)
    little = virtual_memory()._replace(available=enough)
    monkeypatch.setattr("psutil.virtual_memory", lambda: little)
    assert run(*record, "--camera", "simulated: radial sine") == cli.REFUSED
    [line] = capsys.readouterr().err.splitlines()
    assert "of memory" in line
    assert not out.exists()
    assert run(*record) in (0, cli.FRAMES_LOST)


def test_python_runs_it_where_no_script_is_installed(unnamed, out):
    command = [sys.executable, "-m", "napari_zarr_stream.cli"]
    run = [*command, "export", unnamed, out, "--axes", "tyx"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=5 * PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, "")
    run = [*command, "info", str(out) + "s"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=5 * PATIENCE_S)
    assert done.returncode == cli.FAILED
    assert done.stderr.startswith("napari-zarr-stream: ")


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--check"], "nothing was changed"), ([], "run it again to go on")],
)
def test_repair_ends_at_an_interrupt(options, said, unnamed, out, capsys, monkeypatch):
    assert run("export", unnamed, out, "--axes", "tyx") == 0
    capsys.readouterr()

    def interrupted(path, watch, check):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.repair, "repair_set", interrupted)
    assert run("repair", *options, out) == cli.INTERRUPTED
    [line] = capsys.readouterr().err.splitlines()
    assert line == f"napari-zarr-stream: interrupted, {said}"


JAPANESE = "細胞 µm Zellwände \N{MICROSCOPE}.zarr"


@pytest.fixture
def japanese(tmp_path):
    path = tmp_path / JAPANESE
    with ZarrStream(
        StorageProperties(path), axes="tyx", shape=(None, 8, 8), dtype="uint8"
    ) as stream:
        stream.append(np.ones((8, 8), "uint8"))
    return path


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp932", "utf-8"])
@pytest.mark.parametrize("command", ["info", "repair", "info --json", "info of none"])
def test_every_name_can_be_printed_in_every_console(
    japanese, monkeypatch, encoding, command
):
    """Windows' consoles, and files that output is led to, have few characters."""
    outputs = [io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", outputs[0])
    monkeypatch.setattr(sys, "stderr", outputs[1])
    name, *options = command.split()
    if options == ["of", "none"]:
        assert run(name, japanese.with_name(f"no {JAPANESE}")) == 1
    else:
        assert run(name, japanese, *options) == 0
    for output in outputs:
        output.flush()
    said = b"".join(output.buffer.getvalue() for output in outputs).decode(encoding)
    has_few = encoding in {"cp1252", "ascii"} or "--json" in command
    assert (r"\u7d30\u80de" in said) == has_few
    assert ("細胞" in said) == (not has_few)


def test_a_name_in_a_console_of_few_characters(japanese):
    done = subprocess.run(
        [sys.executable, "-m", "napari_zarr_stream.cli", "info", japanese],
        capture_output=True, env=os.environ | {"PYTHONIOENCODING": "cp1252"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert rb"\u7d30\u80de \xb5m" in done.stdout.replace(b"\xb5", rb"\xb5")


CLOSED_PIPES = {
    # errno, on Windows: exit code, or the error is one
    (errno.EPIPE, False): 0,
    (errno.EPIPE, True): 0,
    (errno.EINVAL, True): 0,
    (errno.EINVAL, False): None,
    (errno.EIO, True): None,
}


@pytest.mark.parametrize(("number", "is_windows"), CLOSED_PIPES)
def test_a_pipe_that_nobody_reads_is_no_error(
    japanese, monkeypatch, number, is_windows
):
    class Closed(io.StringIO):
        def flush(self):
            raise OSError(number, "nobody reads")

        def fileno(self):
            return -1

    monkeypatch.setattr(system, "IS_WINDOWS", is_windows)
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    monkeypatch.setattr(sys, "stdout", Closed())
    if CLOSED_PIPES[number, is_windows] is None:
        with pytest.raises(OSError, match="nobody reads"):
            run("info", japanese)
    else:
        assert run("info", japanese) == 0
