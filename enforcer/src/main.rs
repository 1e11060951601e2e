//! `portcullis-enforcer`. See the library for what it does.

fn main() -> std::process::ExitCode {
    portcullis_enforcer::command::main()
}
