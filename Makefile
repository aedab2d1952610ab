# Everything a newcomer needs: `make chat` grows an assistant and talks to it, `make test` checks the house.
#
#   make chat MODEL=Qwen/Qwen3-0.6B   talk to another model: a folder, a name or a Hugging Face id
#   make chat GPU=1                   with the packages for NVIDIA GPUs; every later make needs it too
#   make install TORCH_INDEX=         torch from pip's usual index
#   make chat PYTHON=python3.12       another Python, 3.11 to 3.14

PYTHON ?= python3
VENV ?= .venv
GPU ?=
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
MODEL ?=

BIN := $(VENV)/bin
SET := $(if $(GPU),gpu,cpu)
STAMP := $(VENV)/installed-$(SET)

.DEFAULT_GOAL := help
.PHONY: help install chat report lint test check-full lock clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

install: $(STAMP)  ## build the virtual environment from the lock file

$(STAMP): requirements/$(SET).lock requirements/install.py pyproject.toml
	@$(PYTHON) requirements/install.py $(VENV) $(if $(GPU),--gpu) --torch-index "$(TORCH_INDEX)"
	@touch $@

chat: install  ## grow the default assistant if there is none, and talk to it
	@$(BIN)/homegrown chat $(if $(MODEL),"$(MODEL)")

report: install  ## say how good the assistant is that `make chat` grew: prints the path of a page
	@$(BIN)/homegrown eval report

lint: install  ## check the style
	@$(BIN)/ruff check --quiet --output-format concise

test: lint  ## style, unit and integration tests
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not grown"

check-full: install  ## grow the almanac if needed and hold it to every figure, the final exam included
	@$(BIN)/homegrown train run almanac
	@$(BIN)/python -m pytest -q -m grown

lock: install  ## resolve the lock files anew from requirements/*.in
	@$(BIN)/python requirements/lock.py

clean:  ## remove the virtual environment and caches, not what was grown (.homegrown)
	rm -rf $(VENV) *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
