# The targets of a checkout. Their work is in scripts/; repeating a target is quick and safe.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv/bin
# Tests mostly wait for containers, so three workers fit on two cores.
WORKERS ?= 3
# Test inputs from outside of the project, each with its expected result.
CASES ?= ../shared/cases

.PHONY: help venv engine images demo test zero-loss catalogue simulate fuzz chaos cases mutants sbom docs lint bench soak
.PHONY: pictures clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: ## Create .venv from the locked requirements, with vaultctl
	@scripts/venv

engine: ## Find a Docker engine with Compose v2, or install and start one (Debian 12 and 13)
	@scripts/engine

images: engine ## Pull or build the images of the demo and the tests
	@scripts/images

demo: venv engine ## Start three load-balanced replicas on http://127.0.0.1:8080, and two services on one port
	@scripts/images haproxy whoami
	@scripts/demo

test: venv engine images ## Run every test, including those on the real engine (WORKERS=n files in parallel)
	@$(VENV)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

zero-loss: venv engine images ## Try every change under load, and all that takes turns in `make test`
	@EVERY_WAY=1 $(VENV)/pytest -m "promise or turns" tests/e2e

catalogue: venv engine images ## Run every application of the catalogue on the engine, 20 minutes (ONLY="miniflux or ntfy")
	@EVERY_WAY=1 $(VENV)/pytest $(if $(ONLY),-k "$(ONLY)") tests/catalogue

simulate: venv ## Run 100,000 simulated histories (HISTORIES=n for another number)
	@$(VENV)/python -m tests.simulation $(HISTORIES)

fuzz: venv engine ## Send 200,000 bad inputs to all interfaces, as many to the API, and 20,000 fragments to Compose (INPUTS=n)
	@$(VENV)/python -m tests.fuzz $(INPUTS)

chaos: venv engine images ## Run all faults and crash points, and write docs/reliability.md (ONLY=words in the name)
	@$(VENV)/python -m tests.chaos "$(ONLY)"

cases: venv engine images ## Run every case of CASES=directory and print the table (ONLY=words in the name)
	@scripts/cases $(CASES) $(ONLY)

mutants: venv ## List small mistakes in MODULES="reconciler/..." that no test detects (minutes for each module)
	@$(VENV)/python -m tests.mutants $(MODULES)

sbom: venv images ## Write dist/sbom.cdx.json: the components of the controller's image
	@mkdir -p dist
	@$(VENV)/python scripts/sbom >dist/sbom.cdx.json

docs: venv ## Build the docs site into dist/site; a link that leads nowhere is an error
	@$(VENV)/mkdocs build --quiet --config-file .mkdocs.yml

lint: venv ## Check style, types and imports between packages
	@$(VENV)/ruff check
	@$(VENV)/ruff format --check
	@$(VENV)/mypy
	@$(VENV)/lint-imports

bench: venv engine images ## Measure against Compose, Swarm and the bare engine, and write docs/benchmarks.md (30 minutes)
	@$(VENV)/python -m benchmarks
	@scripts/benchmark-picture

soak: venv engine images ## Change services under load for 30 minutes, and check for leaks and lost requests
	@$(VENV)/python -m benchmarks.soak
	@CHANGES=100 $(VENV)/pytest tests/e2e/test_gateway_beside.py

pictures: venv engine images ## Make the pictures of the page in docs/ from services that are used for MINUTES=8
	@PICTURE_MINUTES=$(or $(MINUTES),8) $(VENV)/pytest tests/e2e/test_page_pictures.py

clean: ## Remove what these targets started and created, except volumes
	@scripts/clean
