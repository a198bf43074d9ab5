# Everything sets itself up: Python >= 3.11, a C++ compiler and git are enough.
SHELL := /bin/bash
PYTHON ?= python3
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/hive
BIN := .venv/bin

.PHONY: install demo up test lint figures clean

install: .venv/.installed

.venv/.installed: requirements.lock pyproject.toml deploy/install.sh shared/sampler.c
	@PYTHON=$(PYTHON) HIVE_CACHE=$(CACHE) bash deploy/install.sh

demo: install
	@$(BIN)/hive demo

up: install
	@$(BIN)/hive up

test: install
	@bash deploy/test.sh

lint: install
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

figures: install
	@$(BIN)/python -m tests.bench.figures

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
