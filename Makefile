# Every target does its own set-up: `make demo` and `make test` work on a fresh clone.
# Needed: python3 (3.11 or newer) with venv and pip, make (GNU 3.81 or newer), and a package registry that pip knows.
# Another interpreter: `make test PYTHON=python3.13` (it gets an environment of its own, .venv-3.13).

PYTHON ?= python3
ARGS ?=
JOBS ?= 2
VERSIONS ?= 3.11 3.12 3.13 3.14

suffix := $(patsubst python%,%,$(notdir $(PYTHON)))
VENV ?= $(if $(filter 3,$(suffix)),.venv,.venv-$(suffix))
python := $(VENV)/bin/python
ready := $(VENV)/.ready
# Compiled once: where Python is told not to write what it compiled, each command would do it again.
roots := core telemetry streams agents projections simulations replay web satellites console

# The Rust core, where there is cargo: a minute the first time. Python serves without it.
native = if ! command -v cargo >/dev/null; then \
  echo "make: no cargo was found, so there is no Rust core; Python alone serves"; \
  elif $(python) -m pip install --quiet ./native >$(VENV)/native.log 2>&1; then \
  echo "make: the Rust core is built; MOONLET_NATIVE=off does without it"; \
  else echo "make: the Rust core could not be built ($(VENV)/native.log says why); Python alone serves"; fi

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all check docs chaos planted simulate determinism laws picture porcupine mutants fidelity format bench native

help: ## this list
	@awk -F ': .*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(ready) ## the environment in .venv (every target does it when needed)

$(ready): pyproject.toml $(wildcard native/*.toml native/*/*.toml native/*/src/*.rs)
	@command -v $(PYTHON) >/dev/null || { \
	  echo "make: $(PYTHON) was not found. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $(PYTHON) is $$($(PYTHON) --version 2>&1); Moonlet needs Python 3.11 or newer. Name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  v=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  echo "make: $(PYTHON) has no venv. Install the package python3-venv (for this interpreter: python$$v-venv), e.g." >&2; \
	  echo "      sudo apt-get install python3-venv" >&2; exit 1; }
	@echo "make: setting up $(VENV) (once, a minute or so)"
	@$(PYTHON) -m venv $(VENV)
	@$(python) -m pip install --quiet -e '.[dev]'
	@$(python) -m pip install --quiet --only-binary uvloop -e '.[uvloop]' 2>/dev/null \
	  || echo "make: no wheel of uvloop for this Python; asyncio's own loop serves"
	@$(native)
	@$(python) -m compileall -q $(roots)
	@touch $@

demo: $(ready) ## eight satellites through the night of the depeg; ARGS=--kill kills the host in mid-run
	@$(VENV)/bin/moonlet demo $(ARGS)

test: $(VENV)/.browser ## all tests of every change; ARGS="tests/core -k clock" picks some
	@$(python) -m compileall -q $(roots)
	@$(python) -m pytest -n $(JOBS) --dist loadgroup $(or $(ARGS),--ignore=tests/simulations)
	@test -n "$(ARGS)" || $(python) -m pytest -n $(JOBS) --dist loadgroup tests/simulations

# Node builds the page of the web console, and Chromium looks at it. Whoever has no npm does without: CI does not.
$(VENV)/.browser: $(ready) tests/web/package.json
	@$(python) -m pip install --quiet -e '.[node,browser]' && $(python) -m tests.tools.browser && touch $@ \
	  || { echo "make: no browser could be installed here; tests of the page say so"; test -z "$$CI"; }

test-all: ## the tests on every Python of VERSIONS that is installed (PATH or ~/.pyenv)
	@for v in $(VERSIONS); do \
	  found=; \
	  for p in python$$v $$HOME/.pyenv/versions/$$v.*/bin/python$$v; do \
	    if $$p -c 'import venv, ensurepip' 2>/dev/null; then found=$$p; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then echo "make: Python $$v is not installed here; left out"; continue; fi; \
	  echo "make: Python $$v ($$found)"; \
	  $(MAKE) --no-print-directory test PYTHON="$$found" VENV=.venv-$$v || exit 1; \
	done

check: $(ready) ## format, lint, layers, types (the README's code too), links, planted faults, house rules
	@$(python) -m ruff format --check .
	@$(python) -m ruff check .
	@$(VENV)/bin/lint-imports
	@$(python) -m mypy
	@$(python) -m tests.tools.markdown_types
	@$(python) -m tests.tools.rooms
	@$(python) -m tests.tools.unused
	@$(python) -m pytest -n 0 -q tests/test_docs.py tests/test_exports.py tests/test_house_rules.py tests/test_promises.py tests/test_rooms.py tests/test_unused.py

docs: $(VENV)/.docs ## the site in build/site: the pages and the reference, strictly built, links checked
	@$(python) -m tests.tools.site

$(VENV)/.docs: $(ready)
	@$(python) -m pip install --quiet -e '.[docs]'
	@touch $@

chaos: $(ready) ## kill hosts and servers under load for long; ROUNDS=25 of each
	@MOONLET_CHAOS_ROUNDS=$(or $(ROUNDS),25) $(python) -m pytest -n 2 -q tests/e2e/test_promises_kill.py

planted: $(ready) ## plant each fault of tests/faults in a copy, and see its test fail; ARGS picks some
	@$(python) -m tests.tools.planted $(ARGS)

simulate: $(ready) ## worlds under all faults: SEEDS=10000 of the workshop, BAZAAR_SEEDS=2000, VIEW_SEEDS=1000 with replicas
	@$(VENV)/bin/moonlet sim sweep tests.simulations.workshop:workshop --seeds $(or $(SEEDS),10000) --jobs $(JOBS) $(ARGS)
	@$(VENV)/bin/moonlet sim sweep tests.simulations.bazaar:operation --seeds $(or $(BAZAAR_SEEDS),2000) --jobs $(JOBS) $(ARGS)
	@$(VENV)/bin/moonlet sim sweep tests.projections.test_simulated_replicas:convergence \
	  --seeds $(or $(VIEW_SEEDS),1000) --jobs $(JOBS) $(ARGS)

determinism: $(ready) ## one digest per seed: SEEDS=10000 worlds, each in three processes with other hash seeds
	@$(python) -m tests.simulations.determinism --seeds $(or $(SEEDS),10000) $(ARGS)

porcupine: $(ready) ## histories of WORLDS=200 and REAL=4 runs with killed hosts, judged by Porcupine (needs go)
	@$(python) -m tests.consistency.porcupine --worlds $(or $(WORLDS),200) --real $(or $(REAL),4) $(ARGS)

picture: $(VENV)/.browser ## the night of the depeg in a browser: why Forge sold, by clicks; takes README's picture
	@$(python) -m pytest -q -n 0 tests/web/night_in_browser.py && cp build/screenshots/web.jpg docs/web.jpg

laws: $(ready) ## the laws of convergence, EXAMPLES=100000 for each
	@MOONLET_LAWS_EXAMPLES=$(or $(EXAMPLES),100000) $(python) -m pytest -n $(JOBS) -q tests/projections/test_laws.py -k test_law --timeout=0

mutants: $(ready) ## plant bugs in copies of the tree, and see simulation find each; ARGS="NAME --seconds 600"
	@$(python) -m tests.simulations.mutation --jobs $(JOBS) $(ARGS)

native: $(ready) ## the Rust core: its own tests, lint, and what it reads against Python, CASES=20000 of each
	@command -v cargo >/dev/null || { echo "make: this needs cargo: see rustup.rs" >&2; exit 1; }
	@cd native && cargo fmt --check && cargo clippy --quiet --all-targets -- -D warnings
	@cd native && PROPTEST_CASES=$(or $(CASES),20000) cargo test --quiet --package moonlet-core
	@MOONLET_NATIVE=require MOONLET_NATIVE_EXAMPLES=$(or $(CASES),20000) \
	  $(python) -m pytest -n $(JOBS) -q tests/streams/test_native.py --timeout=0

fidelity: $(ready) ## the simulated JetStream against real servers: 50,000 operations on one, 20,000 on three
	@MOONLET_FIDELITY_OPS=$(or $(OPS),50000) MOONLET_FIDELITY_R3_OPS=$(or $(R3_OPS),20000) \
	  $(python) -m pytest -n 0 -q tests/simulations/jetstream/test_fidelity.py \
	  tests/simulations/jetstream/fault_fidelity.py --timeout=0 $(ARGS)

format: $(ready) ## rewrite the code in the house format
	@$(python) -m ruff format .
	@$(python) -m ruff check --fix .

bench: $(VENV)/.bench ## the table of docs/performance.md; ARGS picks rows
	@$(python) -m tests.benchmarks $(ARGS)

# The libraries we are measured against; a row whose library is missing has no baseline and fails by itself.
$(VENV)/.bench: $(ready)
	@$(python) -m pip install --quiet -e '.[bench]' && touch $@ \
	  || echo "make: the extra 'bench' could not be installed; rows against other libraries will fail"
