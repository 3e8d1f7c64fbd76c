# One machine, no Docker, no AWS account: `make demo`. `make help` lists the rest.

PYTHON ?= python3
PORT ?= 8080
UV = .venv-uv/bin/uv
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-strip-extras --no-header --no-emit-index-url
# boto3 and its kin are in the Lambda runtime: 31 MB that the layer need not carry.
IN_LAMBDA = botocore jmespath python-dateutil six urllib3
FAST_TESTS = tests/field tests/functions tests/fuzz tests/unit tests/workflow
# Exports on the emulator mostly wait: one process more than there are cores runs them beside the other tests.
ALL_TESTS = -n $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) $(FAST_TESTS) \
	tests/chaos tests/contracts tests/deployment tests/e2e tests/local tests/oracles

export SAM_CLI_TELEMETRY = 0

.DEFAULT_GOAL := help
.PHONY: help setup setup-demo demo demo-events serve web lint check test coverage chaos test-arcgis fuzz audit bench \
	build deploy destroy prove lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

setup: .venv/installed .venv-emulator/installed ## install everything into .venv and .venv-emulator (once)
	@:

setup-demo: .venv/demo-installed .venv-emulator/installed
	@:

# The two environments are installed at the same time.
demo: ## export a tile package from a world cache on an AWS emulator, and draw it
	@$(MAKE) --no-print-directory -j2 setup-demo
	@.venv/bin/python -m local.demo

demo-events: ## put a request file into the inbox, follow its events, download the package
	@$(MAKE) --no-print-directory -j2 setup-demo
	@.venv/bin/python -m local.demo_events

serve: ## run the stack with two image services on PORT until Ctrl-C
	@$(MAKE) --no-print-directory -j2 setup-demo
	@.venv/bin/python -m local.serve --port $(PORT)

web: ## build the scripts and styles of the pages from web/ with npm; commit what it writes
	cd web && npm ci --no-progress && npm run build

lint: .venv/installed
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

check: lint .venv-audit/installed ## style, types, import contracts, fast tests, known vulnerabilities: before each commit
	.venv/bin/pytest -n auto $(FAST_TESTS) -m "not slow"
	@$(MAKE) --no-print-directory audit AUDIT_OPTIONS=--when-reachable

test: ## all tests, with exports on the emulator
	@$(MAKE) --no-print-directory -j2 setup lint .venv-audit/installed
	.venv/bin/pytest $(ALL_TESTS)

coverage: setup .venv-audit/installed ## all tests, and which lines and branches they reach; takes half as long again
	.venv/bin/pytest $(ALL_TESTS) --cov --cov-report=term

chaos: .venv/installed ## a thousand exports with injected faults, at most five minutes; SEED=n repeats one
	.venv/bin/python -m tests.chaos $(SEED)

test-arcgis: setup .venv-arcgis/installed ## export from the local stack with Esri's Python client
	.venv-arcgis/bin/pytest -c tests/arcgis/pytest.ini tests/arcgis

fuzz: .venv-fuzz/installed ## search for inputs that crash a parser: SECONDS=60 for each, TARGETS="tile area" or all
	PYTHONPATH=layers/exporttiles/python .venv-fuzz/bin/python -m tests.fuzz $(TARGETS) --seconds $(or $(SECONDS),60)

audit: .venv-audit/installed ## ask OSV for known vulnerabilities of deployed packages; fails if OSV does not answer
	@.venv-audit/bin/python requirements/audit.py $(AUDIT_OPTIONS)

bench: setup ## measure speed, limits and growth, and write benchmarks/RESULTS.md; BENCH=quick: two minutes
	@.venv/bin/python -m benchmarks $(if $(filter quick,$(BENCH)),--quick)

build: setup .venv-build/installed ## build what is deployed to AWS, and test it
	for template in template.yaml templates/events.yaml templates/monitoring.yaml; do \
		.venv-build/bin/sam validate --lint --region us-east-1 --template $$template || exit 1; \
	done
	PATH="$(CURDIR)/.venv-build/bin:$$PATH" .venv-build/bin/sam build
	.venv/bin/pytest tests/build

deploy: audit .venv-build/installed ## audit, build and deploy to your AWS account; DEPLOY_OPTIONS replace the questions
	find functions layers -name __pycache__ -type d -prune -exec rm -rf {} +  # not for Lambda
	PATH="$(CURDIR)/.venv-build/bin:$$PATH" .venv-build/bin/sam build
	.venv-build/bin/sam deploy $(or $(DEPLOY_OPTIONS),--guided --stack-name exporttiles --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND)

destroy: .venv/installed ## delete a STACK, after a list and a question; TILE_BUCKET=name deletes that bucket, too
	@.venv/bin/python -m deployment.destroy --stack "$(or $(STACK),exporttiles)" --confirm "$(CONFIRM)" \
		--tile-bucket "$(TILE_BUCKET)"

# ENDPOINT=local tries it on the emulator, which proves nothing about AWS; YES=1 does not ask before money is spent.
prove: .venv/installed $(if $(ENDPOINT),.venv-emulator,.venv-build)/installed ## deploy a throwaway stack to AWS, test, break, measure and delete it
	@.venv/bin/python -m deployment.prove --endpoint "$(ENDPOINT)" $(if $(YES),--yes) $(PROVE_OPTIONS)

lock: .venv-uv/installed ## resolve the dependencies anew
	$(COMPILE) layers/exporttiles/pyproject.toml $(IN_LAMBDA:%=--no-emit-package %) -o layers/dependencies/requirements.txt
	$(COMPILE) layers/exporttiles/pyproject.toml --extra cli --extra areas --group dev -c layers/dependencies/requirements.txt \
		-o requirements/development.txt
	$(COMPILE) layers/exporttiles/pyproject.toml --extra cli --group demo -c requirements/development.txt \
		-o requirements/demo.txt
	$(COMPILE) --group uv -o requirements/uv.txt
	$(COMPILE) --group emulator -o requirements/emulator.txt
	$(COMPILE) --group build -o requirements/build.txt
	$(COMPILE) --group arcgis -o requirements/arcgis.txt
	$(COMPILE) --group audit -o requirements/audit.txt
	$(COMPILE) layers/exporttiles/pyproject.toml --extra cli --group fuzz -c layers/dependencies/requirements.txt \
		-o requirements/fuzz.txt

clean: ## remove environments, caches and the output of the demo
	rm -rf .venv .venv-* .aws-sam .cache .hypothesis .import_linter_cache .mypy_cache \
		.pytest_cache .ruff_cache .coverage demo web/node_modules
	find benchmarks deployment functions layers local tests -name __pycache__ -type d -prune -exec rm -rf {} +

# uv is the one package that pip installs; it installs the rest, several at a time.
.venv-uv/installed: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=...")'
	@$(PYTHON) -m venv .venv-uv
	@.venv-uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/demo-installed: requirements/demo.txt layers/exporttiles/pyproject.toml .venv-uv/installed
	@$(call install,.venv,demo,the package and what the demo needs)
	@$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation --editable layers/exporttiles
	@touch $@

.venv/installed: requirements/development.txt .venv/demo-installed
	@$(call install,.venv,development,the tools for tests)
	@touch $@

.venv-emulator/installed: requirements/emulator.txt .venv-uv/installed
	@$(call install,.venv-emulator,emulator,the AWS emulator)
	@touch $@

.venv-build/installed: requirements/build.txt .venv-uv/installed
	@$(call install,.venv-build,build,the AWS SAM CLI)
	@touch $@

.venv-audit/installed: requirements/audit.txt .venv-uv/installed
	@$(call install,.venv-audit,audit,pip-audit)
	@touch $@

.venv-fuzz/installed: requirements/fuzz.txt .venv-uv/installed
	@$(call install,.venv-fuzz,fuzz,the fuzzer)
	@touch $@

.venv-arcgis/installed: requirements/arcgis.txt .venv-uv/installed
	@$(call install,.venv-arcgis,arcgis,the ArcGIS API for Python)
	@touch $@

# $(call install,ENVIRONMENT,LOCK,CONTENTS)
define install
echo "installing $(3) into $(1)"
@test -x $(1)/bin/python || $(UV) venv --quiet --python $(PYTHON) $(1)
@$(UV) pip install --quiet --python $(1) --require-hashes -r requirements/$(2).txt
endef
