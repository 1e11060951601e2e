//! Finds the object with the kernel programs, which `make ebpf` builds, so that it can be embedded.

use std::{env, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=PORTCULLIS_EBPF_OBJECT");
    let object = env::var_os("PORTCULLIS_EBPF_OBJECT").map_or_else(
        || PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../target/ebpf/portcullis.o"),
        PathBuf::from,
    );
    println!("cargo::rerun-if-changed={}", object.display());
    match object.canonicalize() {
        Ok(object) => println!("cargo::rustc-env=PORTCULLIS_EBPF_OBJECT={}", object.display()),
        Err(error) => println!("cargo::error=the kernel programs are not built ({}: {error}): run `make ebpf`", object.display()),
    }
}
