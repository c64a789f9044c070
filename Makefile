# Everything a developer needs, from Python 3.11 or newer, pip and make alone: see `make help`.

PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=
BUDGET_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PINS := requirements/constraints.txt
SOURCES := tap_zohovoice sandbox tests demo definitions e2e bench
E2E := .e2e
E2E_PINS := dbt dbt-snowflake meltano target-jsonl target-postgres target-snowflake
# What the container needs, at the versions that are pinned already.
UV_COMPILE = $(BIN)/uv pip compile --constraint $(PINS) --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --cache-dir .cache/uv --quiet
# One more than there are cores: some tests wait for processes of their own.
WORKERS = $(shell expr $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1) + 1)
# A newer singer-sdk, which precedes that of .venv in the path.
# What the SDK does can break these; the others run its code no differently.
NEXT_TESTS := call_logs cli flattening rules sdk settings state stream_maps
NEXT := $(CURDIR)/.cache/next-sdk
DLT := .cache/bench/dlt
DLT_PINS := requirements/bench/dlt.txt
SITE := .cache/site-tools
SITE_PINS := requirements/site.txt
PAGES := README.md CONTRIBUTING.md CHANGELOG.md docs dbt/README.md sandbox/README.md

# pip keeps to the checkout, and says only what went wrong.
export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PIP_REQUIRE_VIRTUALENV := 0
export PIP_USER := 0
# Compiled modules are kept: without them each process of a test compiles the tap anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup demo test next simulate e2e lint definitions site bench budget pins clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "make %-11s  %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.tap ## Make .venv with everything at its pinned version
	@:

demo: setup ## Run the tap twice from the sandbox into DuckDB, and check what landed
	@$(BIN)/python -c 'import duckdb' 2>/dev/null || { \
		echo "The demo needs Python 3.11 to 3.13, for its target-duckdb; name one: make clean demo PYTHON=python3.12" >&2; \
		exit 1; }
	@$(BIN)/python demo/demo.py

test: setup ## Run the tests; PYTEST_ARGS='-k name' picks some
	@$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal -m 'not simulation' $(PYTEST_ARGS)

next: setup ## Run the tests that meet the SDK with its newest version, pre-releases too
	@rm -rf $(NEXT)
	@$(BIN)/python -m pip install --quiet --pre --no-deps --target $(NEXT) singer-sdk
	@PYTHONPATH=$(NEXT) $(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal \
		-p no:cacheprovider $(NEXT_TESTS:%=tests/integration/test_%.py) $(PYTEST_ARGS)

simulate: setup ## Run 1,000 generated scenarios in virtual time, and more; HYPOTHESIS_PROFILE=nightly: 50,000
	@$(BIN)/pytest --numprocesses auto --dist worksteal -m simulation $(PYTEST_ARGS)

e2e: setup $(E2E)/meltano/.pins $(E2E)/dbt-snowflake/.pins ## Run the tap by Meltano into real targets, and compare what landed
	@$(BIN)/python -c 'import duckdb' 2>/dev/null || { \
		echo "It needs Python 3.11 to 3.13, for its target-duckdb; name one: make clean e2e PYTHON=python3.12" >&2; \
		exit 1; }
	@$(BIN)/python -m e2e.project
	@$(BIN)/pytest e2e $(PYTEST_ARGS)

lint: setup ## Check style, types, dependencies, workflows, and that definitions are up to date
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES)
	@$(BIN)/mypy --no-error-summary $(SOURCES)
	@$(BIN)/ty check --no-progress --python $(VENV) $(SOURCES)
	@$(BIN)/deptry --no-ansi --extend-exclude 'bench|definitions|demo|e2e|sandbox|tests' .
	@cd sandbox && ../$(BIN)/deptry --no-ansi --extend-exclude tests .
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache
	@$(BIN)/python -m definitions --check
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/zizmor --offline --no-progress --quiet .
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms \
		$(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-config \
		.github/ISSUE_TEMPLATE/config.yml
	@echo "No complaints about style, types, dependencies, definitions and workflows."

definitions: setup ## Write meltano.yml, hub/ and the tables of the docs from the tap's own schemas
	@$(BIN)/python -m definitions

site: $(SITE)/.done ## Build the documentation as a site in .cache/site, and check its links
	@rm -rf .cache/pages .cache/site
	@mkdir -p .cache/pages
	@tar -cf - $(PAGES) | tar -xf - -C .cache/pages
	@$(SITE)/bin/zensical build --strict

bench: setup $(DLT)/.done ## Compare the tap's speed with others'; BENCH_ARGS='--rows 20000 --repeat 1' is quick
	@$(BIN)/python bench/bench.py --dlt $(DLT)/bin/python $(BENCH_ARGS)
	@$(BIN)/python bench/files.py $(BENCH_FILES_ARGS)

budget: setup ## Simulate what first runs cost; BUDGET_ARGS='--calls 10000' for some sizes only
	@$(BIN)/python bench/budget.py $(BUDGET_ARGS)

pins: setup ## Choose the newest versions and pin them with their hashes
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --all-extras \
		--group dev --generate-hashes --upgrade --no-header \
		--cache-dir .cache/uv --quiet --output-file $(PINS)
	@$(UV_COMPILE) pyproject.toml --extra redis --output-file requirements/runtime.txt
	@$(UV_COMPILE) --group build --output-file requirements/build.txt
	@for name in $(E2E_PINS); do \
		$(BIN)/uv pip compile --group e2e-$$name --universal --python-version 3.11 \
			--generate-hashes --upgrade --no-header \
			--cache-dir .cache/uv --quiet --output-file requirements/e2e/$$name.txt || exit 1; \
	done
	@$(BIN)/uv pip compile --group site --universal --python-version 3.11 \
		--generate-hashes --upgrade --no-header --no-annotate \
		--cache-dir .cache/uv --quiet --output-file $(SITE_PINS)
	@echo dlt | $(BIN)/uv pip compile - --universal --python-version 3.11 \
		--generate-hashes --upgrade --no-header --no-annotate \
		--cache-dir .cache/uv --quiet --output-file $(DLT_PINS)
	@echo "Pinned in $(PINS) and the folders beside it; the next target installs it."

clean: ## Remove everything that make and the tools made
	@rm -rf $(VENV) .cache .demo $(E2E) .hypothesis .mypy_cache .pytest_cache .ruff_cache dist \
		sandbox/dist
	@find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.pins: $(PINS)
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
		echo "There is no $(PYTHON); install Python 3.11 or newer, or name it: make PYTHON=python3.12" >&2; \
		exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, $(PYTHON) is older; name another: make PYTHON=python3.12" >&2; \
		exit 1; }
	@echo "Setting up $(VENV), once ..."
	@rm -rf $(VENV)
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: --requirement $(PINS)
	@touch $@

# The bench's other contestant, which shares no environment with the tap.
$(DLT)/.done: $(DLT_PINS) | setup
	@rm -rf $(DLT)
	@"$(PYTHON)" -m venv $(DLT)
	@$(DLT)/bin/python -m pip install --quiet --require-hashes --only-binary :all: --requirement $< || { \
		echo "dlt does not install here; the bench goes on without it." >&2; rm -rf $(DLT)/bin; }
	@touch $@

# The generator of the site shares no environment with the tap either.
$(SITE)/.done: $(SITE_PINS) | setup
	@rm -rf $(SITE)
	@"$(PYTHON)" -m venv $(SITE)
	@$(SITE)/bin/python -m pip install --quiet --require-hashes --only-binary :all: --requirement $<
	@touch $@

$(VENV)/.tap: $(VENV)/.pins pyproject.toml sandbox/pyproject.toml
	@$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps \
		--editable . --editable ./sandbox
	@touch $@

$(E2E)/%/.pins: $(VENV)/.pins requirements/e2e/%.txt
	@rm -rf $(@D)
	@$(BIN)/uv venv --quiet --python $(BIN)/python $(@D)
	@$(BIN)/uv pip install --quiet --python $(@D)/bin/python --cache-dir .cache/uv \
		--require-hashes --only-binary :all: --requirement requirements/e2e/$*.txt
	@touch $@
