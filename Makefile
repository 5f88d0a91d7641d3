# `make demo` and `make test` do all the set-up themselves, on a bare Debian or Ubuntu with Python 3.11 or newer.

TORCH ?= torch==2.13.0
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
OUTPUT ?= demo_output
WORKERS ?= auto

# Without a display everything is drawn on a virtual one.
XVFB = $(if $(DISPLAY)$(WAYLAND_DISPLAY),,xvfb-run -a)

.PHONY: help setup system demo test lint docs docs-check format clean

help: ## say what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

setup: system $(VENV)/.installed ## virtual environment and system libraries

system:
	@sh .ci/system-libraries

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "Python's venv module is missing; install it: apt-get install python3-venv" >&2; exit 2; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable '.[all,phantoms,studies,dev]'
	@touch $@

demo: setup ## the viewer on the sample case; without a display, pictures in demo_output/
	$(if $(XVFB),$(XVFB) $(BIN)/napari-ciml demo --output $(OUTPUT),$(BIN)/napari-ciml demo)

lint: $(VENV)/.installed ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Each process gets one thread: processes whose threads wait for each other take many times as long.
test: setup lint ## everything that must hold, on all cores
	PYTHONUTF8=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist worksteal

docs: $(VENV)/.installed ## the documentation as a site in site/; needs no network once set up
	$(BIN)/python -c 'import mkdocs, mkdocstrings' 2>/dev/null || $(BIN)/python -m pip install --quiet --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@! grep -rlE '<(script|link|img)[^>]* (src|href)="(https?:)?//' site --include='*.html' || \
		{ echo "These pages load files from elsewhere." >&2; exit 2; }

docs-check: $(VENV)/.installed ## run the commands of the documentation that take seconds
	$(BIN)/python .ci/run-documented-commands.py

format: $(VENV)/.installed ## let ruff put the code in order
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## remove what was made
	rm -rf $(VENV) $(OUTPUT) build dist site .pytest_cache .mypy_cache .ruff_cache
