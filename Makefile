# `make demo` and `make test` are all the set-up there is: each makes .venv and installs into it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
CORPORA := $(wildcard ../shared/corpora)
ifneq ($(CORPORA),)
export IMGPIPE_CORPORA := $(abspath $(CORPORA))
endif

.PHONY: demo test test-lowest check package docs bench bench-kernels bench-own bench-chain bench-bytes bench-formats bench-memory bench-start bench-batch big photos samples stubs clean

demo: $(VENV)/.installed
	@mkdir -p out
	$(BIN)/imgpipe blur sample_images/landscape.png -o out/landscape-blurred.png --sigma 4
	@echo "The blurred picture is out/landscape-blurred.png"

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 --dist worksteal $(TESTFLAGS)

# with the oldest releases that pyproject.toml allows, in an environment of their own, which has no
# packages of the documentation
test-lowest: $(LOWEST)/.installed
	$(LOWEST)/bin/python -m pytest -n 2 --dist worksteal -m lowest $(TESTFLAGS) $(shell grep -l mark.lowest tests/test_*.py)

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

package: $(VENV)/.installed-test
	$(BIN)/python -m build --no-isolation --outdir dist
	@echo "The packages are in dist"

docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going -n -q docs docs/_build/html
	@echo "The documentation is docs/_build/html/index.html"

bench: $(VENV)/.installed-bench
	$(BIN)/python -m compileall -q imgpipe
	$(BIN)/python benchmarks/bench.py $(BENCHFLAGS)

bench-kernels: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/bench_kernels.py $(BENCHFLAGS)

bench-own: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/bench_own.py $(BENCHFLAGS)

bench-chain: $(VENV)/.installed-bench
	$(BIN)/python -m compileall -q imgpipe
	$(BIN)/python benchmarks/bench_chain.py $(BENCHFLAGS)

bench-bytes: $(VENV)/.installed-bench
	$(BIN)/python -m compileall -q imgpipe
	$(BIN)/python benchmarks/bench_bytes.py $(BENCHFLAGS)

bench-formats: $(VENV)/.installed-bench
	$(BIN)/python -m compileall -q imgpipe
	$(BIN)/python benchmarks/bench_formats.py $(BENCHFLAGS)

bench-memory: $(VENV)/.installed-bench
	$(BIN)/python -m compileall -q imgpipe
	$(BIN)/python benchmarks/bench_memory.py $(BENCHFLAGS)

bench-start: $(VENV)/.installed-bench
	$(BIN)/python -m compileall -q imgpipe
	$(BIN)/python benchmarks/bench_start.py $(BENCHFLAGS)

bench-batch: $(VENV)/.installed-bench
	$(BIN)/python -m compileall -q imgpipe
	$(BIN)/python benchmarks/bench_batch.py $(BENCHFLAGS)

stubs: $(VENV)/.installed
	$(BIN)/python -m imgpipe.cli.stubs

samples: $(VENV)/.installed-docs
	$(BIN)/python sample_images/make_samples.py
	$(BIN)/python sample_images/make_gallery.py

big: $(VENV)/.installed-test
	$(BIN)/python benchmarks/make_big.py

photos: $(VENV)/.installed-test
	$(BIN)/python benchmarks/make_photos.py

clean:
	rm -rf $(VENV) $(LOWEST) out build dist docs/_build docs/filters benchmarks/results

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "imgpipe needs Python 3.11 or newer: make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# pip compiles what it copies, and not a checkout: where Python may not write bytecode, every command
# would compile all that it imports.
$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	$(BIN)/python -m compileall -q imgpipe
	@touch $@

$(LOWEST)/.installed: pyproject.toml tests/lowest.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "the oldest releases need Python 3.11: make test-lowest PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv --clear $(LOWEST)
	$(PYTHON) tests/lowest.py > $(LOWEST)/requirements.txt
	$(LOWEST)/bin/pip install --quiet --disable-pip-version-check -r $(LOWEST)/requirements.txt -e .
	$(LOWEST)/bin/python -m compileall -q imgpipe
	@touch $@

$(VENV)/.installed-%: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[$*]'
	$(BIN)/python -m compileall -q imgpipe
	@touch $@ $(VENV)/.installed
