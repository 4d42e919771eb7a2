# Every target sets itself up: Python 3.11, a C compiler and PyPI are all it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: ask serve test check eval eval-retrieval bench docs clean

ask: $(READY)
	$(BIN)/tutor ask "$(or $(Q),hva er weight decay?)"

test: $(READY)
	$(BIN)/pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -m "not real" -q

eval-retrieval: $(READY)
	$(BIN)/python -m evals.retrieval

docs: $(READY)
	$(BIN)/python -m evals.readme

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --progress-bar off -c constraints.txt -e '.[dev,eval]'
	touch $@

clean:
	rm -rf $(VENV)
