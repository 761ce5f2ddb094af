# Each target does all its own set-up; the first run of any of them installs everything into .venv.
# Needs Python 3.11 or 3.12 with its headers, and a C compiler (one dependency is built from source).

SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && { command -v $$p; break; }; done)
BIN := .venv/bin

.PHONY: help setup demo up browser test test-long check format bench lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: .venv/ready ## create .venv with locked, hash-checked dependencies and the project itself

.venv/ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed (durable_rules does not import on 3.13)"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: setup ## replay real purchase histories through the shipped journeys; about two minutes, ends by itself
	$(BIN)/wayline demo

up: setup ## the same system for real use: http://127.0.0.1:8080 until Ctrl-C
	$(BIN)/wayline up

browser: ## install Chromium for the tests of pages, where there is none (Debian, Ubuntu)
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
		sudo=$$(test "$$(id -u)" = 0 || echo sudo); export DEBIAN_FRONTEND=noninteractive; \
		$$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends chromium; }

test: setup browser ## every test but those marked long
	@# Three processes on two cores: a third of the tests wait most of their time (tests/spreading.py).
	$(BIN)/pytest -q -n 3 --dist loadgroup -m "not long"

test-long: setup ## the tests that take minutes to hours
	$(BIN)/pytest -q -m long --timeout 14400

check: setup ## format, lint, types, import arrows, shipped rulesets and schemas current
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/wayline schemas --check
	$(BIN)/wayline lint rulesets
	$(BIN)/wayline test rulesets

format: setup ## put the code into the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## the figures that the README reports
	$(BIN)/python -m benchmarks

lock: setup ## resolve the dependencies anew into requirements.lock (versions and hashes, no addresses)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra embedded --extra demo --group dev --generate-hashes --universal \
		--python-version 3.11 --no-header --no-annotate --no-emit-index-url --no-emit-find-links --upgrade \
		--quiet --output-file requirements.lock

clean: ## remove the environment and everything generated
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
