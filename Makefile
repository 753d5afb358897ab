# Two commands on a fresh machine: `make run` and `make test`. Both do all their own set-up.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# An index with CPU builds of torch, for users who want one: make run TORCH_INDEX=URL
TORCH_INDEX ?=

# How many tests run at once; of those that start Ray, one.
WORKERS ?= 2
# The slow ones: a little more than there are cores, for they wait a lot.
SLOW_WORKERS ?= 3

.PHONY: run setup test test-slow test-exhaustive check bench docs clean

run: setup
	$(BIN)/fedknot run quickstart

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] < (3, 13); sys.exit(0 if ok else "fedknot needs Python 3.11 or 3.12; write make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
ifneq ($(TORCH_INDEX),)
	$(BIN)/python -m pip install --disable-pip-version-check -q --index-url $(TORCH_INDEX) -c constraints.txt torch
endif
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	touch $(STAMP)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell common clients server simulations tests docs README.md CHANGELOG.md
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(BIN)/fedknot data fetch vader
	$(BIN)/python -m pytest -m "not slow and not exhaustive" -n $(WORKERS) --dist loadgroup

test-exhaustive: setup
	$(BIN)/python -m pytest -m exhaustive -n $(WORKERS)

test-slow: setup
	$(BIN)/fedknot data fetch vader
	$(BIN)/python -m pytest -m slow -n $(SLOW_WORKERS) --dist loadgroup

docs: setup
	$(BIN)/python -m simulations.reference

bench: setup
	$(BIN)/fedknot compare quickstart

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
