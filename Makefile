# Everything that a fresh machine needs before the first `uv run` is found or fetched here; the rest by `tarifa up`.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

OWN_UV := .tarifa/uv/bin/uv
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo $(OWN_UV))
FAST_TESTS := tests/unit tests/contracts tests/architecture
# Killing processes takes longest and so comes last.
SLOW_TESTS := $(filter-out $(FAST_TESTS) tests/faults tests/__pycache__,$(patsubst %/,%,$(wildcard tests/*/))) tests/faults
# Each worker begins with a stretch of its own, so that what the tests of a file share is mostly made once; who is done takes from others.
PYTEST_FAST := pytest $(FAST_TESTS) -q -n logical --dist worksteal
# Two workers, each with a Kafka and a MongoDB of its own: the tests wait more than they compute. Then those that measure or kill under load.
PYTEST_SLOW := pytest $(SLOW_TESTS) -q
# Images often set it, but here each worker of the tests and each service would compile the whole project anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test test-fast lint format bench up down clean

help: ## What there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Compiled once here, else seven services that start at once each compile the same libraries.
setup: $(if $(filter uv,$(UV)),,$(OWN_UV)) ## Python dependencies at their locked versions
	@deploy/setup/step deploy/setup/sync $(UV)

demo: setup ## A month of real telephone traffic through the stack, to bills; DEMO="--customers all" for all of it
	@$(UV) run --frozen tarifa demo $(DEMO)

test: setup ## All tests: the fast ones first, then those on real Kafka and MongoDB
	@$(UV) run --frozen $(PYTEST_FAST)
	@$(UV) run --frozen $(PYTEST_SLOW) -n 2 --dist loadfile -m "not alone"
	@$(UV) run --frozen $(PYTEST_SLOW) -m alone

test-fast: setup ## The tests that need no infrastructure
	@$(UV) run --frozen $(PYTEST_FAST)

lint: setup ## Style, formatting, types and the directions of imports
	@$(UV) run --frozen ruff check .
	@$(UV) run --frozen ruff format --check .
	@$(UV) run --frozen mypy
	@$(UV) run --frozen lint-imports

format: setup ## Bring the code into the project's format
	@$(UV) run --frozen ruff check --fix .
	@$(UV) run --frozen ruff format .

bench: setup ## Measure pricing, rating, billing and the API on this machine
	@for what in pricing rating billing api; do $(UV) run --frozen tarifa bench $$what $(BENCH); done

up: setup ## Start Kafka, MongoDB and the services
	@$(UV) run --frozen tarifa up

down: setup ## Stop what `make up` or `make demo` started
	@$(UV) run --frozen tarifa down

clean: ## Stop the stack; remove its data and what was installed here
	@if [ -x .venv/bin/tarifa ]; then .venv/bin/tarifa down; fi
	@rm -rf .tarifa .venv .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis

$(OWN_UV):
	@deploy/setup/step deploy/setup/fetch-uv .tarifa/uv
