# Needs Python 3.11 or later; everything else is installed in .venv.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
DOCS := .venv/.docs
BROWSER := .venv/.browser
AXE := 4.14.1
AXE_SHA512 := 1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5

PAIRS ?= 10000 100000 1000000

.PHONY: help install demo test test-slow test-pages benchmark check format reference tour pages docs browser clean

help:
	@echo "make install    create the environment .venv (2 minutes, 1.4 GB); the other targets do this, too"
	@echo "make demo       run nmt demo: a tour with a model of a toy language (2 minutes)"
	@echo "make test       run the tests"
	@echo "make test-pages run the tests of pages (they need Chromium and npm)"
	@echo "make test-slow  run the slow tests (they train models)"
	@echo "make benchmark  measure speed and memory of training (docs/benchmarks.md; 17 minutes on an idle machine)"
	@echo "make check      run the static checks: format, lint, types, layers"
	@echo "make format     format the code"
	@echo "make reference  generate configs/reference.yaml from the code"
	@echo "make tour       fill docs/tour.md with code of the package, and write its notebook"
	@echo "make pages      train the example models, and write the example pages and the numbers of the tour (15 minutes)"
	@echo "make docs       build the documentation in site/, with the API; its pages load nothing from the network"
	@echo "make browser    install what the tests of pages in a browser need, besides Chromium and npm"
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

# A worker runs whole files, so it makes their fixtures once; the last files are fast.
test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# They start processes of their own.
test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow -n 2

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

# The code in docs/tour.md, and its notebook.
tour: $(INSTALLED)
	$(BIN)/python scripts/make_tour.py docs/tour.md

# The example pages of the documentation; they come from trainings, so they differ a little.
pages: $(INSTALLED)
	test -d runs/toy || $(BIN)/python -m nmt demo
	test -d data/pictures || $(BIN)/python scripts/prepare_pictures.py
	test -d runs/pictures || $(BIN)/python -m nmt train configs/pictures.yaml
	$(BIN)/python scripts/make_pages.py
	$(BIN)/python scripts/make_tour.py docs/tour.md --run

$(DOCS): $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[docs]"
	@touch $@

docs: $(DOCS)
	$(BIN)/mkdocs build --strict
	$(BIN)/python -m pytest -q tests/integration/test_site.py

# Playwright without a browser (it uses the installed Chromium), and axe-core, which checks pages.
# axe-core has another licence (MPL-2.0), so it is never a part of the repository.
$(BROWSER): $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[browser]"
	rm -rf .venv/axe && mkdir .venv/axe
	cd .venv/axe && npm pack --silent axe-core@$(AXE)
	cd .venv/axe && echo "$(AXE_SHA512)  axe-core-$(AXE).tgz" | sha512sum --check --quiet
	cd .venv/axe && tar xzf axe-core-$(AXE).tgz package/axe.min.js package/LICENSE
	@touch $@

test-pages: $(BROWSER)
	NMT_REQUIRE_BROWSER=1 $(BIN)/python -m pytest -m "browser and not slow" -n 2 --dist loadfile --no-loadscope-reorder

browser: $(BROWSER)
	chromium --version
	$(BIN)/python -m playwright --version

clean:
	rm -rf build dist site nmt.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find nmt scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
