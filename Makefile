# Two commands: `make run` (a demo, ending in a running service) and `make test` (everything that CI checks).
# Each installs what the system lacks (deploy/setup.sh), on Debian and Ubuntu; elsewhere it says what is needed.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# RocksDB is the cost of a build: its objects are kept outside the checkout, so that a fresh clone on the same machine is quick.
CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/accrue/target
export CARGO_TARGET_DIR

# ccache by PATH and not by CC: cargo's fingerprints stay the same with and without it. Looked for at each step, as setup may
# just have installed it; so is cargo, which rustup puts where a plain shell does not look.
CARGO = PATH="$$([[ -d /usr/lib/ccache ]] && printf '/usr/lib/ccache:')$$PATH:$${CARGO_HOME:-$$HOME/.cargo}/bin" cargo

# Always the whole workspace: one set of features, so that no dependency is compiled twice.
BUILD = $(CARGO) build --locked --workspace --bins

ACCRUE_DIR ?= ./data/demo
MEMBERS ?= 10000
YEARS ?= 2
SEED ?= 7

.PHONY: help run test bench lint fmt clean setup setup-test kafka duckdb

help:
	@printf '%s\n' \
	  'make run    build, make two years of life of 10,000 members, take it in, serve it (ACCRUE_DIR, MEMBERS, YEARS, SEED)' \
	  'make test   lint, build, and run every test, against a real Kafka' \
	  'make bench  the benchmarks; figures and floors in one run' \
	  'make lint   formatting and clippy alone' \
	  'make fmt    format the code' \
	  'make clean  remove what was built and the demo'

setup:
	@deploy/setup.sh build

setup-test:
	@deploy/setup.sh test

kafka: setup-test
	@deploy/kafka-dev/kafka-dev install >/dev/null

duckdb: setup-test
	@deploy/duckdb/duckdb-dev install >/dev/null

run: setup
	$(BUILD) --release
	"$$CARGO_TARGET_DIR/release/accrue" demo --dir "$(ACCRUE_DIR)" --members $(MEMBERS) --years $(YEARS) --seed $(SEED) --serve

lint: setup-test
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

test: kafka duckdb lint
	$(BUILD)
	$(CARGO) test --locked --workspace

bench: setup
	$(BUILD) --release
	$(CARGO) bench --locked --workspace --bench '*'
	"$$CARGO_TARGET_DIR/release/accrue" bench

fmt:
	$(CARGO) fmt --all

clean:
	$(CARGO) clean
	rm -rf ./data/demo
