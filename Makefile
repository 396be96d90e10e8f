# The few verbs of this project. `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format live live-full bench bench-peers lock clean

help:  ## List the verbs
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(STAMP)  ## Make .venv with .venv/bin/tlsweep in it
$(STAMP): pyproject.toml requirements.lock
	@.ci/make-venv $(PYTHON) $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

demo: setup  ## Start a fleet of real TLS and STARTTLS servers on loopback and scan it
	$(BIN)/python -m tests.demo

test: setup  ## Run every test that needs nothing but Python (under two minutes)
	$(BIN)/python -m pytest

check: setup  ## Format check, lint and mypy --strict
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup  ## Format and sort the code in place
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

live: setup  ## Scan real servers from Debian's packages (installs them; needs root)
	tests/live/install
	$(BIN)/python -m pytest tests/live --override-ini addopts="-q --strict-markers --import-mode=importlib"

live-full: live  ## The same, and then vsftpd, slapd, Prosody and InspIRCd
	tests/live_full/install
	$(BIN)/python -m pytest tests/live_full --override-ini addopts="-q --strict-markers --import-mode=importlib"

bench: setup  ## Measure client CPU and memory against a yardstick of the same run
	$(BIN)/python -m benchmarks

bench-peers:  ## Install sslscan and sslyze for the benchmark's table (sslyze in .venv-peers)
	.ci/make-venv $(PYTHON) .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check 'sslyze>=6.3,<7'
	command -v sslscan >/dev/null || { apt-get update -qq && apt-get install -y -qq sslscan >/dev/null; }

lock:  ## Renew requirements.lock from the ranges in pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --quiet --upgrade -o requirements.lock

clean:  ## Remove what make made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis demo.jsonl
