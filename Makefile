# The two commands of the README are `make demo` and `make test`; each sets up what it needs.
PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
DOCS := $(wildcard README.md docs/*.md)
SCHEMAS := trace results

ifdef UV
MAKE_VENV := uv venv --quiet --allow-existing --seed --no-python-downloads --python $(PYTHON) $(VENV)
INSTALL := uv pip install --quiet --python $(BIN)/python
else
MAKE_VENV := $(PYTHON) -m venv $(VENV)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

# Help texts are part of the documentation: they must not depend on the terminal.
COG := COLUMNS=80 NO_COLOR=1 TERM=dumb $(BIN)/cog

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo studio test test-slow test-vllm test-formats test-train test-ray learn check lint types format docs constraints bench build clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: $(VENV)/.demo ## run the demonstration (ARGS="..." adds options)
	$(BIN)/opencodeinterpreter demo $(ARGS)

studio: $(VENV)/.dev ## serve the graphs for LangGraph Studio, with the command's store
	LANGGRAPH_CLI_NO_ANALYTICS=1 LANGGRAPH_NO_VERSION_CHECK=true \
		$(BIN)/langgraph dev --no-browser --no-reload --n-jobs-per-worker 10 $(ARGS)

test: $(VENV)/.dev ## run the tests (ARGS="-k replay" picks some)
	$(BIN)/pytest -n logical --maxprocesses 4 $(ARGS)

test-slow: $(VENV)/.dev ## run the long tests: attacks that take time, thousands of runs
	$(BIN)/pytest -n 2 -m slow $(ARGS)

test-vllm: ## run the tests with the real vLLM on the CPU, in a separate environment
	@$(PYTHON) scripts/test_vllm.py .venv-vllm $(ARGS)

test-formats: $(VENV)/.dev ## let other tools read what `export` and `evaluate` write
	@$(BIN)/python scripts/test_formats.py .venv-formats $(ARGS)

test-train: ## train tiny models on the CPU, in a separate environment
	@$(PYTHON) scripts/with_train.py .venv-train -m pytest -m train -n 0 tests/train $(ARGS)

test-ray: ## run batches on a cluster of Ray on this machine, in a separate environment
	@$(PYTHON) scripts/test_ray.py .venv-ray $(ARGS)

learn: ## teach tiny models from scratch to use feedback, on the CPU (ARGS=small for a minute of it)
	@$(PYTHON) scripts/with_train.py .venv-train -m learn $(or $(ARGS),full)

check: lint types ## lint and types

lint: $(VENV)/.dev ## check style, imports between rooms, generated parts of the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache
	$(if $(DOCS),$(COG) --check --diff --check-fail-msg "run: make docs" $(DOCS))
	@for name in $(SCHEMAS); do $(BIN)/python scripts/schema.py $$name | \
		cmp - docs/schemas/$$name.schema.json || { echo "run: make docs"; exit 1; }; done

types: $(VENV)/.dev ## check types, tests included
	$(BIN)/mypy
	$(BIN)/basedpyright --project pyproject.toml

format: $(VENV)/.dev ## fix imports and layout
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev ## regenerate parts of the documentation
	$(if $(DOCS),$(COG) -r $(DOCS))
	@for name in $(SCHEMAS); do \
		$(BIN)/python scripts/schema.py $$name > docs/schemas/$$name.schema.json; done

bench: $(VENV)/.dev ## measure speed, as ratios within one run
	@set -e; for file in $(wildcard bench/*.py); do echo "== $$file"; $(BIN)/python $$file; done

build: $(VENV)/.dev ## build the wheel and the source archive into dist/
	$(BIN)/python -m build

setup: $(VENV)/.dev ## only set up the development environment

constraints: ## update the pinned versions (needs uv)
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links \
		--output-file constraints.txt pyproject.toml

clean: ## remove the environment and everything built
	rm -rf $(VENV) .venv-vllm .venv-formats .venv-train .venv-ray build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .langgraph_api
	rm -rf opencodeinterpreter.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@test -d opencodeinterpreter/cli || { echo "error: opencodeinterpreter/cli should be a symbolic link, and is a file; run: git config core.symlinks true && git checkout -- opencodeinterpreter" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: %s is Python %s, but 3.11 or later is needed; name another: make PYTHON=python3.12" % (sys.executable, sys.version.split()[0]))'
	@echo "Making $(VENV) with $(PYTHON)"
	@$(MAKE_VENV)
	@touch $@

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "Installing what the demonstration needs into $(VENV)"
	@$(INSTALL) -c constraints.txt -e '.[local]'
	@touch $@

# The development set includes what the demonstration needs.
$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "Installing the development set into $(VENV)"
	@$(INSTALL) -c constraints.txt -e '.[dev]'
	@touch $(VENV)/.demo $@
