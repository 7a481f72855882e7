# `make` alone greets. Recipes are short: the work is in Rust and in tests/setup/.
SHELL := /bin/bash
TRIPLE ?= $(shell uname -m)-unknown-linux-gnu
PREFIX ?= /usr/local
RELEASE := target/$(TRIPLE)/release
CARGO_HOME ?= $(HOME)/.cargo
export PATH := $(CARGO_HOME)/bin:$(PATH)
export PROGRAMS := $(RELEASE)
export TRIPLE K3S
# Paths of this checkout stay out of the programs: the same sources give the same bytes in any folder.
REMAP := --remap-path-prefix=$(CURDIR)=/imgbuild --remap-path-prefix=$(CARGO_HOME)=/cargo
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS := $(REMAP)
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS := $(REMAP)
# The same for C code of dependencies (zstd, xz, ring), whose assertions name their file.
export CFLAGS := -ffile-prefix-map=$(CARGO_HOME)=/cargo
CARGO_BUILD := cargo build --release --locked --target $(TRIPLE)

# Programs that run on nodes: for both architectures, by one compiler.
NODES := target/nodes

.PHONY: help build nodes demo demo-hetzner test soak bench fuzz check install clean
help:
	@sed -n 's/^#: \?//p' Makefile

#: imgbuild: immutable node images that become a Kubernetes cluster by being booted
#:
#:   make demo     build an image, boot it in QEMU as control plane and edge box of one cluster  [K3S=real]
#:   make demo-hetzner   the same in the cloud, at a simulator with QEMU machines as servers
#:   make build    compile the programs
#:   make test     all tests that fit into 40 minutes
#:   make soak     the long ones      [SUITE= N= SEED=]
#:   make bench    speed and size as ratios against peers  [ARGS=--json MKOSI=]
#:   make check    what CI lints
#:   make fuzz     parsers under cargo-fuzz  [SECONDS_EACH=600]
#:   make install  program, node programs, man pages, completions  [PREFIX=/usr/local]
#:   make clean    what these made
build:
	@tests/setup/install.sh build
	$(CARGO_BUILD)

#:   make nodes    compile what runs on nodes, for amd64 and arm64
nodes:
	@tests/setup/install.sh nodes
	@tests/setup/nodes.sh $(NODES)

demo:
	@tests/setup/demo.sh

demo-hetzner:
	@tests/setup/demo-hetzner.sh

test:
	@tests/setup/install.sh test
	@tests/setup/erofs.sh
	@tests/setup/kubectl.sh
	@tests/setup/suites.sh

soak: nodes
	@tests/setup/install.sh test
	$(CARGO_BUILD)
	$(CARGO_BUILD) -p k3s-standin -p hetzner-machines
	cargo test --release --locked --target $(TRIPLE) -p imgbuild-tests --test soak -- --nocapture --test-threads=1 $(SUITE)

bench: nodes
	@tests/setup/install.sh bench
	$(CARGO_BUILD)
	$(CARGO_BUILD) -p k3s-standin -p hetzner-machines -p imgbuild-tests
	cargo run --release --locked --target $(TRIPLE) -p imgbuild-tests --bin bench -- $(ARGS)

# The crates of every platform are looked at; a build fetches its own only.
check:
	@tests/setup/install.sh check
	cargo fmt --all --check
	cargo clippy --release --locked --target $(TRIPLE) --workspace --all-targets -- -D warnings
	cargo fetch --locked && cargo deny --all-features --offline check bans licenses sources
	shellcheck .ci/run tests/setup/*.sh

fuzz:
	@tests/setup/install.sh fuzz
	@tests/setup/fuzz.sh

install: build nodes
	$(RELEASE)/imgbuild install --prefix $(DESTDIR)$(PREFIX)

clean:
	cargo clean
	rm -rf demo-cluster demo-hetzner
