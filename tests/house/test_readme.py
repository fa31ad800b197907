"""What the README shows is run, as it stands there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile
import zarr

README = Path(__file__).parents[2] / "README.md"


def block(language, containing):
    blocks = re.findall(
        rf"```{language}\n(.*?)```", README.read_text("utf-8"), re.DOTALL
    )
    [found] = [text for text in blocks if containing in text]
    return found


def test_the_python_example(tmp_path):
    code = block("python", "ZarrStream")
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert zarr.open_array(tmp_path / "cells.zarr" / "0", mode="r").shape[0] == 50


def test_the_script(tmp_path):
    code = block("python", "import export")
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert zarr.open_array(tmp_path / "lapse.zarr" / "0", mode="r").shape[0] == 5
    assert zarr.open_array(tmp_path / "last.zarr" / "0", mode="r").ndim == 2


def test_the_plate(tmp_path):
    code = block("python", "recording_of")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "completed"
    assert zarr.open_array(tmp_path / "plate.zarr/B/3/0/0", mode="r").shape[0] == 2


def commands():
    text = block("sh", "napari-zarr-stream record").replace("\\\n", "")
    return [shlex.split(line, comments=True) for line in text.splitlines()]


def test_the_commands(tmp_path):
    tifffile.imwrite(tmp_path / "picture.tif", np.eye(64, dtype=np.uint8))
    for program, *arguments in commands():
        assert program == "napari-zarr-stream"
        code = "import sys; from napari_zarr_stream.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        # 3: a busy machine lost frames, and said so.
        assert done.returncode in (0, 3), done.stderr
    assert (tmp_path / "simulated.zarr" / "zarr.json").exists()
    assert (tmp_path / "picture.zarr" / "zarr.json").exists()
