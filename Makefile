# `make run` and `make test` are all there is to remember; both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export UV_LINK_MODE := copy
# Nobody's own settings change what is built here.
export PYTHONDONTWRITEBYTECODE := 1

RUST_SOURCES := Cargo.toml Cargo.lock core_rs/Cargo.toml core_rs/build.rs $(shell find core_rs/src -name '*.rs')
WEB_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' 2>/dev/null)

.PHONY: help setup run test test-arm bench wheel lint lint-rust docs train format lock clean web run-packages test-packages

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | expand -t 20

setup: $(VENV)/.extension ## Python environment and compiled extension; starts nothing

run: run-packages setup web ## set up everything and serve, with demo data
	$(BIN)/chiron serve --demo

test: test-packages setup web ## every test
	cargo test --workspace --locked --quiet
	cd web && npm test --silent
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder

test-arm: ## tests of the content scorer as an ARM processor runs them (on Debian, with QEMU): some minutes
	$(call install-debian,qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
	rustup target add aarch64-unknown-linux-gnu
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu" \
	cargo test --locked --quiet --target aarch64-unknown-linux-gnu --package chiron-core --lib score::

bench: run-packages setup ## measure everything: some ten minutes on a machine that does nothing else
	$(BIN)/python -m bench all --json target/bench.json --plot target/bench.svg

wheel: setup web ## the wheel to install elsewhere, in dist/
	$(BIN)/maturin build --release --locked --out dist

lint: setup web/node_modules/.installed lint-rust ## every static check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p chiron
	$(BIN)/mypy tests
	$(BIN)/mypy bench
	$(BIN)/mypy -p training
	$(BIN)/lint-imports
	$(BIN)/python -m mypy.stubtest chiron._core
	cd web && npm run --silent check

lint-rust:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features --locked -- -D warnings

docs: setup ## write the pages that are made from sources
	$(BIN)/python -m chiron.server.settings.document > docs/settings.md
	$(BIN)/python tests/peers/access.py > docs/access.md
	$(BIN)/python tests/peers/h3spec.py > docs/h3spec.md
	$(BIN)/python tests/peers/foreign.py > docs/foreign-clients.md

# Where DATA.md and the files that it names are.
DATA ?= ../shared/data/moderation

train: $(VENV)/.training ## train the content scorer's model: ten minutes; writes weights and docs/model-card.md
	$(BIN)/python -m training --data $(DATA) train
	$(BIN)/python -m training --data $(DATA) card

$(VENV)/.training: $(VENV)/.environment requirements-training.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-training.lock
	@touch $@

format: setup ## rewrite sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cargo fmt --all

lock: $(VENV)/.environment ## refresh the Python and npm lock files
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group dev pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --extra training --constraint requirements.lock pyproject.toml -o requirements-training.lock
	cd web && npm install --package-lock-only --omit-lockfile-registry-resolved

clean: ## remove what was built
	rm -rf $(VENV) target dist web/node_modules core_rs/python/chiron/_web core_rs/python/chiron/_core*.so

web: core_rs/python/chiron/_web/index.html

core_rs/python/chiron/_web/index.html: web/node_modules/.installed $(WEB_SOURCES)
	@echo "Building the web client"
	@cd web && npm run --silent build

web/node_modules/.installed: web/package-lock.json
	@echo "Installing the packages of the web client"
	@cd web && npm ci --loglevel=error --no-audit --no-fund
	@touch $@

$(VENV)/.environment: requirements.lock
	@echo "Installing the Python packages in $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.extension: $(VENV)/.environment pyproject.toml $(RUST_SOURCES)
	@echo "Compiling the Rust extension: some minutes the first time"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# What Debian's images lack: libraries of the embedded PostgreSQL, and the browser and other clients of the tests.
DEBIAN_RUN := libssl3 libxml2 libgssapi-krb5-2 liblz4-1 libzstd1 tzdata
DEBIAN_TEST := $(DEBIAN_RUN) chromium curl ngtcp2-client

define install-debian
@if command -v dpkg-query >/dev/null; then \
	missing=$$(for name in $(1); do dpkg-query -W -f='$${Status}' $$name 2>/dev/null | grep -q '^install ok installed' || echo $$name; done); \
	if [ -n "$$missing" ]; then \
		if [ "$$(id -u)" = 0 ]; then run=; elif sudo -n true 2>/dev/null; then run=sudo; else \
			echo "Please install: apt-get install --no-install-recommends" $$missing; exit 1; fi; \
		$$run apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$run apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi; \
fi
endef

run-packages:
	$(call install-debian,$(DEBIAN_RUN))

test-packages:
	$(call install-debian,$(DEBIAN_TEST))
