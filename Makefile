# Everything is installed into .venv and .venv-store, and installed again only when a requirements file changes.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup develop demo down test test-faults lint types lock sbom check-python compose-env compose-image

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

# The first interpreter that is new enough; name another one with PYTHON=…
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11; do \
	if $$each -c '$(SUPPORTED)' 2>/dev/null; then echo $$each; break; fi; done)

COMMA := ,
BIN := .venv/bin
INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode
# Nothing is installed whose bytes are not those that the lock names.
LOCKED := $(INSTALL) --require-hashes
# What builds is installed, from a lock of its own, so the build fetches nothing.
CHECKOUT := $(INSTALL) --no-deps --no-build-isolation --editable .
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --generate-hashes

# The interpreter chosen above is used, never one that uv would download.
export UV_PYTHON_DOWNLOADS := never

help:
	@echo "make demo    publish a simulated month through Airflow on this machine, and show it"
	@echo "make down    stop everything that demo has started"
	@echo "make setup   install what demo needs (demo does it by itself)"
	@echo "make test    install what the checks need, then run all of them"
	@echo "make test-faults    cause every fault and count what came of it; takes hours"
	@echo "make lint    only style; make types: only types"
	@echo "make lock    compile the requirements files again, after a change of pyproject.toml; then make sbom"
	@echo "make sbom    write sbom.cdx.json, the software bill of materials, and docs/licences.md"
	@echo
	@echo "make compose-env    generate the secrets of docker-compose.yaml into .env"
	@echo "make compose-image  build the image that it uses; PIP_CONF=… and CERTIFICATES=… for an index of your own"

setup: .venv/installed .venv-store/installed

develop: .venv/developed .venv-store/installed

demo: setup
	$(BIN)/deepfactor demo

down:
	@if [ -x $(BIN)/deepfactor ]; then $(BIN)/deepfactor stack down; else echo "Nothing is installed, so nothing runs."; fi

test: develop lint types
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-faults: develop
	DEEPFACTOR_FAULTS=full $(BIN)/pytest tests/faults --numprocesses 2 --dist loadfile

lint: .venv/developed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/developed
	$(BIN)/mypy --strict deepfactor

# Versions stay what they are, unless pyproject.toml no longer allows them. To raise one: make lock UPGRADE=name
lock: .venv/created
	$(COMPILE) $(UPGRADE:%=--upgrade-package %) --extra airflow --output-file requirements.txt pyproject.toml
	$(COMPILE) --constraint requirements.txt --extra airflow --extra dev --output-file requirements-dev.txt pyproject.toml
	$(COMPILE) $(UPGRADE:%=--upgrade-package %) --group store --output-file requirements-store.txt
	$(COMPILE) $(UPGRADE:%=--upgrade-package %) --constraint requirements-dev.txt --group build --output-file requirements-build.txt

sbom: develop
	$(BIN)/python -m deploy.packages.bill_of_materials

# Both need no .venv: a machine that runs containers has none.
compose-env: check-python
	@$(PYTHON) -m deepfactor.stack.compose_env .env
	@echo "Secrets are in .env, which only you can read. Next: docker compose up --detach --wait"

compose-image: check-python
	docker build --tag deepfactor:$(shell $(PYTHON) -c 'import deepfactor; print(deepfactor.__version__)') \
		$(if $(PIP_CONF),--secret id=pip$(COMMA)src=$(PIP_CONF)) \
		$(if $(CERTIFICATES),--secret id=certificates$(COMMA)src=$(CERTIFICATES)) .

check-python:
	@if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c '$(SUPPORTED)'; then \
		echo "deepfactor needs Python 3.11, 3.12 or 3.13; found: $$($(or $(PYTHON),python3) --version 2>&1 | head -n 1)." >&2; \
		echo "Install one of them, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
		exit 1; \
	fi

.venv/created: requirements-build.txt | check-python
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

.venv/installed: .venv/created requirements.txt pyproject.toml
	@echo "Installing about 250 packages into .venv; this takes a few minutes the first time."
	$(LOCKED) --python $(BIN)/python --requirement requirements.txt
	$(CHECKOUT) --python $(BIN)/python
	@touch $@

# Holds all of requirements.txt, so what was installed from it is installed from here as well.
.venv/developed: .venv/created requirements-dev.txt pyproject.toml
	@echo "Installing about 280 packages into .venv; this takes a few minutes the first time."
	$(LOCKED) --python $(BIN)/python --requirement requirements-dev.txt
	$(CHECKOUT) --python $(BIN)/python
	@touch .venv/installed $@

.venv-store/installed: .venv/created requirements-store.txt
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-store
	$(LOCKED) --python .venv-store/bin/python --requirement requirements-store.txt
	@touch $@
