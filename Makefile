# Everything a person types. Needs Python 3.11+ with venv, git and make; nothing else.
# Settings pass through the environment or the command line: make run PORT=8080
PY := .venv/bin/python
N ?= 10000
ARGS ?=

.PHONY: help run demo test test-all fuzz mutants bench lint format secrets clean
.DEFAULT_GOAL := help

help: ## Show what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' Makefile

run: ## Start Muster on http://127.0.0.1:8000 (HOST=, PORT=, MUSTER_DATA=)
	@.ci/venv && exec $(PY) manage.py up

demo: ## Build and crawl the demo repositories
	@.ci/venv && exec $(PY) manage.py demo $(ARGS)

test: ## Run the tests; says what it left out and why (ARGS="-k name")
	@.ci/venv requirements-dev.txt && exec .ci/tests $(ARGS)

test-all: ## Run every test, the exhaustive ones too (long)
	@MUSTER_EXHAUSTIVE=1 $(MAKE) --no-print-directory test ARGS='$(ARGS)'

fuzz: ## Compare N random histories with the real gto (N=10000)
	@.ci/venv requirements-dev.txt && exec $(PY) -m tests.core.fuzz $(N)

mutants: ## Change the core bit by bit: does a test notice? Hours (ARGS="fold tags")
	@.ci/venv requirements-dev.txt && exec $(PY) -m tests.core.mutants $(ARGS)

bench: ## Measure speed and size, as ratios of one run (QUICK=1 for small ones)
	@.ci/venv requirements-dev.txt && QUICK=$(QUICK) exec $(PY) -m bench

lint: ## Check style, types and migrations
	@.ci/venv requirements-dev.txt
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) manage.py makemigrations --check --dry-run

format: ## Rewrite the files in the house style
	@.ci/venv requirements-dev.txt
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

# The containers run as users of their own: the files are readable, the folder is not.
secrets: ## Make random keys for compose.yaml under secrets/ (keeps existing ones)
	@mkdir -p -m 0700 secrets && cd secrets && python3 -c "import base64, os, secrets; \
	  owner = f'postgres://muster:{secrets.token_hex(24)}@db:5432/muster'; \
	  files = {'secret_key': secrets.token_urlsafe(50), \
	    'encryption_keys': base64.urlsafe_b64encode(os.urandom(32)).decode(), \
	    'postgres_password': secrets.token_hex(24), 'database_url': owner}; \
	  made = [name for name in files if not os.path.exists(name)]; \
	  [open(name, 'x').write(files[name]) for name in made]; \
	  [os.chmod(name, 0o444) for name in made]; \
	  print('Made', ', '.join('secrets/' + name for name in made) + \
	    ': keep a copy, they are the only keys.' if made else 'nothing: all are there.')"

clean: ## Remove .venv and caches; var/ with your data stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis mutants staticfiles
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
