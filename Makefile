# The two commands of the README. Each sets up all that it needs: see tools/setup.sh.

SCREEN = xvfb-run --auto-servernum --server-args="-screen 0 1600x1000x24"

.PHONY: demo test test-long check setup setup-test

setup:
	@sh tools/setup.sh

# With Aravis' fake camera, the one emulator that no Python package brings.
setup-test:
	@sh tools/setup.sh aravis-tools

# With a display: napari opens, ready for a click. Without one it drives itself.
demo: setup
ifeq ($(DISPLAY)$(WAYLAND_DISPLAY),)
	$(SCREEN) .venv/bin/python examples/demo.py --by-itself
else
	.venv/bin/python examples/demo.py
endif

test: setup-test check
	$(SCREEN) .venv/bin/python -m pytest

# Soak, thousands of hostile stores, hundreds of kills, an empty environment: hours.
test-long: setup-test
	$(SCREEN) .venv/bin/python -m pytest -m long

check: setup
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/npe2 validate --imports napari-zarr-stream

# The README's table of files and the picture in CONTRIBUTING.md, out of the code.
.PHONY: docs
docs:
	@$(firstword $(wildcard .venv/bin/python) python3) tools/house.py

.PHONY: bench bench-quick bench-live

# Half an hour, best on a quiet machine; writes docs/benchmarks.{md,png}.
# BENCH_ARGS="--directory /dev/shm --directory build" measures a disk as well.
bench: setup
	@.venv/bin/python -c 'import acquire_zarr, matplotlib, tensorstore' 2>/dev/null || \
		.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	.venv/bin/python -m benchmarks $(BENCH_ARGS)

bench-quick:
	$(MAKE) bench BENCH_ARGS=--quick

# What a napari window costs a recording, rendered in software; five minutes.
bench-live: setup
	$(SCREEN) .venv/bin/python -m benchmarks.live $(BENCH_ARGS)
