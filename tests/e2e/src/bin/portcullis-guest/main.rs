//! The agent inside the virtual machine, in three roles. Started by the kernel it is `init` (process 1): it makes the
//! system, starts itself again to `serve`, and reaps orphans. That second process answers the harness on the host; to start a
//! program in a cgroup it runs itself once more, to `enter` it.
//!
//! ```text
//! kernel ── /init (mounts, modules, root) ── /init serve (the harness's requests) ─┬─ programs under test
//!                                                                                 └─ /init enter … becomes the program
//! ```
//!
//! When `serve` ends, because the harness is gone or because something is wrong, the machine is switched off.
#![forbid(unsafe_code)]

mod enter;
mod init;
mod serve;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let result = match arguments.next().as_deref() {
        Some(serve::ROLE) => serve::run(),
        Some(enter::ROLE) => enter::run(arguments),
        _ => init::run().inspect_err(|error| {
            eprintln!("portcullis-guest: {error}");
            init::power_off();
        }),
    };
    if let Err(error) = result {
        eprintln!("portcullis-guest: {error}");
        std::process::exit(1);
    }
}
