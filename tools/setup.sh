#!/bin/sh
# Makes .venv with everything for the demo and the tests, and the system libraries that
# Qt, OpenGL and a virtual screen need on Debian and Ubuntu, and those it is called with.
# macOS and Windows need none of them; other Linuxes have them under other names, and
# this installs none there. Does nothing that is done.
set -eu
cd "$(dirname "$0")/.."

python=""
for candidate in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3" >&2
    exit 1
fi

if command -v dpkg-query >/dev/null; then
    missing=""
    for package in \
        libgl1 libegl1 libglib2.0-0 libdbus-1-3 libfontconfig1 libxkbcommon0 \
        xvfb xauth libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 \
        libxkbcommon-x11-0 "$@"; do
        # Newer releases provide some of these under a name that ends in t64.
        for name in "$package" "${package}t64"; do
            dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' &&
                continue 2
        done
        missing="$missing $package"
    done
    "$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
    if [ -n "$missing" ]; then
        install="apt-get install -y --no-install-recommends$missing"
        if [ "$(id -u)" = 0 ]; then
            as_root=""
        elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            as_root="sudo"
        else
            echo "System libraries are missing. Please run: sudo $install" >&2
            exit 1
        fi
        echo "Installing system libraries:$missing"
        export DEBIAN_FRONTEND=noninteractive
        # shellcheck disable=SC2086
        $as_root apt-get update -qq
        # shellcheck disable=SC2086
        $as_root $install -qq >/dev/null
    fi
fi

stamp=.venv/installed-from
if ! [ -e "$stamp" ] || ! cmp -s pyproject.toml "$stamp"; then
    echo "Installing napari-zarr-stream and its test tools into .venv"
    [ -d .venv ] || "$python" -m venv .venv
    bin=.venv/bin
    [ -d "$bin" ] || bin=.venv/Scripts # Windows
    "$bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
    cp pyproject.toml "$stamp"
fi
