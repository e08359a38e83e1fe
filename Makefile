# Each target sets up what it needs by itself: see scripts/setup.
.DEFAULT_GOAL := help
.PHONY: help demo test bench clean

help:
	@echo "make demo   images, a build and containers through a real docker client on a Lamina daemon"
	@echo "make test   every check: format, lint, types, room boundaries, tests"
	@echo "make bench  Lamina beside dockerd, every row measured on both"
	@echo "make clean  remove the virtual environment, caches and downloads"

demo:
	@scripts/demo

test:
	@scripts/setup test
	@scripts/check

bench:
	@scripts/setup bench
	@.venv/bin/python -m bench

clean:
	rm -rf .venv .sdists .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
