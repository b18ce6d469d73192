# Everything that is made goes into .venv; a Python of at least 3.11 is all that must be there.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help install demo test check format reference clean

help:
	@echo "make install    make the environment .venv (2 minutes, 1.4 GB); the others do so too"
	@echo "make demo       train, score and look into a model of a toy language (2 minutes)"
	@echo "make test       run the tests"
	@echo "make check      lint, types, layers"
	@echo "make format     format the code"
	@echo "make reference  write configs/reference.yaml anew from the code"
	@echo "make clean      delete what the tools left behind (no runs, no data, not .venv)"

# Made anew only when what is to be installed changes.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("nmt needs Python 3.11 or later; give one: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev,plots,tensorboard]"
	@touch $@

install: $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/python scripts/demo.py

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

reference: $(INSTALLED)
	$(BIN)/python -m nmt.config_reference configs/reference.yaml

clean:
	rm -rf build dist nmt.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find nmt scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
