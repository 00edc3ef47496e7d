VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
# The first Python on the path that the connector supports.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.10 python; do \
	$$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$python && break; done)

# Thousands of modules are imported by hundreds of processes: what Python compiles of them is kept, whatever the shell says.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-fast ecosystem image coverage lint prove mutants bench fields lock clean

demo: $(STAMP)
	@$(BIN)/python -m tools.demo

# Enough to notice every broken rule, as `make mutants` shows; `make prove` tries more.
# A test at a time goes to whichever worker is free; conftest.py says which files stay together.
test: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist loadscope

# Seconds, for the loop while you write: the core with fewer random cases, the units, and a few whole syncs.
test-fast: $(STAMP)
	@PROOF=fast $(BIN)/python -m pytest -n auto --dist worksteal unit_tests integration_tests/test_python_api.py

# What needs other programs (PyAirbyte, Dagster, Postgres, the steps of the image, the costs of ClickHouse), and the
# documents.
ecosystem: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist loadscope ecosystem_tests

# The image in a container engine, and each command in it. `make image ENGINE=podman BASE=an/image` chooses both.
image: $(STAMP)
	@ENGINE="$(ENGINE)" BASE="$(BASE)" $(BIN)/python -m tools.image

# Every branch of the core, by its own tests.
coverage: $(STAMP)
	$(BIN)/coverage erase
	WINDOWS=250 SYNCS=250 TABLES=100 $(BIN)/coverage run -m pytest unit_tests/exact unit_tests/inputs/test_states.py unit_tests/test_simulation.py
	$(BIN)/coverage report

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# All of each matrix, a hundred thousand simulated syncs, hundreds of random accounts and hundreds of crashes.
prove: $(STAMP)
	PROOF=long $(BIN)/python -m pytest -n auto --dist loadscope

# Breaks each rule of the reading of events in a copy, and shows which test notices.
mutants: $(STAMP)
	$(BIN)/python -m tools.mutants

# Side by side with the published connector, which it installs into an environment of its own.
bench: $(STAMP)
	$(BIN)/python -m tools.bench

# The reference of fields, from the schemas.
fields: $(STAMP)
	$(BIN)/python -m tools.fields

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python from 3.10 to 3.13 found. Install one, or name it: make PYTHON=/path/to/python"; exit 1; }
	@echo "Installing $$(grep -c . requirements.lock) libraries into $(VENV) (once) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@echo "Installed $(VENV): $$(du -sm $(VENV) | cut -f1) MB."
	@touch $(STAMP)

# Needs uv. One lock for all supported versions of Python, and no address of a registry in it.
lock:
	uv pip compile --universal --python-version 3.10 --extra dev --no-emit-index-url --no-emit-find-links \
		--no-header --no-annotate pyproject.toml --output-file requirements.lock

clean:
	rm -rf $(VENV) .venv-* .bench .cache .coverage build *.egg-info .mypy_cache .ruff_cache .hypothesis
