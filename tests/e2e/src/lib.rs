//! Virtual machines for tests of the kernel side, and what runs in them; a Kubernetes control plane for tests of admission.
//!
//! A test boots a Debian kernel under software emulation with the files it needs, runs commands in it and looks at what
//! they say. The machine is up in seconds and gone with the test: nothing is installed, nothing is left behind.
//!
//! ```text
//!   host                                                  guest
//!   ────                                                  ─────
//!   Builder ── Image ── cpio ──► initramfs ─────────────► /init: mounts, modules, a tmpfs as root
//!   Vm ── Command, Process ──► Frame ── virtio-serial ──► /init serve ──► programs under test
//!   Shared, kernel_tests!                                 busybox, runc
//!   runc::Container ─────────────────────────────────────► an OCI bundle made of busybox
//! ```
//!
//! * **Nothing is skipped.** Where the emulator or a kernel is missing, a test fails and names the script that brings it.
//! * **Every wait ends.** Commands have limits; a machine that panics, hangs or switches itself off is an [`Error`] that
//!   shows the end of its console.
//! * **No hardware acceleration.** Software emulation is the same everywhere, and with [`Builder::icount`] it counts
//!   instructions: costs measured so repeat.
//!
//! * **The API server is real.** [`cluster`] starts one, on loopback, of Kubernetes' own modules.
//!
//! Not here: the scenarios themselves (`tests/`).
//!
//! ```no_run
//! use portcullis_e2e::{Kernel, Vm};
//!
//! # fn main() -> Result<(), portcullis_e2e::Error> {
//! let vm = Vm::builder(Kernel::V6_12).binary("/usr/bin/env").boot()?;
//! assert_eq!(vm.command("env").env("A", "b").arg("printenv").arg("A").check()?, "b");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod applications;
mod builder;
pub mod cargo;
pub mod case;
pub mod cluster;
pub mod cost;
mod cpio;
pub mod demo;
pub mod document;
pub mod enforcer;
pub mod error;
pub mod guest;
mod image;
pub mod kernel;
pub mod mutation;
pub mod process;
pub mod protocol;
mod qemu;
pub mod record;
pub mod runc;
mod snapshot;
mod testing;
pub mod verifier;
mod vm;

pub use builder::Builder;
pub use error::Error;
pub use kernel::Kernel;
pub use process::{Command, Output, Process, Status};
pub use testing::{Shared, TestResult};
pub use vm::Vm;
