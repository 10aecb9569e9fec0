# Set-up and the daily commands. `make run` and `make test` work on a fresh clone.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
RUNS := $(VENV)/.runs
TESTS := $(VENV)/.tests
OVERRIDES ?=
CRASHES ?=

.PHONY: run test test-fast crashtest numbers lint bench ui clean

$(RUNS): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt --editable .
	touch $@

$(TESTS): $(RUNS)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[test,lint]'
	touch $@

run: $(RUNS)
	$(BIN)/nnexp $(OVERRIDES)

test: $(TESTS)
	$(BIN)/python -m pytest --numprocesses auto

test-fast: $(TESTS)
	$(BIN)/python -m pytest --numprocesses auto -m "not slow"

crashtest: $(TESTS)
	$(BIN)/python -m tests.tools.crash $(CRASHES)

numbers: $(TESTS)
	NNEXP_NUMBERS=1 $(BIN)/python -m pytest tests/test_documented_numbers.py

lint: $(TESTS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(RUNS)
	$(BIN)/python -m benchmarks

ui: $(RUNS)
	$(BIN)/nnexp ui

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache
