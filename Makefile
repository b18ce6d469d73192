# Needs Python 3.11 or later; everything else is installed in .venv.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
DOCS := .venv/.docs

PAIRS ?= 10000 100000 1000000

.PHONY: help install demo test test-slow benchmark check format reference docs clean

help:
	@echo "make install    create the environment .venv (2 minutes, 1.4 GB); the other targets do this, too"
	@echo "make demo       run nmt demo: a tour with a model of a toy language (2 minutes)"
	@echo "make test       run the tests"
	@echo "make test-slow  run the slow tests (they train models)"
	@echo "make benchmark  measure speed and memory of training (docs/benchmarks.md; 17 minutes on an idle machine)"
	@echo "make check      run the static checks: format, lint, types, layers"
	@echo "make format     format the code"
	@echo "make reference  generate configs/reference.yaml from the code"
	@echo "make docs       build the documentation in site/, with the API; its pages load nothing from the network"
	@echo "make clean      delete caches and build outputs (runs, data and .venv are kept)"

# Updated only when the requirements change.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("make: this Python is older than 3.11; choose a newer one, as in make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev,plots,tensorboard]"
	@touch $@

install: $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/python -m nmt demo

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# They start processes of their own.
test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow -n 2 --dist loadgroup

# Prints Markdown. More pairs take much longer: make benchmark PAIRS="10000 10000000".
benchmark: $(INSTALLED)
	$(BIN)/python scripts/benchmark_training.py --kinds
	$(BIN)/python scripts/benchmark_training.py --grow vocabulary --ways fused bfloat16 --rounds 3 --updates 2
	$(BIN)/python scripts/benchmark_training.py --grow hidden --ways fused bfloat16 --rounds 3 --updates 2
	$(BIN)/python scripts/benchmark_training.py --grow length --ways fused bfloat16 --rounds 3 --updates 2
	$(BIN)/python scripts/benchmark_ranks.py
	$(BIN)/python scripts/measure_training_memory.py
	$(BIN)/python scripts/measure_cache_memory.py --pairs $(PAIRS)
	@if test -d data/multi30k; then set -x; \
		$(BIN)/python scripts/measure_data_loading.py configs/multi30k/de_en.yaml training.batch_tokens=4000; \
	else echo "data/multi30k: not found, so padding and data loading are skipped; run scripts/prepare_multi30k.py"; fi

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

reference: $(INSTALLED)
	$(BIN)/python scripts/make_reference.py configs/reference.yaml

$(DOCS): $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[docs]"
	@touch $@

docs: $(DOCS)
	$(BIN)/mkdocs build --strict
	$(BIN)/python -m pytest -q tests/integration/test_site.py

clean:
	rm -rf build dist site nmt.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find nmt scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
