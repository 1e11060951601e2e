# What developers and CI run. `make help` lists the targets.
# Only Debian packages, a Rust tool chain and a network are expected; hack/ brings the rest.

SHELL := /bin/bash
SCRIPTS := hack/applications hack/build-ebpf hack/cluster hack/demo hack/ebpf-toolchain hack/kernels hack/prerequisites hack/lib.sh .ci/run
# The kernel programs are a workspace of their own: the host's compiler only formats them.
EBPF := --manifest-path enforcer-ebpf/Cargo.toml

.PHONY: help build check test soak bench cluster demo mutation deny ebpf prerequisites kernels applications control-plane

help: ## Lists the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ebpf ## Builds everything, optimised.
	cargo build --workspace --release

# `cargo deny` is not in here: building it takes minutes, longer than all other checks. CI that has it runs `make deny`.
check: ebpf ## Formatting, lints, shell scripts; minutes, no tests.
	cargo fmt --all --check
	cargo fmt $(EBPF) --check
	cargo clippy --workspace --all-targets -- -D warnings
	shellcheck -x $(SCRIPTS)

test: check kernels control-plane ## check, then every test; in virtual machines on every kernel, and before an API server.
	cargo test --workspace --no-fail-fast

soak: ebpf kernels applications ## Tests too long for every run: real applications, floods, other releases, full nodes, a hundred deaths of the enforcer, 100,000 pods.
	cargo test --workspace --no-fail-fast --test applications --test failures --test kills --test layouts --test scale
	PORTCULLIS_DIFFERENTIAL_PODS=100000 cargo test --package portcullis-cli --release --test differential

bench: ebpf kernels ## Measures; costs in the kernel are counted in instructions, so they repeat.
	cargo bench --workspace

cluster: ## Starts a Kubernetes API server with controllers, on loopback, until Ctrl-C.
	hack/cluster --run --controller-manager --scheduler

demo: ebpf kernels ## Shows the attack, and each step of it stopped.
	hack/demo

# Half an hour, and more on a machine that does other things.
mutation: ebpf kernels ## Runs the tests of each kernel program without it: each must fail.
	cargo run --package portcullis-e2e --bin portcullis-mutation

deny: ## Licences, sources and advisories of all dependencies, by deny.toml.
	@command -v cargo-deny >/dev/null || { echo "run: cargo install --locked cargo-deny" >&2; exit 1; }
	cargo deny check

ebpf: prerequisites ## Builds the kernel programs into target/ebpf/portcullis.o.
	hack/build-ebpf --release

prerequisites:
	@hack/prerequisites

kernels: prerequisites
	@hack/kernels >/dev/null

control-plane:
	@hack/cluster >/dev/null

applications: prerequisites
	@hack/applications >/dev/null
