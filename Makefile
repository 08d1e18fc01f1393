# make demo    set everything up and try each app once
# make test    set everything up, then lint, types and tests
# make studio  open all apps in the browser
# make dependents DATA=FOLDER     make anew what was made with another feature network: presets, model card, captioners, painters, pictures
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

# One at a time: make voice-latex. What the flags mean says creative train char-rnn --help.
voices: voice-shakespeare voice-tolstoy voice-folk-tunes voice-c-source voice-latex

voice-shakespeare: TEXT = tinyshakespeare.txt
voice-shakespeare: FIRST = --steps 9700 --batch-size 16 --dropout 0.4 --weight-drop 0.25
voice-shakespeare: THEN = --steps 4500 --batch-size 16 --learning-rate 0.002 --warmup 50 --weight-drop 0.15
voice-tolstoy: TEXT = war_and_peace.txt
voice-tolstoy: FIRST = --steps 3500 --batch-size 16 --hidden-size 240 --dropout 0.1
voice-tolstoy: THEN = --steps 1200 --batch-size 16 --learning-rate 0.002 --warmup 50 --dropout 0.05
voice-folk-tunes: TEXT = folk_tunes_abc.txt
voice-folk-tunes: FIRST = --steps 2000 --hidden-size 240 --dropout 0.4 --weight-drop 0.2
voice-folk-tunes: THEN = --steps 700 --batch-size 16 --learning-rate 0.002 --warmup 50 --dropout 0.15
voice-c-source: TEXT = xv6_c_source.txt
voice-c-source: FIRST = --steps 1800 --batch-size 16 --learning-rate 0.004 --hidden-size 240
voice-latex: TEXT = algebraic_geometry_tex.txt
voice-latex: FIRST = --steps 6000 --batch-size 16 --hidden-size 240 --dropout 0.1

LEARN = OMP_NUM_THREADS=1 $(BIN)/creative train char-rnn $(TEXTS)/$(TEXT) --saved-as int8
voice-%: .venv/installed
	$(LEARN) $(FIRST) -o out/voices/$*
	$(if $(THEN),$(LEARN) $(THEN) --start-from out/voices/$* -o out/voices/$*-then)
	cp out/voices/$*$(if $(THEN),-then)/best.safetensors weights/voices/$*.safetensors

clean:
	rm -rf .venv build dist out
