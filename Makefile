# Each target makes the environment it needs: a clean clone and `make demo` are enough.
PYTHON ?= python3
VENV := .venv
OLDEST := .venv-oldest
TORCH := .venv-torch
LOGS ?= logs
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
# Most of a test is tracing, which one core does; a file's tests share their fixtures.
PARALLEL := --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test test-oldest test-torch lint notebooks bench tensorboard clean
.PHONY: $(NOTEBOOKS)

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed  ## watch a run fall ill and recover, on real data, in about a minute
	@TF_CPP_MIN_LOG_LEVEL=3 $(VENV)/bin/keras-activations demo

test: $(VENV)/.installed  ## run the tests and the examples in the docstrings
	@$(VENV)/bin/python -m pytest $(PARALLEL)

test-oldest: $(OLDEST)/.installed  ## the same with the oldest supported releases (Python 3.11 or 3.12)
	@$(OLDEST)/bin/python -m pytest $(PARALLEL)

test-torch: $(TORCH)/.installed  ## check functions and layers on Keras's PyTorch backend
	@KERAS_BACKEND=torch $(TORCH)/bin/python -m tests.deployment.other_backend

lint: $(VENV)/.installed  ## check style, types and the direction of imports
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

notebooks: $(NOTEBOOKS)  ## execute the notebooks and save their output in place

$(NOTEBOOKS): $(VENV)/.installed
	@$(VENV)/bin/python -m nbconvert --to notebook --execute --inplace \
		--ExecutePreprocessor.record_timing=False $@

bench: $(VENV)/.installed  ## measure overhead, errors, speed, conversions and detection (hours)
	@$(VENV)/bin/python -m benchmarks cost
	@$(VENV)/bin/python -m benchmarks numerics
	@$(VENV)/bin/python -m benchmarks speed
	@$(VENV)/bin/python -m benchmarks deployment
	@$(VENV)/bin/python -m benchmarks faults

tensorboard: $(VENV)/.installed  ## open TensorBoard on LOGS (default: logs)
	@$(VENV)/bin/tensorboard --logdir $(LOGS)

clean:  ## remove the environments, caches and build output
	rm -rf $(VENV) $(OLDEST) $(TORCH) build dist *.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --editable '.[dev,demo]'
	@touch $@

# Not in the `test` extra: it is as large as everything else together.
$(TORCH)/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(TORCH)
	$(TORCH)/bin/python -m pip install --quiet --upgrade pip
	$(TORCH)/bin/python -m pip install --quiet --editable '.[test]' torch
	@touch $@

# Every lower bound of install_requires as the exact release.
OLDEST_RELEASES = from configparser import ConfigParser; \
	config = ConfigParser(); \
	config.read("setup.cfg"); \
	bounds = config["options"]["install_requires"].split(); \
	print(*(bound.replace(">=", "==") for bound in bounds))

$(OLDEST)/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --upgrade pip
	$(OLDEST)/bin/python -m pip install --quiet --editable '.[test,demo]' $$($(PYTHON) -c '$(OLDEST_RELEASES)')
	@touch $@
