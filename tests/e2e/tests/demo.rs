//! The demonstration's story, told on every kernel: `make demo` shows what this asserts.

use portcullis_api::{FileAccess, Rule, Token};
use portcullis_e2e::{Kernel, TestResult, demo};

/// Everything that the shop may do, and nothing else: so tight is what was learned.
const LEARNED: [&str; 5] =
    ["exec /usr/bin/shop", "files /tmp/cart-[0-9]*", "files /var/log/shop/access.log", "connect 10.96.0.20/32 5432/TCP", "bind 8080/TCP"];

/// A rule as people name it: of a file's, the path, since what goes with writing is told by more than one word.
fn what(rule: &Rule) -> String {
    match rule {
        Rule::File(file) => format!("files {}", file.path),
        other => other.to_string(),
    }
}

fn tell(kernel: Kernel) -> TestResult {
    let mut story = Vec::new();
    let told = demo::run(kernel, &mut story);
    let story = String::from_utf8_lossy(&story).into_owned();
    let outcome = told.map_err(|error| format!("{error}\n{story}"))?;

    let rules = outcome.profile.spec.containers.iter().flat_map(Rule::all_of);
    let (calls, rules): (Vec<Rule>, Vec<Rule>) = rules.partition(|rule| matches!(rule, Rule::Token(Token::Syscall(_))));
    assert!(calls.iter().any(|call| call.to_string() == "syscalls accept4"), "{story}");
    assert_eq!(rules.iter().map(what).collect::<Vec<_>>(), LEARNED, "{story}");
    let reads =
        |rule: &Rule| matches!(rule, Rule::File(file) if file.access.contains(&FileAccess::Read) || file.access.contains(&FileAccess::Map));
    assert!(!rules.iter().any(reads), "the shop only writes: {story}");

    let table = &outcome.table;
    assert!(table.is_as_it_should_be(), "{story}\n{table}");
    let steps: Vec<&str> = table.rows.iter().map(|row| row.audit.of.step).collect();
    assert_eq!(
        steps,
        [
            "a shell is spawned",
            "the service account token is scraped",
            "a privileged pod is created",
            "the cloud's metadata service is reached",
            "data is sent out",
            "an ordinary pod is created",
            "visitors browse and buy",
        ]
    );
    Ok(())
}

#[test]
fn every_step_of_the_attack_is_watched_in_audit_and_stopped_in_enforce_on_v6_1() {
    if let Err(failure) = tell(Kernel::V6_1) {
        panic!("{failure}");
    }
}

#[test]
fn every_step_of_the_attack_is_watched_in_audit_and_stopped_in_enforce_on_v6_12() {
    if let Err(failure) = tell(Kernel::V6_12) {
        panic!("{failure}");
    }
}
