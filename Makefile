# Umbel. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
ONLY ?=

.PHONY: help setup setup-test demo story serve test test-fast bench lint types imports format check unit docs docs-site screenshots lock clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what running needs (Debian packages, locked Python environment, web app)
	@scripts/setup runtime

setup-test: ## install what the tests also need (Chromium, PostgreSQL, test tools)
	@scripts/setup test

demo: ## a whole network on this machine with a live event; ONCE=1 checks itself and ends; SOURCE=file; POLICY=virca; FABRIC=openflow; VMS=1
	@scripts/setup $(if $(or $(ONCE),$(VMS)),test,$(if $(filter openflow,$(FABRIC)),testbed,runtime))
	@$(BIN)/umbel demo $(if $(ONCE),--once) $(if $(VMS),--vms) $(if $(SOURCE),--source "$(SOURCE)") $(if $(POLICY),--policy $(POLICY)) $(if $(FABRIC),--fabric $(FABRIC))

story: ## a paper's story with real parts; NAME=sls, or NAME=vpm MOVES=10 as root; the last line is one JSON object with ok and the figures
	@scripts/setup test
	@$(BIN)/python -m umbel.demo.story $(or $(NAME),vpm) $(or $(MOVES),10)

serve: setup ## the platform on its embedded defaults
	@$(BIN)/umbel serve

test: setup-test ## everything: format, lint, types, imports, unit, contract, integration, api, scenarios, lab, e2e
	@scripts/test

bench: ## the benches: all, or ONLY=fanout; a table on stderr, a JSON line per case on stdout
	@scripts/setup bench >&2
	@scripts/bench $(ONLY)

check: lint types imports ## the checks without tests

lint: ## format and lint
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .

types: ## mypy --strict over src, tests, scripts, examples and benchmarks
	@$(BIN)/mypy

imports: ## the shelf's import contracts
	@$(BIN)/lint-imports

format: ## rewrite to the house format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

# Each worker imports all tests: what is compiled is kept, and a plugin that only tests/api uses is left out.
# Properties try a fifth of their examples (tests/support/examples.py); `make test` tries all.
test-fast: setup-test ## the pure tests: no socket, no process, no database
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q tests/unit --numprocesses auto --maxprocesses 4 --dist worksteal -p no:schemathesis --hypothesis-profile few --budget 60

unit: ## the quick tests: pure ones, drivers' contracts, faults on virtual time
	@$(BIN)/python -m pytest -q tests/unit tests/integration tests/contract tests/scenarios

docs: ## regenerate what the docs take from the code
	@$(BIN)/python scripts/make_docs.py

docs-site: ## the documents as a site with search, in build/site
	@scripts/docs-site

screenshots: setup-test ## take a picture of every page of the web app, into build/screenshots, and those of the documents
	@$(BIN)/python scripts/screenshots.py

lock: ## resolve the hashed locks again (needs uv)
	@scripts/lock

clean: ## remove everything that was built or installed here
	@rm -rf .venv .node .umbel .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache web/node_modules src/umbel/portal/static

include make/web.mk
include make/chaos.mk
include make/storm.mk
include make/package.mk
include make/clouds.mk
