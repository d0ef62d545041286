# Everything a checkout needs, one word each. The work is in scripts/; repeating a target is quick and safe.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv/bin
# Two wait for containers and share the cores of a small machine; one computes in what is left of them.
WORKERS ?= 3
# Inputs from outside of the project, each with what is right.
CASES ?= ../shared/cases

.PHONY: help venv engine images demo test simulate fuzz chaos cases mutants sbom lint bench soak clean

help: ## Say what there is
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: ## Make .venv from the locked requirements, with vaultctl in it
	@scripts/venv

engine: ## Find a Docker engine with Compose v2, or install and start one (Debian 12 and 13)
	@scripts/engine

images: engine ## Pull or build the images of the demo and the tests
	@scripts/images

demo: venv engine ## Three load-balanced replicas on http://127.0.0.1:8080, from nothing
	@scripts/images haproxy whoami
	@scripts/demo

test: venv engine images ## Run every test, the real engine included (WORKERS=n files side by side)
	@$(VENV)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

simulate: venv ## Live through 100,000 simulated histories (HISTORIES=n for another number)
	@$(VENV)/python -m tests.simulation $(HISTORIES)

fuzz: venv engine ## Feed every way in with 200,000 bad inputs, ask Compose about 20,000 fragments (INPUTS=n)
	@$(VENV)/python -m tests.fuzz $(INPUTS)

chaos: venv engine images ## Harm everything there is, and write docs/reliability.md (ONLY=words for what has them in its name)
	@$(VENV)/python -m tests.chaos $(ONLY)

cases: venv engine images ## Try every case of CASES=directory and print the table (ONLY=words for what has them in its name)
	@scripts/cases $(CASES) $(ONLY)

mutants: venv ## Which small mistakes in MODULES="reconciler/..." does no test notice? (minutes for each)
	@$(VENV)/python -m tests.mutants $(MODULES)

sbom: venv images ## Write dist/sbom.cdx.json: what the controller's image is made of
	@mkdir -p dist
	@$(VENV)/python scripts/sbom >dist/sbom.cdx.json

lint: venv ## Check style, types and who imports whom
	@$(VENV)/ruff check
	@$(VENV)/ruff format --check
	@$(VENV)/mypy
	@$(VENV)/lint-imports

bench: venv engine images ## Measure against Compose, Swarm and the bare engine, and write docs/benchmarks.md (20 minutes)
	@$(VENV)/python -m benchmarks
	@scripts/benchmark-picture

soak: venv engine images ## Churn for a quarter of an hour: does the controller grow, lose, or leave anything?
	@$(VENV)/python -m benchmarks.soak

clean: ## Remove what these targets started and made; volumes stay
	@scripts/clean
