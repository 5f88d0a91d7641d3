# `make demo` and `make test` set everything up on Debian or Ubuntu with Python 3.11 or newer.

TORCH ?= torch==2.13.0
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
OUTPUT ?= demo_output
WORKERS ?= auto

# Without a display, Xvfb is used.
XVFB = $(if $(DISPLAY)$(WAYLAND_DISPLAY),,xvfb-run -a)

.PHONY: help setup system demo test lint docs docs-check format clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

setup: system $(VENV)/.installed ## create the virtual environment, install system libraries

system:
	@sh .ci/system-libraries

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "Python's venv module is missing; install it: apt-get install python3-venv" >&2; exit 2; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable '.[all,phantoms,studies,docs,dev]'
	@touch $@

demo: setup ## open the viewer on the sample case; without a display, write pictures to demo_output/
	$(if $(XVFB),$(XVFB) $(BIN)/napari-ciml demo --output $(OUTPUT),$(BIN)/napari-ciml demo)

lint: $(VENV)/.installed ## run ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# One thread per process: oversubscribed threads make the tests many times slower.
test: setup lint ## run ruff, mypy and pytest on all cores
	PYTHONUTF8=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist worksteal

docs: $(VENV)/.installed ## build the documentation in site/; needs no network once set up
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@! grep -rlE '<(script|link|img)[^>]* (src|href)="(https?:)?//' site --include='*.html' || \
		{ echo "These pages load files from elsewhere." >&2; exit 2; }

docs-check: $(VENV)/.installed ## run the commands of the documentation that take seconds
	$(BIN)/python .ci/run-documented-commands.py

format: $(VENV)/.installed ## format the code with ruff
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## remove the environment and all build products
	rm -rf $(VENV) $(OUTPUT) build dist site .pytest_cache .mypy_cache .ruff_cache
