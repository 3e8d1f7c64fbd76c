# One machine, no Docker, no AWS account: `make demo`. `make help` lists the rest.

PYTHON ?= python3
PORT ?= 8080
PIP_OPTIONS = --quiet --disable-pip-version-check --require-hashes
COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-strip-extras --no-header --no-emit-index-url
# boto3 and its kin are in the Lambda runtime: 31 MB that the layer need not carry.
IN_LAMBDA = botocore jmespath python-dateutil six urllib3
FAST_TESTS = tests/functions tests/fuzz tests/unit tests/workflow

export SAM_CLI_TELEMETRY = 0

.DEFAULT_GOAL := help
.PHONY: help setup environments demo demo-events serve lint check test chaos test-arcgis fuzz audit bench build deploy lock \
	clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

setup: ## install everything into .venv and .venv-emulator (once; about a minute)
	@$(MAKE) --no-print-directory -j2 environments

environments: .venv/installed .venv-emulator/installed
	@:

demo: setup ## export a tile package from a world cache on an AWS emulator, and look inside
	@.venv/bin/python -m local.demo

demo-events: setup ## put a request file into the inbox, hear how it goes, download the package
	@.venv/bin/python -m local.demo_events

serve: setup ## keep the stack and two image services up on PORT until Ctrl-C
	@.venv/bin/python -m local.serve --port $(PORT)

lint: .venv/installed
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

check: lint .venv-audit/installed ## style, types, import contracts, the fast tests, known holes: before each commit
	.venv/bin/pytest -n auto $(FAST_TESTS) -m "not slow"
	@$(MAKE) --no-print-directory audit AUDIT_OPTIONS=--when-reachable

test: setup lint .venv-audit/installed ## all tests, with exports on the emulator
	.venv/bin/pytest -n auto $(FAST_TESTS) tests/contracts tests/oracles tests/chaos --cov --cov-report=term
	.venv/bin/pytest tests/local tests/e2e

chaos: .venv/installed ## a thousand exports with faults, at most five minutes of them; SEED=n runs one again
	.venv/bin/python -m tests.chaos $(SEED)

test-arcgis: setup .venv-arcgis/installed ## let Esri's own Python client export from the local stack
	.venv-arcgis/bin/pytest -c tests/arcgis/pytest.ini tests/arcgis

fuzz: .venv-fuzz/installed ## hunt for inputs that crash a parser: SECONDS=60 for each, TARGETS="tile area" or all
	PYTHONPATH=layers/exporttiles/python .venv-fuzz/bin/python -m tests.fuzz $(TARGETS) --seconds $(or $(SECONDS),60)

audit: .venv-audit/installed ## ask OSV for known holes in what is deployed; fails if it cannot be asked
	@.venv-audit/bin/python requirements/audit.py $(AUDIT_OPTIONS)

bench: setup ## measure ours, the peers and the growth, and write benchmarks/RESULTS.md; BENCH=quick: two minutes
	@.venv/bin/python -m benchmarks $(if $(filter quick,$(BENCH)),--quick)

build: setup .venv-build/installed ## build what is deployed to AWS, and test that
	.venv-build/bin/sam validate --lint --region us-east-1
	PATH="$(CURDIR)/.venv-build/bin:$$PATH" .venv-build/bin/sam build
	.venv/bin/pytest tests/build

deploy: audit .venv-build/installed ## audit, build and deploy to your AWS account; DEPLOY_OPTIONS replace the questions
	find functions layers -name __pycache__ -type d -prune -exec rm -rf {} +  # not for Lambda
	PATH="$(CURDIR)/.venv-build/bin:$$PATH" .venv-build/bin/sam build
	.venv-build/bin/sam deploy $(or $(DEPLOY_OPTIONS),--guided --stack-name exporttiles --capabilities CAPABILITY_IAM)

lock: .venv/installed ## resolve the dependencies anew
	$(COMPILE) layers/exporttiles/pyproject.toml $(IN_LAMBDA:%=--no-emit-package %) -o layers/dependencies/requirements.txt
	$(COMPILE) layers/exporttiles/pyproject.toml --extra aws --group dev -c layers/dependencies/requirements.txt \
		-o requirements/development.txt
	$(COMPILE) --group emulator -o requirements/emulator.txt
	$(COMPILE) --group build -o requirements/build.txt
	$(COMPILE) --group arcgis -o requirements/arcgis.txt
	$(COMPILE) --group audit -o requirements/audit.txt
	$(COMPILE) layers/exporttiles/pyproject.toml --extra aws --group fuzz -c layers/dependencies/requirements.txt \
		-o requirements/fuzz.txt

clean: ## remove environments, caches and what the demo made
	rm -rf .venv .venv-* .aws-sam .cache .hypothesis .import_linter_cache .mypy_cache \
		.pytest_cache .ruff_cache .coverage demo
	find benchmarks functions layers local tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/installed: requirements/development.txt layers/exporttiles/pyproject.toml
	@$(call create_venv,.venv,the package and its tools)
	@.venv/bin/python -m pip install $(PIP_OPTIONS) -r requirements/development.txt
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e layers/exporttiles
	@touch $@

.venv-emulator/installed: requirements/emulator.txt
	@$(call create_venv,.venv-emulator,the AWS emulator)
	@.venv-emulator/bin/python -m pip install $(PIP_OPTIONS) -r requirements/emulator.txt
	@touch $@

.venv-build/installed: requirements/build.txt | .venv/installed
	@$(call create_venv,.venv-build,the AWS SAM CLI)
	@.venv/bin/python -m pip --python .venv-build/bin/python install $(PIP_OPTIONS) -r requirements/build.txt
	@touch $@

.venv-audit/installed: requirements/audit.txt | .venv/installed
	@$(call create_venv,.venv-audit,pip-audit)
	@.venv/bin/python -m pip --python .venv-audit/bin/python install $(PIP_OPTIONS) -r requirements/audit.txt
	@touch $@

.venv-fuzz/installed: requirements/fuzz.txt | .venv/installed
	@$(call create_venv,.venv-fuzz,the fuzzer)
	@.venv/bin/python -m pip --python .venv-fuzz/bin/python install $(PIP_OPTIONS) -r requirements/fuzz.txt
	@touch $@

.venv-arcgis/installed: requirements/arcgis.txt | .venv/installed
	@$(call create_venv,.venv-arcgis,the ArcGIS API for Python)
	@.venv/bin/python -m pip --python .venv-arcgis/bin/python install $(PIP_OPTIONS) -r requirements/arcgis.txt
	@touch $@

define create_venv
echo "installing $(2) into $(1)"
@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=...")'
@$(PYTHON) -m venv $(1)
endef
