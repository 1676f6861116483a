# Developers and CI run the same commands: .ci/run is `make lint guard test`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PATH := $(PATH):$(HOME)/.cargo/bin
RIG := tests/rig
STATIC := $(shell uname -m)-unknown-linux-gnu
STATIC_BINARY = $${CARGO_TARGET_DIR:-target}/$(STATIC)/release/elkhound

.PHONY: help build static image deb test test-quick versions try bench guard queue fuzz soak compare compare-api scale many rotation short-lived ids lint rig-up rig-down toolchain

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

build: toolchain ## build target/release/elkhound
	cargo build --release -p elkhound

static: toolchain ## build the static, stripped binary that the image and the package hold
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --release -p elkhound --target $(STATIC) \
	  --config 'profile.release.debug=false' --config 'profile.release.strip="symbols"'

image: static ## make the image elkhound:latest without a registry; IMAGE names another
	deploy/image $(STATIC_BINARY) $(or $(IMAGE),elkhound:latest)
	@size=$$(stat -c %s $(STATIC_BINARY)) && echo "$$((size / 1000000)) MB" && \
	  { [ $$size -lt 25000000 ] || { echo "the image is larger than 25 MB; see what has grown" >&2; exit 1; }; }

deb: static ## make the Debian package in target/
	deploy/package/build $(STATIC_BINARY) $${CARGO_TARGET_DIR:-target}

test: toolchain ## every test: unit tests, then end to end on a real Docker engine and a real Elasticsearch
	@$(RIG)/toolchain openssl chromium docker-compose
	cargo test --workspace
	$(RIG)/with-rig cargo test --workspace --test main -- --ignored --skip faults::soak --test-threads=2

test-quick: toolchain ## the tests that need neither Docker nor Elasticsearch
	@$(RIG)/toolchain openssl
	cargo test --workspace

versions: toolchain ## ship to every Elasticsearch and OpenSearch that the rig can build; VERSIONS="6 os3" names some
	nodes=$$(mktemp -d) && trap 'rm -rf "$$nodes"' EXIT && RIG_NODES=$$nodes ES_WAIT=180 VERSIONS="$(or $(VERSIONS),6 710 7 8 9 os2 os3)" \
	  cargo test --workspace --test main -- --ignored --nocapture versions::

try: build ## see it work: containers log, elkhound ships, Elasticsearch answers; sets up all it needs and cleans up
	@$(RIG)/try

bench: toolchain ## measure the hot paths
	cargo bench -p elkhound

guard: toolchain ## count the instructions of the hot paths and hold them against benches/guard.tsv
	benches/guard

queue: toolchain ## measure what compressing the queue on disk brings and costs in CPU time
	cargo run --release -q -p elkhound --example bench-queue

fuzz: toolchain ## throw odd texts at every parser; SECONDS_EACH=600 for longer than a minute each
	tests/fuzz $(or $(SECONDS_EACH),60)

soak: toolchain ## let everything go wrong for an hour, seed after seed; SECONDS and SEED say how long and from where
	SOAK_SECONDS=$(or $(SECONDS),3600) SOAK_SEED=$(or $(SEED),1000) \
	  $(RIG)/with-rig cargo test --workspace --test main -- --ignored --nocapture --exact faults::soak

compare: build ## measure elkhound beside its peers; ARGS="--runs 5" and the like go to benches/compare/run
	benches/compare/run $(ARGS)

compare-api: toolchain ## measure a line's cost through the Docker API and from the file, in the agent and in dockerd
	@benches/compare/api

scale: toolchain ## measure what a second worker brings and what 1,000 logs cost; ARGS="--runs 5" and the like
	benches/compare/scale $(ARGS)

many: build ## measure what 500 containers cost at once, and starting again over many large logs; CONTAINERS=100 LOGS=10 SIZE=5 for less
	@benches/compare/many

rotation: build ## set what arrives of logs that Docker rotates beside what a plain reader gets; CASES="1 3" for some of it
	@$(RIG)/rotation

short-lived: build ## count what arrives of containers that live for a moment, beside what the peers were measured to lose
	@$(RIG)/short-lived

ids: toolchain ## measure what it costs Elasticsearch that documents come with an _id; DOCS=1000000 RUNS=6 for more
	@benches/compare/ids

small: build ## measure start, idle and latency on a quiet host; ARGS="60" measures each for 60 seconds
	cargo run --release -q -p elkhound --example bench-small -- $${CARGO_TARGET_DIR:-target}/release/elkhound $(ARGS)

lint: toolchain ## formatting and clippy, warnings are errors; the fuzz targets, too, but without libFuzzer, which only make fuzz links
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	for crate in config pipeline agent; do \
	  CUSTOM_LIBFUZZER_PATH=/left/out/libfuzzer.a CARGO_TARGET_DIR=$${CARGO_TARGET_DIR:-target}/fuzz-lint \
	    cargo clippy --quiet --manifest-path $$crate/fuzz/Cargo.toml --bins -- -D warnings || exit 1; \
	done

rig-up: ## start a Docker engine and an Elasticsearch and keep them; prints what to export
	@host=$$($(RIG)/docker-engine start) && export DOCKER_HOST=$$host && image=$$($(RIG)/image) && \
	  url=$$($(RIG)/elasticsearch-node start) && \
	  printf 'export DOCKER_HOST=%s\nexport ELASTICSEARCH_URL=%s\nexport RIG_IMAGE=%s\n' "$$host" "$$url" "$$image"

rig-down: ## stop what rig-up started
	@$(RIG)/elasticsearch-node stop
	@$(RIG)/docker-engine stop

toolchain:
	@$(RIG)/toolchain
