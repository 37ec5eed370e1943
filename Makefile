# Needs Python 3.11 or newer, and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# The tests start hundreds of processes, each of which would compile our modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo dev test test-oldest test-large bench bench-webhook rehearsal runthrough format lint types check-imports lock

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed. Set PYTHON=… to its command."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

demo: setup
	@$(BIN)/messenger-pipeline demo

dev: setup
	@$(BIN)/messenger-pipeline dev

test: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

# On the oldest server that is supported: .ci/with-postgresql-15 make test-oldest
# All tests of the database, and the files of syncs and webhooks whose SQL is the most; ALL=1 for all
# of them, which takes as long again as `make test` does for those.
OLDEST = tests/db $(if $(ALL),tests/sync tests/webhook, \
  $(addprefix tests/sync/test_,run.py gaps.py full_syncs.py set_aside.py accounts.py) \
  $(addprefix tests/webhook/test_,drain.py drain_failures.py accounts.py names.py))
test-oldest: setup
	@test -n "$$MESSENGER_TEST_DATABASE_URL" || { echo "Set MESSENGER_TEST_DATABASE_URL."; exit 1; }
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(OLDEST)

# What takes minutes: whole stacks, their backfills and restarts, every fault, secrets, and more of
# what `make test` samples: CRASH kills, ROUNDS of faults in pairs, a backfill of BACKFILL pages.
CRASH ?= 400
ROUNDS ?= 200
BACKFILL ?= 8
test-large: setup
	MESSENGER_BACKFILL_PAGES=$(BACKFILL) \
	  $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m large \
	  --ignore tests/crash --ignore tests/sync/test_campaign.py
	MESSENGER_CAMPAIGN_ROUNDS=$(ROUNDS) $(BIN)/pytest -m "" tests/sync/test_campaign.py
	MESSENGER_CRASH_KILLS=$(CRASH) $(BIN)/pytest -m "" tests/crash

# The load of a page, against a floor and against dlt, which has an environment of its own.
# Options: make bench BENCH="--rounds 3 --threads 2000".
bench: setup
	@test -x .messenger/bench-venv/bin/dlt || { $(PYTHON) -m venv .messenger/bench-venv \
	  && .messenger/bench-venv/bin/python -m pip install --quiet --disable-pip-version-check \
	    'dlt[postgres]==1.31.0'; } || echo "dlt cannot be installed and is left out."
	@$(BIN)/python -m bench $(BENCH)

# The receiver of webhooks under load, against a bare route.
bench-webhook: setup
	@$(BIN)/python -m bench.webhook $(BENCH)

# The move from the replaced application, and back: docs/migration.md.
# Options: make rehearsal REHEARSAL="--age before --ids bigint".
rehearsal: setup
	@$(BIN)/python -m tools.rehearsal $(REHEARSAL)

# Records docs/runthrough.md with its screenshots; needs Debian's chromium.
runthrough: setup
	@$(BIN)/python -m tools.runthrough

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Needs uv, from PyPI. The lock names no registry.
lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-strip-extras --no-header --no-annotate --quiet -o requirements.lock
