# Two commands matter: `make run` and `make test`. Each sets up .venv first and does nothing there when it is fresh.
# Needs Python 3.11, 3.12 or 3.13, pip and make. `make help` lists the rest.

PORT ?= 8501
# This machine alone may reach it, unless told otherwise: without a password nobody else is more than a viewer.
ADDRESS ?= 127.0.0.1
ARGS ?=
PY := .venv/bin/python
# A lock holds no address and no path of the machine it was made on (docs/adr/0004).
COMPILE = $(PY) -m uv pip compile pyproject.toml --quiet --group build --universal --python-version 3.11 \
	--fork-strategy fewest --generate-hashes --custom-compile-command "make lock" \
	--no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)

# Where it is set, each of the hundreds of processes of a test run would compile everything anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run test campaign lint lock screenshots clean

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):[^#]* ## /\1 /p' $(MAKEFILE_LIST) | while read -r name what; do printf 'make %-11s %s\n' "$$name" "$$what"; done

run: ## start the console at http://localhost:8501 (PORT=9000 changes the port)
	@sh scripts/setup.sh run
	@$(PY) scripts/check_port.py $(ADDRESS) $(PORT)
	@exec $(PY) -m streamlit run dashboard.py --server.port $(PORT) --server.address $(ADDRESS)

test: ## install what the tests need, then lint and run all tests (ARGS="-k name" is passed to pytest)
	@sh scripts/setup.sh test
	@sh scripts/setup_system.sh
	@$(MAKE) --no-print-directory --jobs=2 checks compiled
	@exec $(PY) -m pytest --numprocesses=$(or $(WORKERS),3) --dist=loadfile $(ARGS)

.PHONY: compiled
compiled: # in a fresh clone each worker would compile every test; beside mypy, which takes one core, it costs nothing
	@$(PY) -m pytest --collect-only --quiet > /dev/null || true

campaign: ## run what takes too long for make test, among it 10,000 random stories of money (MONEY_RUNS=1000, KILLS=20 play fewer)
	@sh scripts/setup.sh test
	@EXAMPLES=300 $(PY) -m pytest tests/core tests/wire tests/feeds tests/venue tests/run tests/practice --numprocesses=2 --dist=loadfile $(ARGS) || test $$? -eq 5
	@$(PY) -m pytest -m campaign --numprocesses=2 --dist=loadfile $(ARGS) || test $$? -eq 5
	@MONEY_RUNS=$(or $(MONEY_RUNS),10000) $(PY) -m pytest tests/core/test_money_machine.py $(ARGS) || test $$? -eq 5

.PHONY: drill mutants soak
soak: ## two minutes of practice at ten times the clock, broken at random, with five real browser sessions that come and go
	@sh scripts/setup.sh test
	@sh scripts/setup_system.sh
	@$(PY) -m pytest -m campaign tests/whole/test_soak.py $(ARGS)

drill: ## simulation testing: HOURS=N more simulated hours on seeds never run before (JOBS=2; reports/drill adds up)
	@sh scripts/setup.sh test
	@$(PY) -m engine drill --more $(or $(HOURS),10) --jobs $(or $(JOBS),1) --json $(ARGS)

mutants: ## plant bugs one by one in a copy and see that each is caught (ARGS="--only tie-is-down")
	@sh scripts/setup.sh test
	@$(PY) scripts/mutants.py $(ARGS)

.PHONY: oracle
oracle: ## let NautilusTrader play the sample too and compare its trades with the sweep's (ARGS="--windows 40")
	@sh scripts/setup.sh test
	@$(PY) scripts/oracle.py --set-up $(ARGS)

.PHONY: fuzz
fuzz: ## give every parser bytes that a coverage-guided fuzzer thinks of (SECONDS=60 for all; ARGS="--only csv journal")
	@sh scripts/setup.sh test
	@$(PY) scripts/fuzz.py --set-up --seconds $(or $(SECONDS),60) $(ARGS)

.PHONY: audit
audit: ## ask whether a locked package has a known fault (needs the internet; fails in words where it cannot ask)
	@sh scripts/setup.sh test
	@$(PY) scripts/audit.py $(ARGS)

lint: ## check style, types and import directions
	@sh scripts/setup.sh test
	@$(MAKE) --no-print-directory checks

.PHONY: checks
checks:
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command as run; run()' --no-logo

lock: ## write the lock files anew (UPGRADE=1 takes the newest versions); needs the network
	@sh scripts/setup.sh test
	@$(PY) -m uv --version >/dev/null 2>&1 || $(PY) -m pip install --quiet uv
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --extra test --constraint requirements.lock --output-file requirements-test.lock
	@{ echo '# Written by make lock: what requirements.lock pins, as Streamlit Community Cloud reads it (docs/adr/0004).'; \
	sed -n 's/^\([^ #].*\) \\$$/\1/p' requirements.lock; } > requirements.txt

screenshots: ## save pictures of every page, both themes, three widths (ARGS="FOLDER --only mode"; reports/screenshots)
	@sh scripts/setup.sh test
	@$(PY) scripts/screenshots.py $(or $(ARGS),reports/screenshots)

clean: ## remove .venv and every cache; what runs have written under data/ stays
	rm -rf .venv .venv-oracle .venv-fuzz .venv-audit .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build ./*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
