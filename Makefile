# Everything runs from .venv, which the first target that needs it makes. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
READY := .venv/.installed
SCENARIO ?= acme
TELEMETRY ?= fast
# Two processes: what the checks are meant for has two cores.
PYTEST := $(BIN)/pytest -q -n 2 --dist loadscope

.PHONY: help .venv checks check test proof scenarios faults fuzz bench demo clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z.]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv: $(READY) ## install everything, pinned, into .venv (a second run does nothing)

$(READY): deploy/requirements.txt deploy/requirements-dev.txt pyproject.toml
	@if [ ! -x $(BIN)/python ]; then \
	  for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	  done; \
	  if [ -z "$${found:-}" ]; then echo "douse needs Python 3.11 or newer, and there is none on the PATH" >&2; exit 1; fi; \
	  if ! $$found -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "$$found has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; fi; \
	  echo "making .venv with $$($$found --version)"; $$found -m venv .venv; \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r deploy/requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

checks: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -m "not broker and not proof"

check: checks ## format, lint, types, imports and every pure test (under 2 minutes)
	@echo "Left out: everything that needs a broker (make test), every scenario and the kill matrix (make proof)."

test: checks ## check, then the product on a real broker (under 10 minutes)
	$(PYTEST) -m "broker and not proof"
	@echo "Left out: every scenario and the kill matrix (make proof); medians of five (make scenarios); benchmarks (make bench)."

proof: $(READY) ## every claim on real parts, one table at the end (under 45 minutes)
	$(BIN)/pytest -q -m proof --timeout 900 --proof-table out/proof.json
	@echo "Left out: medians of five (make scenarios); long matrices (make faults); 10^6 cases (make fuzz); benchmarks (make bench)."

scenarios: $(READY) ## acme five times, the other scenarios once, and the table of their times
	$(BIN)/python -m benchmarks.scenarios

faults: $(READY) ## the kill and pause matrix, long
	for turn in 1 2 3 4 5 6 7 8 9 10; do $(BIN)/pytest -q --timeout 900 -m proof tests/faults tests/stream/detect tests/stream/test_engine_random.py; done

fuzz: $(READY) ## every property of the core on a hundred times as many cases
	$(PYTEST) --hypothesis-profile fuzz -m "not broker and not proof" tests/schemas tests/detectors tests/actuators

bench: $(READY) ## the benchmarks that the README's figures come from
	$(BIN)/python -m benchmarks.verdict
	$(BIN)/python -m benchmarks.healthy
	$(BIN)/python -m benchmarks.diagnosis
	$(BIN)/python -m benchmarks.tick
	$(BIN)/python -m benchmarks.decoding
	$(BIN)/python -m benchmarks.replay

demo: $(READY) ## the story, live: make demo SCENARIO=acme|approve|lift|story|shared-target|storm|leak|dependency|pool|... (see douse demo --help)
	$(BIN)/douse demo --scenario $(SCENARIO) --telemetry $(TELEMETRY)

clean: ## remove output and caches; .venv and the fetched jars stay
	rm -rf out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
