# `make` lists what there is. Nothing here needs more than a Rust toolchain and, for what it installs, apt and npm.

CARGO ?= cargo
comma := ,

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: ## build and start the server on ./keyrack-data; prints the setup link
	$(CARGO) run --release --quiet --locked -- serve

demo: ## the server on scratch data: a known admin, sample users, keys and traffic
	$(CARGO) build --release --quiet --locked
	packaging/demo.sh target/release/keyrack

check: fmt lint docs deny ## what needs no running server: format, lints, documentation, licences

fmt: ## is everything formatted?
	$(CARGO) fmt --check

lint: ## clippy, with warnings as errors
	$(CARGO) clippy --quiet --locked --all-targets -- -D warnings

docs: ## the documentation of the code, with broken links as errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --quiet --locked --no-deps --document-private-items

deny: ## licences and sources of all dependencies
	@command -v cargo-deny >/dev/null || $(CARGO) install --quiet --locked --debug cargo-deny
	$(CARGO) deny --log-level error check licenses bans sources

test: check test-rust test-faults-short test-webhook-crash-short test-clients test-docs test-schema-short test-gateways test-acme test-browser ## everything; installs what is missing

test-rust: ## unit tests, and the tests against real servers
	$(CARGO) test --quiet --locked

test-faults: ## kills, power cuts, full and failing disks, damage, clocks, floods: as root, 17 minutes; prints a table
	@for tool in strace xfs_io mkfs.ext4 faketime; do command -v $$tool >/dev/null || echo "missing: apt-get install strace xfsprogs e2fsprogs faketime"; done
	$(CARGO) build --quiet --locked
	python3 tests/faults/run.py

test-faults-short: ## those that need no root and little time, a few tries of each
	$(CARGO) build --quiet --locked
	python3 tests/faults/run.py --short

fuzz: ## every parser that meets the outside under libFuzzer, SECONDS (60) each; needs cargo-fuzz and a nightly compiler
	@command -v cargo-fuzz >/dev/null || $(CARGO) install --quiet --locked --debug cargo-fuzz
	@$(CARGO) +nightly --version >/dev/null 2>&1 || { echo "missing: rustup toolchain install nightly --profile minimal"; exit 1; }
	tests/fuzz/run.sh

fuzz-short: ## the same parsers and the API fed by proptest, a part of test-rust: CASES of each, 20,000 unless said otherwise
	PROPTEST_CASES=$${CASES:-20000} $(CARGO) test --quiet --locked --test it -- parsers:: fuzz:: properties::

test-scan: ## sslyze, wapiti, sqlmap and slowhttptest against a running server; reports in target/scan
	tests/scan/install.sh
	$(CARGO) build --quiet --locked
	python3 tests/scan/run.py

test-webhook-crash: ## kill -9 under load, fifty times: every committed change is delivered
	$(CARGO) build --quiet --locked
	python3 tests/crash/webhooks.py

test-webhook-crash-short: ## the same, five times
	$(CARGO) build --quiet --locked
	ROUNDS=5 python3 tests/crash/webhooks.py

test-clients: ## published clients in Node, Python and Rust, and receivers of webhooks
	tests/clients/install.sh
	$(CARGO) build --quiet --locked
	python3 tests/clients/run.py

test-docs: ## every sample of every page below /docs, in its language
	tests/clients/install.sh
	$(CARGO) build --quiet --locked
	python3 tests/clients/documentation.py

test-schema: ## the whole OpenAPI document against a server: redocly reads it, schemathesis sends what it allows and forbids
	tests/clients/install_schema.sh
	$(CARGO) build --quiet --locked
	python3 tests/clients/schema.py

test-schema-short: ## the same in a minute: few requests for each operation, and no list of all that could be wrong
	tests/clients/install_schema.sh
	$(CARGO) build --quiet --locked
	PHASES=examples,fuzzing EXAMPLES=5 python3 tests/clients/schema.py

test-gateways: ## real nginx and Caddy, with the configuration that the documentation prints
	tests/gateways/install.sh
	$(CARGO) build --quiet --locked
	python3 tests/gateways/run.py

test-acme: ## certificates from a real ACME server
	tests/acme/install.sh
	$(CARGO) build --quiet --locked
	python3 tests/acme/run.py

test-systemd: ## the service, its socket and the package under a real systemd, in a container; needs root
	tests/systemd/install.sh
	$(CARGO) build --quiet --locked
	tests/systemd/run.sh

test-browser: ## whole journeys in Chromium, and the accessibility check
	tests/browser/install.sh
	$(CARGO) build --quiet --locked
	cd tests/browser && npm test --silent

screenshots: ## the pictures of the README, of a server with the demo's data
	tests/browser/install.sh
	$(CARGO) build --quiet --locked
	node tests/browser/screenshots.mjs

# Generic code makes many functions that are the same: the linker that Rust brings for this machine keeps one of each.
dist bench-build: export RUSTFLAGS += $(if $(filter x86_64,$(shell uname -m)),-C link-arg=-Wl$(comma)--icf=all)
dist: ## the packaged program, target/dist/keyrack
	$(CARGO) build --quiet --locked --profile dist

# Beside it, what benchmarks compare it with.
bench-build: dist
	$(CARGO) build --quiet --locked --profile dist --examples

bench: bench-build ## what a request costs beside a bare handler, in one run
	benches/all.sh target/dist/keyrack target/dist/examples/bare target/bench requests

bench-peers: bench-build ## the same work by haproxy, nginx, Caddy, Express, FastAPI, better-auth and Django
	benches/all.sh target/dist/keyrack target/dist/examples/bare target/bench peers

bench-growth: bench-build ## what a request costs with 1,000,000 keys, 1,024 connections, 100,000 active accounts
	benches/all.sh target/dist/keyrack target/dist/examples/bare target/bench growth

bench-all: bench-build ## everything that docs/BENCHMARKS.md tells, into it; a quarter of an hour
	benches/all.sh target/dist/keyrack target/dist/examples/bare target/bench

bench-check: bench-build ## instructions per request under callgrind, against the figures that are kept
	@command -v valgrind >/dev/null || echo "valgrind is not installed: apt-get install valgrind"
	python3 benches/instructions.py target/dist/keyrack target/dist/examples/bare --check

package: dist ## the smallest and fastest binary, target/dist/keyrack, and packages of it
	@command -v cargo-deb >/dev/null || $(CARGO) install --quiet --locked cargo-deb
	@command -v cargo-generate-rpm >/dev/null || $(CARGO) install --quiet --locked cargo-generate-rpm
	packaging/package.sh

.PHONY: help run demo check fmt lint docs deny screenshots test test-rust test-faults test-faults-short test-scan fuzz fuzz-short test-webhook-crash test-webhook-crash-short test-clients test-docs test-schema test-schema-short test-gateways test-acme test-systemd test-browser bench bench-all bench-build bench-check bench-growth bench-peers dist package
.DEFAULT_GOAL := help
