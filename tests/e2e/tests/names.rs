//! Programs that are many in one, told apart by the name that they are called by.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use portcullis_api::event::{Action, Operation};
use portcullis_e2e::{
    Builder, Kernel, TestResult, Vm,
    case::{Case, profile},
    enforcer::{self, PROFILES, path_of},
    kernel_tests,
};

kernel_tests!(machine:
    a_program_of_many_runs_by_the_names_that_are_listed,
    a_name_is_found_wherever_it_lies,
    a_script_is_run_by_the_name_of_its_first_line,
    a_link_gives_no_name_that_is_not_listed,
    the_names_that_were_learned_are_those_that_are_then_allowed,
);

fn machine(kernel: Kernel) -> Builder {
    enforcer::loaded_machine(kernel).unwrap_or_else(|error| panic!("{error}"))
}

macro_rules! rules {
    ($rules:literal) => {
        concat!("    exec:\n    - {path: /attempt}\n    - {path: /bin/sleep}\n", $rules)
    };
}

const BUSYBOX: &str = "/bin/busybox";

/// What comes of calling busybox so, with `said` for its argument.
fn call(case: &Case<'_>, name: &str) -> Result<String, Box<dyn std::error::Error>> {
    case.attempt(&["exec-as", BUSYBOX, name, "said"])
}

fn a_program_of_many_runs_by_the_names_that_are_listed(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "names", rules!("    - {path: /bin/busybox, as: [echo, \"a\\\\*b\"]}\n    - {path: /bin/cat}\n"))?;
    assert_eq!(call(&case, "basename")?, "said", "in audit");
    case.enforcer.wait_for_event("would-block", |event| event.action == Action::WouldBlock && path_of(event) == BUSYBOX)?;
    case.enforce()?;
    for name in ["echo", "/usr/bin/echo", "../echo", &format!("{}echo", "./".repeat(125))] {
        assert_eq!(call(&case, name)?, "said", "{name}");
    }
    for name in ["basename", "busybox", "-echo", "echos", "ech", "", "echo/", "echo\n", &format!("{}echo", "./".repeat(126))] {
        assert_eq!(call(&case, name)?, "EPERM", "{name:?}");
    }
    // By its own name it would be what its first argument says.
    assert_eq!(case.attempt(&["exec-as", BUSYBOX, "busybox", "echo", "said"])?, "EPERM");
    // Without `as`, any name will do; the links are files of their own.
    assert_eq!(case.attempt(&["exec-as", "/bin/cat", "echo", "said"])?, "said");
    let blocked = case.enforcer.wait_for_event("blocked", |event| {
        event.action == Action::Blocked
            && event.operation == Operation::Exec
            && serde_json::json!(event.object) == serde_json::json!({"path": BUSYBOX, "as": "basename"})
    })?;
    assert_eq!(serde_json::json!(blocked)["rule"], serde_json::json!({"exec": [{"path": BUSYBOX, "as": ["basename"]}]}));
    let nameless = case.enforcer.wait_for_event("no name", |event| {
        event.action == Action::Blocked && serde_json::json!(event.object) == serde_json::json!({"path": BUSYBOX})
    })?;
    assert!(serde_json::json!(nameless)["noRule"].as_str().is_some_and(|reason| reason.contains("name")), "{nameless:?}");
    case.end()
}

fn a_name_is_found_wherever_it_lies(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "everywhere", rules!("    - {path: /bin/busybox, as: [echo]}\n"))?;
    case.enforce()?;
    assert_eq!(case.attempt(&["exec-as-everywhere", BUSYBOX, "/usr/bin/echo"])?, "denied 0 allowed 135");
    assert_eq!(case.attempt(&["exec-as-everywhere", BUSYBOX, "/usr/bin/echa"])?, "denied 135 allowed 0");
    case.end()
}

fn a_script_is_run_by_the_name_of_its_first_line(vm: &Vm) -> TestResult {
    let rules = rules!("    - {path: /bin/busybox, as: [sh, env]}\n    - {path: \"/app/*\"}\n    - {path: /bin/echo}\n");
    let script = |interpreter: &str| format!("#!{interpreter}\n/bin/echo said\n");
    let mut case = Case::with(vm, "scripts", rules, |container| {
        container.file("/app/listed", script("/names/sh"), 0o755).file("/app/unlisted", script("/names/ash"), 0o755).file(
            "/app/own",
            script("/bin/busybox sh"),
            0o755,
        )
    })?;
    let links = "mkdir -p names && ln -s /bin/busybox names/sh && ln -s /bin/busybox names/ash";
    vm.command("sh").args(["-c", &format!("cd {} && {links}", case.container.rootfs())]).check()?;
    case.enforce()?;
    for (path, answer) in [("/app/listed", "said"), ("/app/unlisted", "EPERM"), ("/app/own", "EPERM")] {
        // What the script itself is called by is not what its interpreter is called by.
        assert_eq!(case.attempt(&["exec-as", path, "sh"])?, answer, "{path}");
    }
    case.end()
}

fn a_link_gives_no_name_that_is_not_listed(vm: &Vm) -> TestResult {
    let rules = rules!("    - {path: /bin/busybox, as: [echo]}\n    - {path: \"/data/many*\", as: [sh]}\n");
    let rules = Box::leak(format!("{rules}    files: [{{path: \"/data/**\", access: [create]}}]\n").into_boxed_str());
    let mut case = Case::new(vm, "linked", rules)?;
    case.enforce()?;
    assert_eq!(case.attempt(&["symlink", BUSYBOX, "/data/basename"])?, "allowed");
    assert_eq!(case.attempt(&["exec", "/data/basename", "said"])?, "EPERM");
    assert_eq!(case.attempt(&["symlink", BUSYBOX, "/data/echo"])?, "allowed");
    assert_eq!(case.attempt(&["exec", "/data/echo", "said"])?, "said");
    // A program that may not run at all does not come under a name by which one may.
    assert_eq!(case.attempt(&["link", "/bin/cat", "/data/many-1"])?, "EPERM");
    case.end()
}

fn the_names_that_were_learned_are_those_that_are_then_allowed(vm: &Vm) -> TestResult {
    let rules = rules!("");
    let mut case = Case::new(vm, "names-learned", rules)?;
    case.enforcer.apply("names-learned.yaml", &profile("names-learned", "learn", rules))?;
    for name in ["echo", "basename"] {
        assert_eq!(call(&case, name)?, "said");
    }
    assert_eq!(case.attempt(&["exec-as", "/bin/cat", "echo", "said"])?, "said");
    let file = format!("{PROFILES}/names-learned.yaml");
    let text = case.enforcer.wait_for_file(&file, |text| {
        text.contains("- {path: /bin/busybox, as: [basename, echo]}") && text.contains("- path: /bin/cat\n")
    })?;
    case.enforcer.apply("names-learned.yaml", &text.replace("mode: learn", "mode: enforce"))?;
    for (name, answer) in [("echo", "said"), ("basename", "said"), ("dirname", "EPERM")] {
        assert_eq!(call(&case, name)?, answer, "{name}");
    }
    case.end()
}
