# `make help` lists what there is. Every target works on a clone that was never set up.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

PYTHON := $(or $(shell command -v python3),python3)
# The environment's tools first, then a Rust that stands beside an older one (Ubuntu); where rustup keeps cargo last,
# since not every shell is told of it.
export PATH := $(PATH):$(HOME)/.cargo/bin
export PATH := $(CURDIR)/.venv/bin:$(addsuffix :,$(shell PATH='$(PATH)' infra/rust))$(PATH)
export UV_LINK_MODE ?= copy

R := requirements
# Published for x86_64 alone; elsewhere the tests that need a development chain say so and skip.
CHAINS := $(if $(filter x86_64,$(shell uname -m)),infra/chains/node_modules/.package-lock.json)
NATIVE := $(wildcard native/*.toml native/Cargo.lock native/*.pyi) $(shell find native/src -name '*.rs' 2>/dev/null)
SYNC := uv pip sync -q --python .venv --build-constraints $R/dev.txt $R/dev.txt $R/workspace.txt

.PHONY: help
help:  ## this list
	@awk -F ':.*  ## ' '/^[a-z]+:.*  ## / {printf "  make %-6s %s\n", $$1, $$2}' Makefile

# --- Setting up ---

.PHONY: setup
setup: .venv/native $(CHAINS)  ## what the machine lacks, .venv, the native module, the development chain
	@$(SYNC)

.PHONY: system
system:
	@PYTHON='$(PYTHON)' infra/setup

.venv/bin/uv: $R/uv.txt | system
	@echo "Making .venv (Python's venv, then uv, hash-checked)"
	@'$(PYTHON)' -m venv .venv
	@.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r $R/uv.txt
	@touch $@

.venv/native: $R/dev.txt $R/workspace.txt $(NATIVE) | .venv/bin/uv
	@echo "Installing the Python packages (370 MB in .venv) and compiling the native module (release, fat LTO):"
	@echo "about two minutes on two cores where it was measured, once"
	@$(SYNC)
	@touch $@

infra/chains/node_modules/.package-lock.json: infra/chains/package.json infra/chains/package-lock.json | system
	@echo "Fetching anvil, the development chain (19 MB)"
	@cd infra/chains && npm ci --loglevel=error
	@touch $@

# A Bitcoin node for tests, from source: a minute of compilation that not everybody wants. Go checks what it fetches
# against its public checksum database.
BTCD := v0.26.2

.PHONY: btcd
btcd: infra/chains/bin/btcd-$(BTCD)  ## a Bitcoin node for the tests that want one (needs Go)

infra/chains/bin/btcd-$(BTCD):
	@command -v go >/dev/null || { echo "btcd is built from source: install Go first, https://go.dev/doc/install" >&2; exit 1; }
	@echo "Compiling btcd $(BTCD)"
	@GOBIN='$(CURDIR)/infra/chains/bin' go install github.com/btcsuite/btcd@$(BTCD)
	@mv infra/chains/bin/btcd $@

# --- Using ---

.PHONY: demo
demo:  ## three signers, a host and a chain on this machine: create wallets, sign, verify
	@demo/announce
	@$(MAKE) setup
	@python -m demo

# KEY=release.pem CERTIFICATE=release.crt: signed too. The module is compiled once more, with no path of this machine in it.
.PHONY: eif
eif: setup kernel  ## the enclave's image and its measurements, build/strongroom-enclave.eif and .json
	@python -m infra.enclave.image $(if $(KEY),--key '$(KEY)' --certificate '$(CERTIFICATE)')

.PHONY: reproduce
reproduce: setup  ## builds the enclave's image in two folders and compares: minutes, the module is compiled twice
	@STRONGROOM_REPRODUCE=1 python -m pytest tests/image

.PHONY: test
# ENCLAVE=1: builds what the enclave tier boots meanwhile, and ends with that tier: a quarter of an hour more the first time.
test: setup $(if $(ARGS),,rust)  ## every test that needs no hardware (make test ARGS="tests/house -x": these alone)
	@$(if $(ARGS),python -m pytest $(ARGS),python -m infra.tests $(if $(ENCLAVE),--enclave))

# Its vectors, and what needs no interpreter. One profile with lint's clippy, so that what both build is built once.
CARGO := --locked --manifest-path native/Cargo.toml
.PHONY: rust
rust: setup
	@cargo test --quiet $(CARGO) --no-default-features --lib

# Where they cannot be built, both end with status 3 and say why; infra/enclave/README.md.
.PHONY: kernel qemu
kernel:  ## the enclave's kernel, from Debian's sources
	@infra/enclave/kernel/build

qemu:  ## QEMU with Nitro's machine, in which tests boot the enclave's image
	@infra/enclave/qemu/build

.PHONY: enclave test-enclave
enclave: setup  ## what the enclave tier boots: kernel, QEMU, image; or says why it cannot be made here
	@infra/enclave/everything

test-enclave: enclave  ## wallets of enclaves that QEMU boots, with the image that AWS would boot
	@python -m pytest tests/qemu $(ARGS)

EXAMPLES ?= 5000
.PHONY: fuzz
fuzz: setup  ## every decoder, EXAMPLES=5000 inputs each, others at each run; .ci/run does a minute of it
	@STRONGROOM_FUZZ=$(EXAMPLES) python -m pytest tests/fuzz

.PHONY: bench
bench: setup  ## ratios, measured side by side in one run
	@python -m benchmarks

# A distribution's Rust comes without these two unless they are asked for.
rust_has = cargo $(1) --version >/dev/null 2>&1 || { echo "no $(2) here: the Rust sources are not checked by it"; exit 0; };

# Their dependencies want other versions than ours, and 420 MB: an environment of their own.
build/aws/bin/checkov: infra/aws/requirements.txt | .venv/bin/uv
	@echo "Installing cfn-lint and checkov (420 MB in build/aws), once"
	@uv venv -q --clear --python .venv/bin/python build/aws
	@uv pip sync -q --python build/aws --require-hashes infra/aws/requirements.txt
	@touch $@

.PHONY: aws
aws: build/aws/bin/checkov  ## the CloudFormation templates, by cfn-lint and checkov
	@build/aws/bin/cfn-lint --ignore-checks W1 -- infra/aws/*.yaml
	@build/aws/bin/checkov --directory infra/aws --framework cloudformation --skip-download --compact --quiet

.PHONY: model
model: setup  ## the journals' model, searched by spin for some minutes
	@infra/model/check --long

.PHONY: lint
lint: setup  ## formatting, types, layers, the native module's stub and sources
	@ruff check --quiet
	@ruff format --check --quiet
	@mypy
	@lint-imports
	@python -m mypy.stubtest strongroom_native --ignore-missing-stub
	@$(call rust_has,fmt,rustfmt) cargo fmt --check --manifest-path native/Cargo.toml
	@$(call rust_has,clippy,clippy) cargo clippy --quiet $(CARGO) --profile test --all-targets -- -D warnings

# --- Keeping ---

LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' $(UPGRADE)
OURS := $(addprefix --no-emit-package strongroom,'' -native -enclave -hsm -host -client -simulator -eif)

.PHONY: lock
lock: .venv/bin/uv  ## new lock files; the trusted base leads (make lock UPGRADE=--upgrade)
	$(LOCK) $(OURS) enclave/pyproject.toml -o $R/enclave.txt
	$(LOCK) $(OURS) -c $R/enclave.txt hsm/pyproject.toml -o $R/hsm.txt
	$(LOCK) $(OURS) -c $R/enclave.txt -c $R/hsm.txt --group dev pyproject.toml */pyproject.toml -o $R/dev.txt
	$(LOCK) $(OURS) -c $R/dev.txt host/pyproject.toml -o $R/host.txt
	$(LOCK) $(OURS) -c $R/dev.txt client/pyproject.toml -o $R/client.txt
	echo uv | $(LOCK) -c $R/dev.txt - -o $R/uv.txt
	python -m infra.enclave.image.lock
	printf '%s\n' 'cfn-lint>=1.58,<2' 'checkov>=3.3,<4' | $(LOCK) - -o infra/aws/requirements.txt

.PHONY: docs
docs: setup  ## the pages that are made from the code
	@python -m infra.docs.errors_page > docs/errors.md
	@python -m infra.docs.journals_page > docs/journals.md
	@python -m infra.docs.image_page > docs/image.md

.PHONY: clean
clean:  ## everything that git does not keep, .venv too
	git clean -fdXq
