# Two commands do all the set-up: `make demo` runs the main job on real input, `make test` passes every check.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FAULT ?= none
PEER ?=
TARGET ?=
TARGET_HTTP ?=
LIMIT ?=
CA ?=
INSECURE ?=
CERT ?=
KEY ?=
BENCH_JSON ?=
QUICK ?=

.PHONY: help demo test check tests lint-fix clients conformance bench schema bench-gate soak proto clean

help: ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# One install for everything, so that one set of versions is found that fits all of it.
$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Spanverdict needs Python 3.11 or later; set PYTHON=…"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fast,compiled]' --group dev --group demo
	-$(BIN)/python -m spanverdict.app.compiling # or the first server under load would do it
	@touch $@

demo: $(VENV)/.installed ## run the demo system and judge it; FAULT=slow-scorer|stale-features|lost-messages|wrong-output|lost-spans breaks it
	FAULT=$(FAULT) $(BIN)/spanverdict run --rules deploy/demo/scoring.yaml -- $(BIN)/python deploy/demo/run.py

test: check tests ## all checks and all tests

check: $(VENV)/.installed ## formatting, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy collector assertions
	$(BIN)/lint-imports --no-cache

tests: $(VENV)/.installed ## pytest
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile

clients: $(VENV)/.installed ## the SDKs for Go, Java and Node.js and the Collector against a real server; makes them first
	SPANVERDICT_CLIENTS=1 $(BIN)/python -m pytest tests/clients

conformance: $(VENV)/.installed ## the OTLP specification item by item; TARGET=host:4317 TARGET_HTTP=host:4318 judges another receiver; TOKEN=… CA=… INSECURE=1 CERT=… KEY=… get in
	@$(BIN)/python tests/conformance/run.py $(if $(TARGET),--target $(TARGET)) $(if $(TARGET_HTTP),--target-http $(TARGET_HTTP)) $(if $(LIMIT),--limit $(LIMIT)) \
		$(if $(CA),--ca $(CA)) $(if $(INSECURE),--insecure) $(if $(CERT),--cert $(CERT)) $(if $(KEY),--key $(KEY))

lint-fix: $(VENV)/.installed ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed ## speed and memory of every stage beside its goal; QUICK=1 for every day; PEER=otelcol|rotel sends the same load there, too; BENCH_JSON=FILE keeps all of it
	$(BIN)/python tests/bench/run.py $(if $(QUICK),--quick) $(if $(PEER),--peer $(PEER)) $(if $(BENCH_JSON),--json $(BENCH_JSON))

schema: $(VENV)/.installed ## make the JSON Schemas in rules/ again, after the rule language has changed
	$(BIN)/spanverdict schema flow > rules/flow.schema.json
	$(BIN)/spanverdict schema test > rules/test.schema.json

bench-gate: $(VENV)/.installed ## fail where decoding, association, stitching or judging became slower than beside a plain implementation
	$(BIN)/python tests/bench/gate.py

soak: $(VENV)/.installed ## the long versions of the tests that have one, some hours; CONTRIBUTING.md tells how to run a part
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check --group fuzz # where it cannot be, its tests are skipped
	SPANVERDICT_SOAK=1 $(BIN)/python -m pytest -m soak -v --timeout=7200 --durations=0

# Code that a later compiler makes refuses to run on an earlier protobuf, so the compiler is an old one.
proto: ## make the shallow schema again from its .proto
	$(PYTHON) -m venv $(VENV)-proto
	$(VENV)-proto/bin/python -m pip install --quiet --disable-pip-version-check 'grpcio-tools==1.65.5' 'setuptools<81'
	$(VENV)-proto/bin/python -m grpc_tools.protoc -I collector --python_out=collector --pyi_out=collector spanverdict/otlp/shallow.proto
	sed -i '1i # fmt: off\n# ruff: noqa: E501, I001, RUF023, UP007, UP035, UP045\n# mypy: ignore-errors' collector/spanverdict/otlp/shallow_pb2.pyi
	rm -rf $(VENV)-proto

clean: ## remove what was made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
