//! Capabilities and sockets: what is listed is allowed, what is not is denied, and what nobody attempts denies nothing.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use portcullis_api::{
    Event, Token,
    event::{Action, Object},
};
use portcullis_e2e::{
    Builder, Kernel, TestResult, Vm,
    case::{Case, profile},
    enforcer::{self, Enforcer},
    kernel_tests,
    runc::Container,
};
use std::time::Duration;

kernel_tests!(machine:
    a_container_runs_without_rules_for_what_it_does_not_use,
    a_capability_is_used_where_it_is_listed,
    ids_are_set_where_that_is_listed,
    a_set_id_program_gets_no_capability_that_is_not_listed,
    namespaces_are_made_and_joined_where_that_is_listed,
    what_the_kernel_does_for_itself_is_not_judged,
    sockets_are_made_where_they_are_listed,
    what_is_used_is_learned,
);

fn machine(kernel: Kernel) -> Builder {
    enforcer::loaded_machine(kernel).unwrap_or_else(|error| panic!("{error}"))
}

macro_rules! rules {
    ($rules:literal) => {
        concat!("    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /su}]\n", $rules)
    };
}

/// Each attempt with the answer it must get.
fn answers(case: &Case<'_>, attempts: &[(&[&str], &str)]) -> TestResult {
    for (words, answer) in attempts {
        assert_eq!(case.attempt(words)?, *answer, "{words:?}");
    }
    Ok(())
}

/// What an event is about, where that is a token: as a rule shows it.
fn token(event: &Event) -> String {
    if let Object::Token(token) = &event.object { token.to_string() } else { String::new() }
}

fn a_container_runs_without_rules_for_what_it_does_not_use(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    let rules = "    exec: [{path: \"/bin/*\"}]\n    files: [{path: /dev/null, access: [write]}, {path: \"/tmp/*\", access: [create, write, delete]}]\n";
    enforcer.apply("plain.yaml", &profile("plain", "enforce", rules))?;
    for user in [0, 1000] {
        // What containers do: a shell, files, other processes, signals among themselves, local sockets.
        let script = "set -e; /bin/sleep 100 & echo x >/tmp/a; /bin/cat /proc/1/status >/dev/null; /bin/ps >/dev/null; kill $!; /bin/rm /tmp/a; \
                      /bin/sleep 100000";
        let container = Container::builder("plain").cgroup("/portcullis/test/plain/main").args(["sh", "-c", script]).user(user).run(vm)?;
        assert_eq!(container.exec(["sh", "-c", "until ! ls /tmp/a 2>/dev/null; do usleep 1000; done; echo done"]).check()?, "done");
        container.kill(15)?;
        container.kill(9)?;
        container.wait_until_stopped(Duration::from_secs(60))?;
        container.delete()?;
    }
    let told: Vec<_> = enforcer.events()?.into_iter().filter(|event| event.container.profile == "plain").collect();
    assert!(told.is_empty(), "{told:#?}");
    Ok(())
}

fn a_capability_is_used_where_it_is_listed(vm: &Vm) -> TestResult {
    let rules = rules!("    files: [{path: \"/data/*\", access: [create]}]\n    capabilities: [SYS_CHROOT]\n");
    let mut case = Case::new(vm, "capability", rules)?;
    case.check(&["chroot", "/"], &["setuid", "1000"], |event| token(event) == "capabilities SETUID")?;
    answers(&case, &[(&["device", "/data/device"], "EPERM")])?;
    let event = case.enforcer.wait_for_event("MKNOD", |event| event.action == Action::Blocked && token(event) == "capabilities MKNOD")?;
    let event = serde_json::to_value(&event)?;
    assert_eq!(event["object"], serde_json::json!({"capability": "MKNOD"}));
    assert_eq!(event["rule"], serde_json::json!({"capabilities": ["MKNOD"]}));
    case.end()
}

fn ids_are_set_where_that_is_listed(vm: &Vm) -> TestResult {
    let attempts: [&[&str]; 3] = [&["setuid", "1000"], &["setgid", "1000"], &["setgroups"]];
    let mut case = Case::new(vm, "ids", rules!(""))?;
    answers(&case, &attempts.map(|words| (words, "allowed")))?;
    case.enforce()?;
    answers(&case, &attempts.map(|words| (words, "EPERM")))?;
    for name in ["SETUID", "SETGID"] {
        let rule = format!("capabilities {name}");
        case.enforcer.wait_for_event(name, |event| event.action == Action::Blocked && token(event) == rule)?;
    }
    case.enforcer.apply("ids.yaml", &profile("ids", "enforce", rules!("    capabilities: [SETUID, SETGID]\n")))?;
    answers(&case, &attempts.map(|words| (words, "allowed")))?;
    case.end()
}

fn a_set_id_program_gets_no_capability_that_is_not_listed(vm: &Vm) -> TestResult {
    let attempt = vm.read_file("/bin/portcullis-attempt")?;
    let mut case = Case::with(vm, "setid", rules!(""), |container| container.file("/su", attempt, 0o4755).user(1000))?;
    let through = ["exec", "/su", "chroot", "/"];
    assert_eq!(case.attempt(&["chroot", "/"])?, "EPERM", "the user has no capabilities");
    assert_eq!(case.attempt(&through)?, "allowed", "the set-id program gives them");
    case.enforce()?;
    assert_eq!(case.attempt(&through)?, "EPERM");
    case.enforcer.wait_for_event("chroot", |event| event.action == Action::Blocked && token(event) == "capabilities SYS_CHROOT")?;
    case.end()
}

fn namespaces_are_made_and_joined_where_that_is_listed(vm: &Vm) -> TestResult {
    let with_admin = |container: portcullis_e2e::runc::ContainerBuilder| container.capabilities(["CAP_SYS_ADMIN", "CAP_SYS_CHROOT"]);
    let mut case = Case::with(vm, "namespaces", rules!(""), with_admin)?;
    let kinds = ["mnt", "net", "pid", "ipc", "uts", "cgroup"];
    let all = |case: &Case<'_>, answer: &str| -> TestResult {
        for kind in kinds {
            answers(case, &[(&["unshare", kind], answer)])?;
        }
        answers(case, &[(&["setns", "/proc/self/ns/uts", "uts"], answer), (&["setns", "/proc/self/ns/net", "net"], answer)])
    };
    all(&case, "allowed")?;
    case.enforce()?;
    all(&case, "EPERM")?;
    case.enforcer.wait_for_event("admin", |event| event.action == Action::Blocked && token(event) == "capabilities SYS_ADMIN")?;
    case.enforcer.apply("namespaces.yaml", &profile("namespaces", "enforce", rules!("    capabilities: [SYS_ADMIN, SYS_CHROOT]\n")))?;
    all(&case, "allowed")?;
    case.end()
}

/// Overlayfs copies a file up with the credentials of whoever mounted it, which have every capability, and sets attributes of its own.
fn what_the_kernel_does_for_itself_is_not_judged(vm: &Vm) -> TestResult {
    let layers = "mkdir -p /layers && mount -t tmpfs none /layers && cd /layers && mkdir lower upper work over \
                  && echo x >lower/file && chown 1000:1000 lower upper lower/file && chmod 700 lower && chmod 600 lower/file \
                  && mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none over";
    assert!(vm.sh(layers)?.success());
    let rules = rules!("    files: [{path: \"/over/*\", access: [write, create, delete]}]\n");
    let mut case = Case::with(vm, "overlay", rules, |container| container.bind("/layers/over", "/over").user(1000))?;
    case.enforce()?;
    answers(
        &case,
        &[
            (&["write", "/over/file"], "allowed"),
            (&["create", "/over/new"], "allowed"),
            (&["unlink", "/over/file"], "allowed"),
            (&["mkdir", "/over/file"], "allowed"),
        ],
    )?;
    assert!(vm.sh("[ -d /layers/upper/file ] && [ -f /layers/upper/new ]")?.success(), "it was copied up");
    assert_eq!(case.attempt(&["chroot", "/"])?, "EPERM");
    let told: Vec<_> = case.enforcer.events()?.into_iter().filter(|event| event.container.profile == "overlay").collect();
    assert!(told.is_empty(), "the user has no capabilities, and what overlayfs used is not the container's: {told:#?}");
    case.end()?;
    assert!(vm.sh("umount /layers/over /layers")?.success());
    Ok(())
}

fn sockets_are_made_where_they_are_listed(vm: &Vm) -> TestResult {
    let rules = rules!("    capabilities: [NET_RAW]\n    sockets: [raw]\n");
    let mut case = Case::new(vm, "sockets", rules)?;
    case.check(&["socket", "2", "3", "1"], &["socket", "17", "3", "768"], |event| token(event) == "sockets packet")?;
    // The old way to a packet socket, through IPv4.
    answers(&case, &[(&["socket", "2", "10", "768"], "EPERM")])?;
    answers(
        &case,
        &[(&["socket", "10", "3", "58"], "allowed"), (&["socket", "16", "3", "12"], "EPERM"), (&["socket", "40", "1", "0"], "EPERM")],
    )?;
    answers(&case, &[(&["socket", "38", "5", "0"], "EPERM"), (&["socket", "44", "3", "0"], "EPERM")])?;
    for kind in ["netlink", "vsock", "alg", "xdp"] {
        let rule = format!("sockets {kind}");
        case.enforcer.wait_for_event(kind, |event| event.action == Action::Blocked && token(event) == rule)?;
    }
    // Plain ones of IPv4, IPv6, UNIX, and netlink for routes.
    for words in [["socket", "2", "1", "0"], ["socket", "10", "2", "0"], ["socket", "1", "1", "0"], ["socket", "16", "3", "0"]] {
        answers(&case, &[(&words, "allowed")])?;
    }
    case.end()
}

fn what_is_used_is_learned(vm: &Vm) -> TestResult {
    let mut enforcer = Enforcer::start(vm)?;
    let attempt = vm.read_file("/bin/portcullis-attempt")?;
    let container = Container::builder("learned").cgroup("/portcullis/test/learned/main").file("/attempt", attempt, 0o755).run(vm)?;
    let attempts: [&[&str]; 3] = [&["chroot", "/"], &["socket", "16", "3", "12"], &["trace-child"]];
    for words in attempts {
        let _ = container.exec(["/attempt"].iter().chain(words).copied()).run()?;
    }
    let file = "/profiles/test.learned.yaml";
    let script = format!("until grep -q SYS_CHROOT {file} && grep -q netlink {file} && grep -q ptrace {file}; do usleep 50000; done");
    vm.command("sh").args(["-c", &script]).timeout(Duration::from_secs(60)).check()?;
    let learned = portcullis_api::load(file, &vm.read_text(file)?)?;
    let tokens: Vec<Token> = learned[0].spec.containers[0].tokens().collect();
    for key in [&[4, 18][..], &[3, 16], &[5, 1]] {
        assert!(tokens.contains(&Token::from_key(key)?), "{tokens:?}");
    }
    // And what was learned is allowed.
    let text = vm.read_text(file)?.replace("mode: learn", "mode: enforce");
    enforcer.apply("test.learned.yaml", &text)?;
    for words in attempts {
        assert_eq!(container.exec(["/attempt"].iter().chain(words.iter()).copied()).run()?.text(), "allowed", "{words:?}");
    }
    assert_eq!(container.exec(["/attempt", "setuid", "1000"]).run()?.text(), "EPERM");
    container.delete()?;
    Ok(())
}
