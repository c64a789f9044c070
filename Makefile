# Everything a developer needs, from Python 3.11 or newer, pip and make alone: see `make help`.

PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=
BUDGET_ARGS ?=
MUTANTS ?=

VENV := .venv
BIN := $(VENV)/bin
PINS := requirements/constraints.txt
SOURCES := tap_zohovoice sandbox tests demo definitions e2e bench
E2E := .e2e
E2E_PINS := dbt dbt-snowflake meltano target-jsonl target-postgres target-snowflake
UV := $(BIN)/uv
# No progress bars in CI or without a terminal.
QUIET = $(shell test -t 2 && test -z "$$CI" || echo --quiet)
INSTALL = $(UV) pip install $(QUIET) --require-hashes --only-binary :all:
# Pins of the container: a part of those of the developers.
UV_COMPILE = $(UV) pip compile --constraint $(PINS) --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --quiet
, := ,
# One more than there are cores: some tests wait for processes of their own.
WORKERS = $(shell expr $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1) + 1)
# Tests that a newer singer-sdk may break; it is installed to a folder before .venv in the path.
NEXT_TESTS := cli flattening progress rules sdk settings state stream_maps
NEXT := $(CURDIR)/.cache/next-sdk
DLT := .cache/bench/dlt
DLT_PINS := requirements/bench/dlt.txt
SITE := .cache/site-tools
SITE_PINS := requirements/site.txt
MUTMUT := .cache/mutmut
MUTMUT_PINS := requirements/mutants.txt
PAGES := README.md CONTRIBUTING.md CHANGELOG.md docs dbt/README.md sandbox/README.md

# Caches of uv and pip are in the checkout.
export UV_CACHE_DIR := $(CURDIR)/.cache/uv
# uv trusts the certificate authorities of the system, because a proxy may have its own.
export UV_SYSTEM_CERTS ?= 1
export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PIP_REQUIRE_VIRTUALENV := 0
export PIP_USER := 0
# Compiled modules are kept. Otherwise each process of a test compiles the tap again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup demo test next simulate mutants e2e lint definitions site bench budget pins clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "make %-11s  %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.lint ## Install all dependencies into .venv; demo, test and lint install their own part
	@:

demo: $(VENV)/.demo $(E2E)/dbt/.pins ## Run the tap from the sandbox into DuckDB, build the dbt models, and check the rows
	@$(BIN)/python -c 'import duckdb' 2>/dev/null || { \
		echo "The demo needs Python 3.11 to 3.13 for target-duckdb. Select one: make clean demo PYTHON=python3.12" >&2; \
		exit 1; }
	@$(BIN)/python demo/demo.py

test: $(VENV)/.test ## Run the tests; PYTEST_ARGS='-k name' selects tests
	@$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal -m 'not simulation' $(PYTEST_ARGS)

next: $(VENV)/.test ## Run the tests of the SDK integration with the newest singer-sdk, including pre-releases
	@rm -rf $(NEXT)
	@$(UV) pip install --quiet --prerelease allow --no-deps --target $(NEXT) singer-sdk
	@PYTHONPATH=$(NEXT) $(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal \
		-p no:cacheprovider $(NEXT_TESTS:%=tests/integration/test_%.py) $(PYTEST_ARGS)

simulate: $(VENV)/.test ## Run 1,000 generated scenarios in virtual time, and more; HYPOTHESIS_PROFILE=nightly: 20,000
	@$(BIN)/pytest --numprocesses auto --dist worksteal -m simulation $(PYTEST_ARGS)

mutants: $(VENV)/.test $(MUTMUT)/.done ## Run mutation tests of the core; MUTANTS='tap_zohovoice.pagination*' selects modules
	@HYPOTHESIS_PROFILE=unshrunk PYTHONPATH=$(CURDIR)/$(MUTMUT) \
		$(BIN)/python -m mutmut run $(MUTANTS)
	@PYTHONPATH=$(CURDIR)/$(MUTMUT) $(BIN)/python -m mutmut results --all true | awk ' \
		/: not checked$$/ { next } \
		{ sub(/\.x[^.]*$$/, "", $$1); tried[$$1]++; caught[$$1] += $$2 ~ /killed|timeout/ } \
		END { for (name in tried) printf "%3d %% of %4d caught in %s\n", \
			100 * caught[name] / tried[name], tried[name], name }' | sort -k 7
	@echo "Names of surviving mutants: PYTHONPATH=$(MUTMUT) $(BIN)/python -m mutmut results"

e2e: $(VENV)/.test $(E2E)/meltano/.pins $(E2E)/dbt-snowflake/.pins ## Run the tap with Meltano into real targets, and compare the loaded rows
	@$(BIN)/python -c 'import duckdb' 2>/dev/null || { \
		echo "make e2e needs Python 3.11 to 3.13 for target-duckdb. Select one: make clean e2e PYTHON=python3.12" >&2; \
		exit 1; }
	@$(BIN)/python -m e2e.project
	@$(BIN)/pytest e2e $(PYTEST_ARGS)

lint: $(VENV)/.lint ## Check style, types, sizes, dependencies, workflows, and that definitions are up to date
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES)
	@$(BIN)/mypy --no-error-summary $(SOURCES)
	@$(BIN)/ty check --no-progress --python $(VENV) $(SOURCES)
	@$(BIN)/deptry --no-ansi --extend-exclude 'bench|definitions|demo|e2e|sandbox|tests' .
	@cd sandbox && ../$(BIN)/deptry --no-ansi --extend-exclude tests .
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache
	@$(BIN)/python -m definitions --check
	@$(BIN)/python -m definitions.sizes
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/zizmor --offline --no-progress --quiet .
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms \
		$(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-config \
		.github/ISSUE_TEMPLATE/config.yml
	@echo "Style, types, sizes, dependencies, definitions and workflows are OK."

definitions: $(VENV)/.test ## Generate meltano.yml, hub/ and the tables of the docs from the tap's schemas
	@$(BIN)/python -m definitions

site: $(SITE)/.done ## Build the documentation site in .cache/site, and check its links
	@rm -rf .cache/pages .cache/site
	@mkdir -p .cache/pages
	@tar -cf - $(PAGES) | tar -xf - -C .cache/pages
	@$(SITE)/bin/zensical build --strict

bench: $(VENV)/.tap $(DLT)/.done ## Compare the tap's speed with other tools; quick: BENCH_ARGS='--rows 20000 --repeat 1'
	@$(BIN)/python bench/bench.py --dlt $(DLT)/bin/python $(BENCH_ARGS)
	@$(BIN)/python bench/files.py $(BENCH_FILES_ARGS)

budget: $(VENV)/.tap ## Simulate the requests of first runs; one size only: BUDGET_ARGS='--calls 10000'
	@$(BIN)/python bench/budget.py $(BUDGET_ARGS)

pins: $(VENV)/.uv ## Pin the newest versions with their hashes
	@$(UV) pip compile pyproject.toml --universal --python-version 3.11 --all-extras \
		--group dev --generate-hashes --upgrade --no-header \
		--quiet --output-file $(PINS)
	@$(UV_COMPILE) pyproject.toml --extra redis --output-file requirements/runtime.txt
	@$(UV_COMPILE) --group build --output-file requirements/build.txt
	@for name in $(E2E_PINS); do \
		$(UV) pip compile --group e2e-$$name --universal --python-version 3.11 \
			--generate-hashes --upgrade --no-header --quiet \
			--output-file requirements/e2e/$$name.txt || exit 1; \
	done
	@$(UV) pip compile --group site --universal --python-version 3.11 \
		--generate-hashes --upgrade --no-header --no-annotate \
		--quiet --output-file $(SITE_PINS)
	@$(UV) pip compile --group mutants --constraint $(PINS) --universal --python-version 3.11 \
		--generate-hashes --upgrade --no-header --no-annotate \
		--quiet --output-file $(MUTMUT_PINS)
	@echo dlt | $(UV) pip compile - --universal --python-version 3.11 \
		--generate-hashes --upgrade --no-header --no-annotate \
		--quiet --output-file $(DLT_PINS)
	@echo "Pinned in requirements/. The next target installs the new versions."

clean: ## Remove everything that make and the tools created
	@rm -rf $(VENV) .cache .demo $(E2E) .hypothesis .mypy_cache .pytest_cache .ruff_cache dist \
		mutants sandbox/dist
	@find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

# Install a part of the pins. Arguments: purpose, size and time, options that select the part.
define install_part
	@echo "Setting up $(VENV) for $(1): about $(2) ..."
	@$(INSTALL) --python $(BIN)/python --constraint $(PINS) --requirement pyproject.toml $(3) || { \
		echo "uv failed. pip installs all pinned packages, which takes minutes ..." >&2; \
		"$(PYTHON)" -m pip --python $(BIN)/python install $(QUIET) --require-hashes \
			--only-binary :all: --requirement $(PINS); }
endef

# Create a separate environment. Arguments: purpose, size and time.
define environment
	@echo "Setting up $(@D) for $(1): about $(2) ..."
	@rm -rf $(@D)
	@$(UV) venv --quiet --python $(BIN)/python $(@D)
	@$(INSTALL) --python $(@D)/bin/python --requirement $<
endef

$(VENV)/.uv: $(PINS)
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
		echo "$(PYTHON) was not found. Install Python 3.11 or newer, or select it: make PYTHON=python3.12" >&2; \
		exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is older than Python 3.11. Select another: make PYTHON=python3.12" >&2; \
		exit 1; }
	@echo "Setting up $(VENV) with uv, which installs the rest: about 25 MB, 10 s ..."
	@rm -rf $(VENV)
	@"$(PYTHON)" -m venv --without-pip $(VENV)
	@awk '/^[^ ]/ { wanted = /^uv==/ } wanted' $(PINS) >$(VENV)/uv.txt
	@"$(PYTHON)" -m pip --python $(BIN)/python install $(QUIET) --require-hashes --only-binary :all: \
		--requirement $(VENV)/uv.txt
	@touch $@

$(VENV)/.tap: $(VENV)/.uv pyproject.toml sandbox/pyproject.toml
	$(call install_part,the tap and the sandbox,25 MB$(,) 5 s,--group build --group sandbox)
	@$(UV) pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps \
		--editable . --editable ./sandbox
	@touch $@

$(VENV)/.demo: $(VENV)/.tap
	$(call install_part,the demo,25 MB$(,) 5 s,--group demo)
	@touch $@

$(VENV)/.test: $(VENV)/.tap
	$(call install_part,the tests,90 MB$(,) 10 s,--all-extras \
		--group definitions --group demo --group test)
	@touch $(VENV)/.demo $@

$(VENV)/.lint: $(VENV)/.tap
	$(call install_part,the tests and the checks,180 MB$(,) 20 s,--all-extras --group dev)
	@touch $(VENV)/.demo $(VENV)/.test $@

# dlt, for the comparison in the bench.
$(DLT)/.done: $(DLT_PINS) | $(VENV)/.uv
	$(call environment,the bench,60 MB$(,) 10 s) || { \
		echo "dlt cannot be installed; the bench runs without it." >&2; rm -rf $(DLT)/bin; }
	@touch $@

$(SITE)/.done: $(SITE_PINS) | $(VENV)/.uv
	$(call environment,the site,20 MB$(,) 5 s)
	@touch $@

# mutmut, with the dependencies that are not in .venv.
$(MUTMUT)/.done: $(MUTMUT_PINS) | $(VENV)/.uv
	@echo "Setting up $(MUTMUT) for make mutants: about 20 MB, 5 s ..."
	@rm -rf $(MUTMUT)
	@$(INSTALL) --python $(BIN)/python --no-deps --target $(MUTMUT) --requirement $<
	@touch $@

$(E2E)/%/.pins: requirements/e2e/%.txt $(VENV)/.uv
	$(call environment,$*,50 to 100 MB$(,) 10 s)
	@touch $@
