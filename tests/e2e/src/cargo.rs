//! Builds programs of this workspace for the guest: statically linked, so that they run whatever libraries a test puts there.
//!
//! A test gets its own package's programs from cargo (`CARGO_BIN_EXE_…`), but not those of another package, and those are
//! dynamic. Static ones have a target folder of their own, since the linkage is part of what cargo's fingerprints cover.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use crate::error::Error;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Code of the C library instead of its shared object, and no debug information: the file travels into every guest.
const FLAGS: &str = "-Ctarget-feature=+crt-static\x1f-Cstrip=symbols";

/// Builds the binary target `program` of `package` and returns its path; a fraction of a second where it is up to date.
///
/// # Errors
/// [`Error::Build`] with the compiler's output.
pub fn static_binary(package: &str, program: &str) -> Result<PathBuf, Error> {
    build(package, program, &[], "debug")
}

/// The same with the C library of this machine, in the workspace's own target folder: for what has to get between the two.
///
/// # Errors
/// [`Error::Build`] with the compiler's output.
pub fn dynamic_binary(package: &str, program: &str) -> Result<PathBuf, Error> {
    run_cargo(program, Command::new(cargo()).args(["build", "--quiet", "--package", package, "--bin", program]))?;
    Ok(target().join("debug").join(program))
}

/// The same with a feature of the package, for a target that only that feature has.
///
/// # Errors
/// [`Error::Build`] with the compiler's output.
pub fn static_binary_with(package: &str, program: &str, feature: &str) -> Result<PathBuf, Error> {
    build(package, program, &["--features", feature], "debug")
}

/// The same as it is shipped, optimised: for what is measured, and for work that takes too long otherwise.
///
/// # Errors
/// [`Error::Build`] with the compiler's output.
pub fn optimised_static_binary(package: &str, program: &str) -> Result<PathBuf, Error> {
    build(package, program, &["--release"], "release")
}

fn build(package: &str, program: &str, arguments: &[&str], folder: &str) -> Result<PathBuf, Error> {
    let target = target().join("guest");
    let mut command = Command::new(cargo());
    command
        .args(["build", "--quiet", "--package", package, "--bin", program, "--target", TARGET, "--target-dir"])
        .arg(&target)
        .args(arguments)
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS)
        // The guest's processor is emulated: what takes longer to compile runs many times there.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
    run_cargo(program, &mut command)?;
    Ok(target.join(TARGET).join(folder).join(program))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."))
}

/// The workspace's target folder.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |target| root().join(target))
}

fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn run_cargo(program: &str, command: &mut Command) -> Result<(), Error> {
    let output = command.current_dir(root()).output().map_err(|source| Error::Io { doing: "run cargo".to_owned(), source })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Build { program: program.to_owned(), output: String::from_utf8_lossy(&output.stderr).into_owned() })
}
