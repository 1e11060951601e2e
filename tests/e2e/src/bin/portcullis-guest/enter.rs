//! Starts a program in a cgroup: this process enters it and becomes the program, so that the only exec that the kernel
//! sees in the cgroup is the program's own. (A shell would not do: busybox's runs its applets without any exec.)
//!
//! Arguments: the cgroup's folder, the user's id, the program, its arguments. The program's user is taken on after the cgroup
//! was entered, which only root may do.

use std::{
    fs, io,
    os::unix::process::CommandExt,
    process::{Command, exit},
};

/// The first argument of the agent in this role.
pub(crate) const ROLE: &str = "enter";

/// As a shell answers for what it cannot execute.
const CANNOT_EXECUTE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// What makes the agent play this role; the program's arguments are to be added.
pub(crate) fn command(folder: &str, user: Option<u32>, program: &str) -> Command {
    let mut command = Command::new("/init");
    command.args([ROLE, folder, &user.unwrap_or(0).to_string(), program]);
    command
}

/// Enters and executes; returns only with an error of the first.
pub(crate) fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn std::error::Error>> {
    let mut next = |what: &str| arguments.next().ok_or_else(|| format!("{ROLE}: no {what}"));
    let (folder, user, program) = (next("cgroup")?, next("user")?.parse()?, next("program")?);
    fs::write(format!("{folder}/cgroup.procs"), "0").map_err(|error| format!("enter {folder}: {error}"))?;
    let error = Command::new(&program).args(arguments).uid(user).gid(user).exec();
    eprintln!("{program}: {error}");
    exit(if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_EXECUTE })
}
