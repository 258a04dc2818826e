# The whole house in seven words; everything happens in .venv and var.
PYTHON ?= python3
SOURCES := $(shell find service signing templates -type f -not -name '*.pyc')

.PHONY: demo test test-long serve lint bench clean

demo: .venv/installed
	.venv/bin/python -m tests.demo

test: lint
	.venv/bin/python -m pytest -q -n 3 --dist worksteal

test-long: lint
	.venv/bin/python -m pytest -q -n 3 --dist worksteal -m 'long or not long'

serve: .venv/installed
	.venv/bin/qianfa serve

lint: .venv/installed
	.venv/bin/ruff check service signing tests bench
	.venv/bin/ruff format --check service signing tests bench
	.venv/bin/mypy

bench: .venv/installed
	.venv/bin/python -m bench

clean:
	rm -rf .venv dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/locked: requirements.lock
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

.venv/installed: .venv/locked pyproject.toml README.md $(SOURCES)
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall .
	touch $@
