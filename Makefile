# `make` alone prints what there is. A fresh machine needs Python 3.10 or newer and make, nothing else:
# everything is installed into $(VENV), once; the files $(VENV)/.done-* say what is there already.

VENV ?= .venv
# an interpreter, e.g. `make test PYTHON=/opt/python3.12/bin/python3`; by default the first one that is suitable
PYTHON ?=
# what to install besides, e.g. `make test EXTRAS=fast`; a change counts after `make clean`
EXTRAS ?=
# for pytest, e.g. `make test ARGS='-k resume'`
ARGS ?=

CANDIDATES = python3 python3.14 python3.13 python3.12 python3.11 python3.10 python
# it has to run (a pyenv shim may not), be new enough, and be able to make an environment (Debian's may not)
SUITABLE = -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))'
BIN = $(VENV)/bin
# setuptools warns of each editable installation, and newer versions of pip show it
PIP = PYTHONWARNINGS='ignore:Editable installation' $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST = $(BIN)/python -m pytest $(ARGS)
# on all cores; what starts a cluster of its own does not
PARALLEL = --numprocesses auto --dist worksteal
ENGINES = hadoop or spark or faults or emr or s3 or gs or azure or postgres or secure
# Go may be where its own installer puts it
GO = $(or $(shell command -v go),/usr/local/go/bin/go)

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-hadoop test-secure test-spark test-faults test-emr test-postgres check lint format docs hadoop bench clean
# an installation that fails leaves no file that says it is done
.DELETE_ON_ERROR:

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 22

demo: $(VENV)/.done-package ## train on sample_logs/ and recommend: the whole path in half a minute
	rm -rf demo-model
	$(BIN)/mr-als train sample_logs --model demo-model --join shuffle
	$(BIN)/mr-als explain --model demo-model jazz-fan-017 'Crooked Brass (jazz)'
	$(BIN)/mr-als recommend --model demo-model jazz-fan-017 metal-fan-010 -n 5

test: $(VENV)/.done-test ## the tests that need some minutes and no other software
	$(PYTEST) $(PARALLEL)

test-slow: $(VENV)/.done-docs ## the tests that take longer, such as that of the wheel, and those in a browser: needs Chromium
	$(PYTEST) $(PARALLEL) --dist loadfile -m 'slow and not ($(ENGINES))' tests  # files share what is slow to make

test-hadoop: $(VENV)/.done-spark $(VENV)/.done-aws ## the tests on a single-node Hadoop, which they start and break a little; needs JDK 17 and Maven
	$(PYTEST) -m 'hadoop or (faults and not slow)' tests

test-secure: $(VENV)/.done-spark ## the tests on a Hadoop with Kerberos and TLS, which they start; needs JDK 17, Maven and MIT Kerberos
	$(PYTEST) -m secure tests/secure

test-spark: $(VENV)/.done-spark $(VENV)/.done-oldest-spark $(VENV)/.done-aws $(VENV)/.done-clouds ## the tests on Spark here, and on clusters of it over HDFS, which they start; needs JDK 17, Maven, Go and npm
	MR_ALS_HADOOP_NAME=hadoop-spark MR_ALS_OLDEST_SPARK=$(VENV)/oldest-spark $(PYTEST) -m 'spark and not faults' tests

test-faults: $(VENV)/.done-test ## the tests that break Hadoop in all ways; needs JDK 17 and Maven, and most of an hour
	$(PYTEST) -m faults tests

test-emr: $(VENV)/.done-aws $(VENV)/.done-clouds ## the tests of EMR and S3, Google Cloud Storage and Azure against local stand-ins; needs Go and npm
	$(PYTEST) -m '(emr or s3 or gs or azure) and not spark' tests

test-postgres: $(VENV)/.done-test ## nights of training that end in a table; needs PostgreSQL, as Debian's package
	$(PYTEST) -m postgres tests

check: lint ## before a commit: format, lint, types and the tests of `make test`
	$(PYTEST) $(PARALLEL) --quiet

lint: $(VENV)/.done-dev ## format, lint and types alone
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.done-dev ## format the code and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.done-docs ## build the pages as a site into build/site, with search and the API reference
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "read it:  $(BIN)/python -m http.server --bind 127.0.0.1 --directory build/site 8000"

hadoop: $(VENV)/.done-test ## start a single-node Hadoop to play with; needs JDK 17 and Maven
	$(BIN)/python -m local_hadoop

bench: $(VENV)/.done-bench ## measure against other libraries; takes its time
	$(BIN)/python -m benchmarks.run

clean: ## remove environments, caches and the model of the demo
	rm -rf .venv* build dist *.egg-info demo-model .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.done-package: pyproject.toml setup.cfg
	@for python in $(or $(PYTHON),$(CANDIDATES)); do \
	  if $$python $(SUITABLE) 2>/dev/null; then \
	    echo "setting up $(VENV) with $$($$python --version), once: this takes a minute"; \
	    exec $$python -m venv $(VENV); \
	  fi; \
	done; \
	echo "none of these is a Python >= 3.10 that can make a virtual environment: $(or $(PYTHON),$(CANDIDATES))" >&2; \
	echo "install one (on Debian and Ubuntu python3-venv too), or name one: make PYTHON=/path/to/python3" >&2; \
	exit 1
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --editable '.$(if $(EXTRAS),[$(EXTRAS)])'
	@touch $@

$(VENV)/.done-test: $(VENV)/.done-package
	@$(PIP) install --group test
	@touch $@

$(VENV)/.done-docs: $(VENV)/.done-test
	@$(PIP) install --group docs
	@touch $@

$(VENV)/.done-dev: $(VENV)/.done-package
	@$(PIP) install --group dev
	@touch $@ $(VENV)/.done-test

$(VENV)/.done-spark: $(VENV)/.done-test
	@$(PIP) install --editable '.[spark]'
	@touch $@

# the oldest that the extra allows, beside what is installed
$(VENV)/.done-oldest-spark: $(VENV)/.done-test
	@$(PIP) install --no-deps --target $(VENV)/oldest-spark pyspark==3.5.0 py4j==0.10.9.7
	@touch $@

$(VENV)/.done-aws: $(VENV)/.done-test
	@$(PIP) install --editable '.[emr]' --group aws
	@touch $@

# stand-ins of clouds: Google's in Go, Azure's for Node.js
$(VENV)/.done-clouds: $(VENV)/.done-test
	@command -v npm >/dev/null && command -v $(GO) >/dev/null || { echo 'the stand-ins of clouds need Go and npm' >&2; exit 1; }
	@$(PIP) install --editable '.[gs,azure]' --group aws
	@GOBIN=$(abspath $(BIN)) $(GO) install github.com/fsouza/fake-gcs-server@v1.56.1
	@npm install --silent --no-fund --no-audit --prefix $(VENV)/azurite azurite@3.37.0
	@touch $@

$(VENV)/.done-bench: $(VENV)/.done-test
	@$(PIP) install --editable '.[fast,spark]' --group bench
	@touch $@
