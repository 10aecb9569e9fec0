# Set-up and the daily commands. `make run` and `make test` work on a fresh clone.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := $(VENV)/.installed
OVERRIDES ?=

.PHONY: run test lint bench ui clean

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[test,lint]'
	touch $@

run: $(INSTALLED)
	$(BIN)/nnexp $(OVERRIDES)

test: $(INSTALLED)
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

ui: $(INSTALLED)
	$(BIN)/nnexp ui

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache
