"""What is installed is what is promised: the wheel, alone in an empty environment."""

import os
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import pytest
import zarr

ROOT = Path(__file__).parents[2]
venv = pytest.importorskip("venv", reason="CPython to embed in Windows has no venv")


def build(folder, **environment):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, env=os.environ | environment)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(tmp_path_factory.mktemp("wheel"), REPOSITORY_URL="")


def metadata_of(wheel):
    with ZipFile(wheel) as archive:
        [name] = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(name))


def test_all_files_of_the_package_are_in_it(wheel):
    package = ROOT / "napari_zarr_stream"
    files = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"napari_zarr_stream/py.typed", "napari_zarr_stream/napari.yaml"} <= files
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        entries = "".join(
            archive.read(name).decode()
            for name in archive.namelist()
            if name.endswith("entry_points.txt")
        )
    assert names == files
    assert "napari-zarr-stream = napari_zarr_stream.cli:main" in entries
    assert "napari-zarr-stream = napari_zarr_stream:napari.yaml" in entries


def test_where_nobody_knows_the_repository_no_link_is_broken(wheel):
    metadata = metadata_of(wheel)
    text = metadata.get_payload()
    assert "# napari-zarr-stream" in text
    assert "](docs/" not in text
    assert "docs/safety.md" in text
    assert metadata["Project-URL"] is None


def test_on_an_index_pictures_and_links_lead_to_the_repository(tmp_path):
    repository = "https://example.org/people/napari-zarr-stream"
    metadata = metadata_of(build(tmp_path, REPOSITORY_URL=repository))
    text, tag = metadata.get_payload(), f"v{metadata['Version']}"
    assert f"]({repository}/raw/{tag}/docs/images/finished.png)" in text
    assert f"]({repository}/blob/{tag}/docs/safety.md)" in text
    assert "](docs/" not in text
    assert metadata["Project-URL"] == f"Repository, {repository}"


def test_the_change_log_tells_of_this_version(wheel):
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = metadata_of(wheel)["Version"].partition(".dev")[0]
    assert f"\n## {version}" in changes


@pytest.mark.long
@pytest.mark.timeout(1200)  # Everything is fetched and installed.
def test_it_records_alone_in_an_empty_environment(wheel, tmp_path):
    venv.create(tmp_path / "empty", with_pip=True)
    scripts = tmp_path / "empty" / ("Scripts" if os.name == "nt" else "bin")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}

    def run(program, *arguments):
        done = subprocess.run(
            [scripts / program, *map(str, arguments)],
            cwd=tmp_path, env=clean, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("python", "-m", "pip", "install", "--quiet", wheel)
    where = "from importlib.resources import files as f; print(f('napari_zarr_stream'))"
    package = Path(run("python", "-c", where).strip())
    assert tmp_path in package.parents
    assert (package / "py.typed").is_file()
    assert (package / "napari.yaml").is_file()
    qt = "from importlib.util import find_spec as f; print(f('PyQt6'), f('PySide6'))"
    assert run("python", "-c", qt).split() == ["None", "None"]

    camera = ["--camera", "Simulated: cells", "--set", "frame_rate=10"]
    run("napari-zarr-stream", "record", "out.zarr", *camera, "--frames", "5")
    assert zarr.open_array(tmp_path / "out.zarr" / "0", mode="r").shape[0] == 5
    run("napari-zarr-stream", "repair", "out.zarr", "--check")
    run("npe2", "validate", "napari-zarr-stream")
