# Each target works as the only command after a clone, on a machine with python3 (3.11 or newer), make and git.
# `make test PYTEST_ARGS="-n 2 tests/unit"` passes arguments on; -n runs that many test processes side by side.

PYTHON ?= python3
PY := .venv/bin/python
PIP := $(PY) -m pip -qq --disable-pip-version-check --no-input
PYTEST_ARGS ?=
BENCH_ARGS ?=
FUZZ_ARGS ?=

.PHONY: demo test lint format bench simulate fuzz clean

demo: .venv/runtime.stamp
	$(PY) -m app demo

test: .venv/dev.stamp
	$(PY) -m pytest $(PYTEST_ARGS)

lint: .venv/dev.stamp
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format: .venv/dev.stamp
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

simulate: .venv/runtime.stamp
	$(PY) -m app simulate --events 1000000

bench: .venv/dev.stamp
	$(PY) -m bench $(BENCH_ARGS)

fuzz: .venv/dev.stamp
	$(PY) -m tests.fuzz $(FUZZ_ARGS)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Perpetual needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making .venv ..."
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

.venv/runtime.stamp: requirements.txt | $(PY)
	@echo "Installing requirements.txt ..."
	@$(PIP) install -r requirements.txt
	@touch $@

.venv/dev.stamp: requirements.txt requirements-dev.txt | $(PY)
	@echo "Installing requirements-dev.txt ..."
	@$(PIP) install -r requirements-dev.txt
	@touch $@ .venv/runtime.stamp
