# Every verb sets up what it needs, so each works alone on a fresh checkout. `make` by itself lists them.
#
#   PYTHON=python3.12 make setup      another interpreter (3.11 or newer)
#   TORCH_INDEX=https://... make      another build of torch, e.g. the CPU one; see README.md
#   PYTEST_ARGS='-k resume' make test
#   BROWSER=1 make setup              also Debian's Chromium, for the browser tests
#
# web/ runs as it stands. Where npm is there, what checks it is installed too; without npm those checks are left out.

PYTHON ?= python3
TORCH ?= torch==2.13.0
TORCH_INDEX ?=
PYTEST_ARGS ?=
HOST ?= 127.0.0.1
PORT ?= 8765
BROWSER ?=

# Python keeps what it has compiled, whatever the machine's habit: each process would compile all of it anew.
export PYTHONDONTWRITEBYTECODE :=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
MODELS := $(VENV)/.models
# The list of model files; a change to it pulls again.
MODEL_LIST := $(wildcard engine/models/catalogue.py)
NODE := node_modules
WEB_CHECKS := $(if $(shell command -v npm),$(NODE)/.installed)
TSC := $(NODE)/.bin/tsc

.DEFAULT_GOAL := help
.PHONY: help setup browser generate check fix test test-slow test-gpu demo demo-cluster serve bench clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: $(INSTALLED) $(WEB_CHECKS) $(MODELS) $(if $(BROWSER),browser) ## install everything into .venv and pull the model files

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) '$(TORCH)'
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[engine,training,dev]'
	touch $@

$(MODELS): $(INSTALLED) $(MODEL_LIST)
	$(BIN)/python -m safelight models pull
	touch $@

$(NODE)/.installed: package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error && touch $@ || echo 'npm failed: the types of web/ are not checked here'

browser:
	command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }

generate: $(INSTALLED) $(WEB_CHECKS) ## write what the JavaScript client knows of the protocol, and its declarations
	$(BIN)/python -m tools.javascript_protocol
	if [ -x $(TSC) ]; then $(TSC) --project tsconfig.client.json; fi

check: $(INSTALLED) $(WEB_CHECKS) ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	if [ -x $(TSC) ]; then $(TSC); fi

fix: $(INSTALLED) ## repair what lint and formatting can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: check $(MODELS) ## check, then every test that takes seconds and no GPU
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder -m 'not slow and not gpu and not alone' $(PYTEST_ARGS)
	$(BIN)/pytest -o testpaths="$$(grep -rl --include='test_*.py' 'mark\.alone' tests | xargs)" \
		-m 'alone and not slow and not gpu' $(PYTEST_ARGS) || [ $$? -eq 5 ] # 5: PYTEST_ARGS chose none of them

test-slow: $(INSTALLED) $(MODELS) ## the tests that take minutes: real models under kill -9, long soaks
	$(BIN)/pytest -m 'slow and not gpu' $(PYTEST_ARGS)

test-gpu: $(INSTALLED) $(MODELS) ## the tests that need a CUDA device
	$(BIN)/pytest -m gpu $(PYTEST_ARGS)

demo: $(INSTALLED) $(MODELS) ## run a server and three jobs on a photograph; pictures land in demo-output/
	$(BIN)/safelight demo

demo-cluster: $(INSTALLED) $(MODELS) ## run 2 gateways and 3 workers here, and kill some; see demo-output/cluster/
	$(BIN)/safelight demo --cluster

serve: $(INSTALLED) $(MODELS) ## run the server on HOST and PORT
	$(BIN)/safelight serve --host $(HOST) --port $(PORT)

bench: $(INSTALLED) ## measure against bare references in the same run
	$(BIN)/python -m bench

clean: ## remove caches and build products; .venv and data stay
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-output
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
