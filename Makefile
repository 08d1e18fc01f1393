# make demo    set everything up and paint a first picture
# make test    set everything up, then lint, types and tests
# make studio  open all apps in the browser
# make dependents DATA=FOLDER     make anew what was made with another feature network: presets, model card, pictures
# make dependents ONLY=presets    make these anew; `python -m apps._dependents` lists what there is
# make voices TEXTS=FOLDER        train the bundled voices again: an hour and a half of one core

PYTHON ?= python3
BIN := .venv/bin
export OMP_WAIT_POLICY ?= PASSIVE

PAINTINGS ?= ../shared/data/paintings
TEXTS ?= ../shared/data/text

.PHONY: demo test studio presets voices lint types pytest chromium clean
.DEFAULT_GOAL := demo

demo: .venv/installed
	@$(BIN)/creative demo

studio: .venv/installed
	@$(BIN)/creative studio

test: lint types pytest

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed-dev
	$(BIN)/mypy

pytest: .venv/installed-dev chromium
	$(BIN)/pytest

# The end-to-end tests drive a real browser; without one they are skipped, and say so.
chromium:
	@command -v chromium >/dev/null 2>&1 || { \
	  echo "Chromium is missing; installing it for the browser tests."; \
	  { [ "$$(id -u)" = 0 ] && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
	  || echo "Chromium could not be installed (that needs root and apt): the browser tests will be skipped."; }

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "creative needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12"; exit 2; }
	@echo "Creating the environment .venv"
	@$(PYTHON) -m venv .venv || { echo "Python's venv is missing. On Debian: apt install python3-venv"; exit 2; }

.venv/installed: pyproject.toml | .venv/bin/pip
	@echo "Installing creative and what it needs (PyTorch is large: about 5 GB on disk, a minute or more)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

.venv/installed-dev: pyproject.toml | .venv/installed
	@echo "Installing the tools for tests"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# Whatever depends on weights/features.safetensors knows which network it was made with (apps/_dependents.py).
dependents: .venv/installed
	@$(BIN)/python -m apps._dependents "$(DATA)" $(ONLY)

clean:
	rm -rf .venv build dist out
