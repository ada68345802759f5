# What a contributor runs. Needs python3 (3.11 or newer, with venv), git and make; everything else is
# installed below build/, nothing outside it.
PYTHON ?= python3
TOOLS := build/tools
TEMPLATE := {{cookiecutter.project_slug}}
export PATH := $(CURDIR)/$(TOOLS)/bin:$(PATH)
# Bytecode and caches inside the template folder would be copied into every project that is baked.
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/cache/bytecode
unexport PYTHONDONTWRITEBYTECODE VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help check test lint demo docs notebooks clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

check: $(TOOLS)/complete ## the quick tests, a minute
	python -m pytest -m "not slow" -n 2 -q

test: $(TOOLS)/complete ## all tests, in a baked project too
	python tests/system_packages.py
	python -m pytest -m "not slow" -n 2 -q
	python -m pytest -m slow -n 5 --dist loadfile --no-loadscope-reorder -q --durations=25 $(if $(RERUNS),--reruns $(RERUNS))

lint: $(TOOLS)/complete ## ruff, the type checker and shellcheck, over the template and over a baked project
	python tests/lint.py

demo: $(TOOLS)/complete ## bake a project, and run its digit lab on a remote machine: an SSH server that is started for it
	PYTHONPATH=src python tests/demo.py

docs: $(TOOLS)/complete ## build the pages of docs/ as a site, in build/site
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build

notebooks: $(TOOLS)/complete ## write the labs' notebooks again from their scripts
	python "$(TEMPLATE)/scripts/sync_pairs.py" --keep script
	rm -r "$(TEMPLATE)/.lab" # what it remembers of this checkout does not belong into a project

clean: ## remove everything that the targets above made
	rm -rf build

$(TOOLS)/complete: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is missing, or older than 3.11. Name another one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(TOOLS) || \
	  { echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(TOOLS)/bin/uv pip install --quiet --python $(TOOLS)/bin/python --group dev
	@touch $@
