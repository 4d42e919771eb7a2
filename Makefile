# Every target sets itself up: Python 3.11, a C compiler and PyPI are all it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: ask serve test browser apertium nginx check eval eval-retrieval eval-claims eval-scale eval-languages eval-fidelity audit bench train-adapter docs screenshots lighthouse clean

ask: $(READY)
	$(BIN)/tutor ask "$(or $(Q),hva er weight decay?)"

serve: $(READY)
	$(BIN)/tutor serve

test: $(READY) browser apertium nginx
	$(BIN)/pytest

# What some tests need from Debian, installed where we may; those tests are left out elsewhere, and say so.
# $(call debian,is it there?,packages,name)
define debian
	@$(1) || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && apt-get install -y -qq $(2) >/dev/null; } \
	  || echo "$(3) is missing and cannot be installed here: its tests are left out."
endef

browser:
	$(call debian,command -v chromium >/dev/null,chromium,Chromium)

apertium:
	$(call debian,test -e /usr/share/apertium/modes/nob-nno_e.mode,apertium apertium-nno-nob,Apertium)

nginx:
	$(call debian,command -v nginx >/dev/null,nginx-light,nginx)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -m "not real" -q

eval-retrieval: $(READY)
	$(BIN)/python -m evals.retrieval

eval-scale: $(READY)
	$(BIN)/python -m evals.scale

eval-languages: $(READY)
	$(BIN)/python -m evals.languages

eval-claims: $(READY)
	$(BIN)/python -m evals.claims

# Answers are written down as they come; run it again and it goes on where it stopped.
eval-fidelity: $(READY)
	$(BIN)/python -m evals.fidelity

eval: eval-claims eval-retrieval eval-fidelity

# What people have labelled in evals/audit/answers.tsv; «python -m evals.audit sample» draws the sheet.
audit: $(READY)
	$(BIN)/python -m evals.audit score

bench: $(READY)
	$(BIN)/python -m evals.bench

# Some 45 minutes on two cores, with checkpoints; into build/adapter.
train-adapter: $(READY)
	$(BIN)/pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[train]'
	$(BIN)/python -m evals.train_adapter build/adapter

docs: $(READY)
	$(BIN)/python -m evals.readme

# Pictures for the README, taken with the real model.
screenshots: $(READY) browser
	PYTHONPATH=tests:tests/ui:. $(BIN)/python tests/ui/screenshots.py

# Seconds to a usable page, its weight, and Lighthouse's marks; npm fetches Lighthouse.
lighthouse: $(READY) browser
	$(BIN)/python tests/ui/lighthouse.py

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --progress-bar off -c constraints.txt -e '.[dev,eval]'
	touch $@

clean:
	rm -rf $(VENV)
