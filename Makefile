VENV  ?= .venv
SCALE ?= quick
JOBS  ?= 2
PY    := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help book pdf test check clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

book: $(VENV)/.book  ## install, execute the chapters, render _build/html (SCALE=quick|paper, JOBS=2)
	@$(PY) -m sgdm_lib book --scale $(SCALE) --jobs $(JOBS)

pdf: $(VENV)/.pdf  ## the book, and all of it as one PDF in _build/pdf (needs Chromium)
	@$(PY) -m sgdm_lib book --scale $(SCALE) --jobs $(JOBS) --pdf

test: $(VENV)/.test  ## install what tests need, run all tests
	@$(PY) -m pytest -n $(JOBS)

check: $(VENV)/.test  ## lint, format and types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

clean:  ## remove what was built; the environment stays
	rm -rf _build

$(VENV)/.python: 
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "python3 must be 3.11 or newer, got $$(python3 -V)"; exit 1; }
	@echo "Making $(VENV); the packages take some minutes and about 6 GB the first time"
	@python3 -m venv $(VENV)
	@$(PY) -m pip install --quiet --upgrade pip
	@touch $@

$(VENV)/.book: pyproject.toml | $(VENV)/.python
	@echo "Installing sgdm-lib[book]"
	@$(PY) -m pip install --quiet --editable '.[book]'
	@touch $@

$(VENV)/.pdf: pyproject.toml | $(VENV)/.python
	@echo "Installing sgdm-lib[book,pdf]"
	@$(PY) -m pip install --quiet --editable '.[book,pdf]'
	@touch $@ $(VENV)/.book

$(VENV)/.test: pyproject.toml | $(VENV)/.python
	@echo "Installing sgdm-lib[test]"
	@$(PY) -m pip install --quiet --editable '.[test]'
	@touch $@ $(VENV)/.book $(VENV)/.pdf
