# make demo    set everything up and paint a first picture
# make test    set everything up, then lint, types and tests
# make studio  open all apps in the browser
# make presets PAINTINGS=FOLDER   make the style presets again, for another feature network
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

# Style presets are made for one network: make them again whenever weights/features.safetensors changes.
presets: .venv/installed
	@tail -n +2 weights/presets/paintings.csv | while IFS=, read -r file name title painter year; do \
	  rm -f "weights/presets/$$name.safetensors"; \
	  $(BIN)/creative preset "$(PAINTINGS)/$$file" --name "$$name" --title "$$title" --painter "$$painter" --year "$$year" \
	    -o "weights/presets/$$name.safetensors" || exit 1; \
	done

# One at a time: make voice-latex. What the flags mean says creative train char-rnn --help.
voices: voice-shakespeare voice-tolstoy voice-folk-tunes voice-c-source voice-latex

voice-shakespeare: TRAIN = tinyshakespeare.txt --steps 6000 --hidden-size 384 --dropout 0.4 --weight-drop 0.25
voice-tolstoy: TRAIN = war_and_peace.txt --steps 4000 --hidden-size 240 --dropout 0.1
voice-folk-tunes: TRAIN = folk_tunes_abc.txt --steps 3000 --hidden-size 240 --dropout 0.4 --weight-drop 0.2
voice-c-source: TRAIN = xv6_c_source.txt --steps 2500 --hidden-size 240 --dropout 0.5 --weight-drop 0.3
voice-latex: TRAIN = algebraic_geometry_tex.txt --steps 4000 --hidden-size 240 --dropout 0.1

voice-%: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/creative train char-rnn $(TEXTS)/$(TRAIN) --saved-as int8 -o out/voices/$*
	cp out/voices/$*/best.safetensors weights/voices/$*.safetensors

clean:
	rm -rf .venv build dist out
