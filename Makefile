# The few verbs of this project. `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
FUZZER := $(VENV)/.fuzzer
TIME   ?= 300

.DEFAULT_GOAL := help
# Where it is set, each of the hundreds of commands that tests start would compile all of our modules anew.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help setup demo test fuzz check format live live-full slow bench bench-full bench-compare bench-peers lock clean

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
	$(BIN)/python -m pytest -n 3 --dist worksteal

fuzz: setup $(FUZZER)  ## Fuzz dialogues, parsers and requested questions for TIME=300 seconds; what breaks becomes a test
	$(BIN)/python -m tests.fuzz --time $(TIME)
$(FUZZER): $(STAMP) tests/fuzz/requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/fuzz/requirements.lock
	@touch $@

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

live-full: live  ## The same, and then real servers of every protocol that Debian has one for
	tests/live_full/install
	$(BIN)/python -m pytest tests/live_full --timeout 300 --override-ini addopts="-q --strict-markers --import-mode=importlib"

slow: setup  ## Whole runs by the command: of mail domains, killed and resumed (a hundred times, too), on disks that fill (root)
	$(BIN)/python -m pytest tests/slow --timeout 1500 --override-ini addopts="-q --strict-markers --import-mode=importlib"

bench: setup  ## Measure client CPU, memory and idle connections against yardsticks of the same run (some minutes)
	$(BIN)/python -m benchmarks

bench-full: setup  ## The same, larger and more often, with 200,000 targets and a survey of 100,000 domains: for a night
	$(BIN)/python -m benchmarks --full

bench-compare: setup  ## Name what got worse since BASE=benchmarks/results/2026-….json by more than its noise
	@test -n "$(BASE)" || { echo 'BASE=… is missing: the results to compare with' >&2; exit 2; }
	$(BIN)/python -m benchmarks.compare $(BASE)

bench-peers:  ## Install sslscan and sslyze for the benchmark's table (sslyze in .venv-peers)
	.ci/make-venv $(PYTHON) .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check 'sslyze>=6.3,<7'
	command -v sslscan >/dev/null || { apt-get update -qq && apt-get install -y -qq sslscan >/dev/null; }

lock:  ## Renew the lock files from the ranges in pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --quiet --upgrade -o requirements.lock
	uv pip compile --group fuzz --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --quiet --upgrade -o tests/fuzz/requirements.lock

clean:  ## Remove what make made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis demo.jsonl
