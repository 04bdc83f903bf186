# What people do with this repository. `make` alone lists it.

PYTHON ?= python3
BIN := .venv/bin
LOCK := $(BIN)/uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet

# pytest's own folder is shared by all runs of a user, and each takes away the rights that the embedded PostgreSQL of another needs.
in_own_folder = folder="$$(mktemp -d)"; echo "$(1)"; $(1) --basetemp="$$folder/run" && rm -rf "$$folder" || { echo "kept: $$folder" >&2; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-quick check docs contracts bench bench-peers lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/installed ## make .venv with the locked packages (again only when the lock or pyproject.toml changed)

.venv/installed: requirements.lock pyproject.toml
	@{ $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; } 2>/dev/null || { \
	  found="$$({ $(PYTHON) --version; } 2>&1)" || found="no program"; \
	  echo "Python 3.11 or newer is needed; '$(PYTHON)' is $$found. Install one and name it: make setup PYTHON=python3.11" >&2; \
	  exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { \
	  echo "The virtual environment could not be made; on Debian install python3-venv, then: make setup" >&2; \
	  rm -rf .venv; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

demo: setup ## everything on this machine, with simulated partners and a live view
	$(BIN)/dujiang demo

# Tests wait more than they compute: two processes at once, each with a Kafka and a PostgreSQL of its own. A file stays in one process.
# In the order of the folders, since the long files stand in those that come first.
TEST_PROCESSES ?= 2

test: setup ## the whole suite, on a real Kafka and PostgreSQL that it starts itself
	@$(call in_own_folder,$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder)

test-quick: setup ## the part that needs no services: seconds
	$(BIN)/python -m pytest -m "not services"

check: setup ## form, lint, types, who may import whom, generated reference
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	$(BIN)/python -m monitoring.dashboards --check

docs: setup ## write what is generated: pages of docs/reference, Grafana's dashboards
	$(BIN)/python docs/generate.py
	$(BIN)/python -m monitoring.dashboards

contracts: setup ## publish the contracts that the code changed; refused when a change breaks partners
	$(BIN)/dujiang contracts publish schemas/published

bench: setup ## a million events drained by one and by two workers, and the delay at 5,000 a second, three times each (some 12 minutes, on a quiet machine)
	$(BIN)/python -m benchmarks.drain --workloads W1 --workers 1 2
	$(BIN)/python -m benchmarks.latency --rates 5000

bench-peers: setup ## the same events through Dujiang, the floor and six set-ups of other systems, three times (some 30 minutes, on a quiet machine)
	$(BIN)/python -m benchmarks.peers

lock: setup ## resolve all versions anew: requirements*.lock
	$(LOCK) --all-extras -o requirements.lock pyproject.toml
	$(LOCK) --constraint requirements.lock --extra mqtt -o requirements.runtime.lock pyproject.toml
	echo hatchling | $(LOCK) --constraint requirements.lock -o requirements.build.lock -

clean: ## remove what can be made again; data and the download cache stay
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
