# Everything a person or CI runs. `make demo` and `make test` do all the set-up themselves.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export CARGO_BUILD_TARGET ?= x86_64-unknown-linux-musl
export CARGO_TERM_PROGRESS_WHEN ?= never
export INSTA_UPDATE ?= no
BED := tests/bed/bed
SCRIPTS = install.sh .ci/run tests/all tests/demo $(BED) $(wildcard tests/bed/lib/*.sh tests/bed/images/*.sh tests/bed/images/*/*.sh) tests/bed/images/shared/gosu

.PHONY: help demo test test-all check docs audit bench setup build down clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: setup build ## Set up everything and run a real `rcfed init` on the bed
	tests/demo

test: setup ## All checks, and all tests but the longest
	tests/all

test-all: export RCFED_TEST_ALL = 1
test-all: setup ## Also every combination, however long
	tests/all

check: ## Format, lints, documentation, shell scripts
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --quiet
	shellcheck -x $(SCRIPTS)

bench: setup ## The figures rcfed is held to, beside its peers
	cargo build --release
	cargo build --workspace --bins
	/usr/bin/python3 tests/bench/bench.py target/$(CARGO_BUILD_TARGET)/release/rcfed $(BENCH)

docs: ## Write the reference pages again that are made from the code
	RCFED_UPDATE_DOCS=1 cargo test --lib the_page_is_that_of_the_code
	RCFED_UPDATE_DOCS=1 cargo test --test doctor the_page_of_faults
	RCFED_UPDATE_DOCS=1 cargo test --test doctor_remote the_page_of_remote_faults

audit: ## Licences, advisories and bans
	command -v cargo-deny >/dev/null || env -u CARGO_BUILD_TARGET cargo install --locked cargo-deny
	cargo deny check

setup: ## Install what the bed needs (as root), or name what is missing
	$(BED) setup

build: ## Build rcfed and the stand-ins
	cargo build --workspace --bins

down: ## Stop the bed and remove its namespaces
	$(BED) down
	second=$${RCFED_BED_DIR:-/tmp/rcfed-bed}-faults; \
	if [ -d "$$second" ]; then RCFED_BED_DIR=$$second RCFED_BED_NS=$${RCFED_BED_NS:-rcfed}f $(BED) down; fi

clean: down ## Also remove what was built
	cargo clean
