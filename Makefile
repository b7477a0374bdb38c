# Needs Python 3.11 or newer and make; everything else is fetched. `make help` lists the targets.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo test unit e2e campaign check generate bench month simulate mutate explore cluster lock clean

PYTHON ?= python3
UNIT_WORKERS ?= 2
# More than there are cores: end-to-end tests mostly wait.
E2E_WORKERS ?= 4
# Of `make simulate`.
N ?= 500
FIRST ?= 0
BIN := .venv/bin
SOURCES := $(wildcard operator tools tests benchmarks simulation examples/library examples/plugin)

help: ## Shows this
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## Creates both virtual environments
	@$(PYTHON) tools/bootstrap.py setup

demo: setup ## Shows the operator at work
	@$(BIN)/python tools/demo.py

test: setup check unit e2e ## Runs every check and every test

unit: setup ## Runs the tests that need no cluster
	@echo "== unit tests"
	@$(BIN)/pytest -q -n $(UNIT_WORKERS) -m "not e2e"

e2e: setup ## Runs the tests on a real control plane; ARGS="-k name" chooses
	@echo "== end-to-end tests"
	@$(BIN)/pytest -q -m e2e tests/cluster
	@.venv-kind/bin/pytest -q -n $(E2E_WORKERS) tests/e2e $(ARGS)

campaign: setup ## Kills the operator at every call, walks every pair of fields; ARGS="-k servers" chooses
	@.venv-kind/bin/pytest -q -n $(E2E_WORKERS) --campaign tests/e2e $(ARGS)

check: setup ## Lints, types, import layers, generated files, Dockerfile, locks
	@echo "== check"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy --no-error-summary $(SOURCES)
	@said=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$said"; exit 1; }
	@$(BIN)/python -m whatsapp_operator.resources.generate --check
	@$(BIN)/python tools/chart.py --check
	@$(BIN)/hadolint Dockerfile
	@$(PYTHON) tools/bootstrap.py check-locks

generate: setup ## Writes the files that are generated from the resources and the options
	@$(BIN)/python -m whatsapp_operator.resources.generate
	@$(BIN)/python tools/chart.py

bench: setup ## Measures, and prints the numbers of the README
	@$(BIN)/python -m benchmarks

month: setup ## Simulates a month of 2,000 numbers under four policies, and writes it into the README
	@$(BIN)/python -m benchmarks.fleet_month --publish

simulate: setup ## Runs the controller on simulated time; N=1000 seeds from FIRST=0, or one: SEED=7 (KEEP=2,5)
	@PYTHONPATH=operator $(BIN)/python -m simulation $(if $(SEED),--seed $(SEED) $(if $(filter undefined,$(origin KEEP)),,--keep "$(KEEP)"),--first $(FIRST) --count $(N))

mutate: setup ## Makes rules wrong one at a time; a test has to notice. MODULE=health, or recovery/gates.py
	@PYTHONPATH=operator:tools $(BIN)/python -m mutation $(MODULE)

explore: setup ## Goes every way through small scenarios; ARGS="deletion --faults 4" chooses
	@PYTHONPATH=operator $(BIN)/python -m simulation.exhaustive $(ARGS)

cluster: setup ## Starts a development cluster with CRDs and simulator, until Ctrl-C
	@$(BIN)/python tools/development.py

lock: ## Resolves pyproject.toml into locks/; UPGRADE=1 takes the newest
	@$(PYTHON) tools/bootstrap.py lock $(if $(UPGRADE),--upgrade)

clean: ## Removes what the targets above have made in this folder
	@rm -rf .venv .venv-kind .cache .demo .pytest-kind .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@rm -rf .import_linter_cache dist build
	@find operator tools tests benchmarks simulation examples -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
