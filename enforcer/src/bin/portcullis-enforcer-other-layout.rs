//! The same agent under another layout, for tests of what happens when one replaces the other.

fn main() -> std::process::ExitCode {
    portcullis_enforcer::command::main()
}
