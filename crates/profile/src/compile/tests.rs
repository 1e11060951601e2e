use super::*;
use crate::ObservedPath;
use portcullis_api::FileAccess;
use serde_json::json;

fn rules(value: serde_json::Value) -> ContainerRules {
    let mut rules = json!({ "name": "web" });
    rules.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    serde_json::from_value(rules).unwrap()
}

fn granted(value: serde_json::Value, path: &str) -> Access {
    compile(&rules(value)).unwrap().table.accept_of(path.as_bytes())
}

#[test]
fn an_exec_rule_grants_exec_and_map_and_no_write() {
    assert_eq!(granted(json!({ "exec": [{ "path": "/bin/a" }] }), "/bin/a"), access::EXEC | access::CALLED | access::MAP);
    assert_eq!(granted(json!({ "exec": [{ "path": "/bin/a" }] }), "/bin/b"), 0);
}

#[test]
fn a_program_is_granted_by_the_names_that_are_listed_and_no_other() {
    let compiled = compile(&rules(json!({ "exec": [{ "path": "/bin/b*", "as": ["ls"] }, { "path": "/bin/bash" }] }))).unwrap();
    let missing = |path: &str, name: &str| {
        compiled.missing(&Observation::ExecAs(ObservedPath::new(path.as_bytes()).unwrap(), ProgramName::new(name.as_bytes()).unwrap()))
    };
    assert_eq!(missing("/bin/busybox", "ls"), 0);
    assert_eq!(missing("/bin/busybox", "sh"), access::EXEC);
    assert_eq!(missing("/bin/bash", "sh"), 0);
    assert_eq!(missing("/bin/x", "ls"), access::EXEC);
    assert_eq!(compiled.missing(&Observation::Exec(ObservedPath::new(b"/bin/busybox").unwrap())), access::EXEC);
    assert_eq!(compiled.missing(&Observation::Map(ObservedPath::new(b"/bin/busybox").unwrap())), 0);
}

#[test]
fn the_bits_of_all_rules_that_match_add_up() {
    let value = json!({
        "exec": [{ "path": "/a/*" }],
        "files": [{ "path": "/a/**", "access": ["write"] }, { "path": "/a/x", "access": ["read", "map"] }],
        "guard": ["/a/x"],
    });
    assert_eq!(granted(value, "/a/x"), access::EXEC | access::CALLED | access::MAP | access::READ | access::WRITE | access::GUARDED);
}

#[test]
fn the_default_trees_are_guarded_unless_the_profile_says_otherwise() {
    let compiled = compile(&rules(json!({}))).unwrap();
    assert!(compiled.guards);
    let read = |path: &str| Observation::Open(ObservedPath::new(path.as_bytes()).unwrap(), [FileAccess::Read].into());
    assert_eq!(compiled.missing(&read("/run/secrets/kubernetes.io/serviceaccount/token")), access::READ);
    assert_eq!(compiled.missing(&read("/etc/passwd")), 0);
    let unguarded = compile(&rules(json!({ "guard": [] }))).unwrap();
    assert!(!unguarded.guards);
    assert_eq!(unguarded.missing(&read("/etc/shadow")), 0);
}

#[test]
fn a_rule_that_is_too_large_by_itself_is_named() {
    let limits = Limits { states: 200, slots: 1 << 20 };
    let error = compile_within(&rules(json!({ "guard": [], "exec": [{ "path": format!("/{}", "a".repeat(400)) }] })), limits).unwrap_err();
    assert!(error.to_string().starts_with("container web: exec /aaa"), "{error}");
}

#[test]
fn rules_that_are_too_large_together_name_those_with_most_wildcards() {
    let bad: String = ["/**a", &"?".repeat(20), "*"].concat();
    let value = json!({ "guard": [], "files": [{ "path": bad, "access": ["write"] }, { "path": "/x", "access": ["write"] }] });
    let error = compile_within(&rules(value), Limits { states: 5_000, slots: 1 << 20 }).unwrap_err();
    assert!(matches!(&error, CompileError::Together { wildcards, .. } if wildcards.len() == 1 && wildcards[0].contains(&bad)), "{error}");
}

#[test]
fn the_same_rules_in_another_order_are_the_same_table() {
    let one = rules(json!({ "exec": [{ "path": "/a" }, { "path": "/b*" }] }));
    let other = rules(json!({ "exec": [{ "path": "/b*" }, { "path": "/a" }] }));
    assert_eq!(compile(&one).unwrap(), compile(&other).unwrap());
}

/// As a large application is learned: programs, libraries, modules, data, temporary files, addresses and ports, beside the trees that are guarded
/// by default.
fn learned(count: usize) -> ContainerRules {
    const SYLLABLES: [&str; 24] = [
        "ab", "cor", "data", "ex", "form", "gen", "http", "image", "json", "key", "lex", "mail", "net", "op", "proto", "query", "re",
        "ssl", "text", "util", "vec", "web", "xml", "zip",
    ];
    let name = |index: usize| format!("{}{}{}", SYLLABLES[index % 24], SYLLABLES[index / 5 % 24], SYLLABLES[index / 24 % 24]);
    let (mut exec, mut files, mut connect) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..count {
        let (name, group) = (name(index), index / 10);
        match index % 10 {
            0 => exec.push(json!({ "path": format!("/usr/bin/{name}-{group}") })),
            1..=3 => {
                files.push(json!({ "path": format!("/usr/lib/x86_64-linux-gnu/lib{name}{group}.so.{}", index % 7), "access": ["map"] }))
            }
            4 | 5 => {
                let path = format!("/usr/lib/python3/dist-packages/{name}/_{group}.cpython-311-x86_64-linux-gnu.so");
                files.push(json!({ "path": path, "access": ["map"] }));
            }
            6 => {
                files.push(json!({ "path": format!("/var/lib/{name}/main/base/{group}/[0-9]*"), "access": ["write", "create", "delete"] }))
            }
            7 => files.push(json!({ "path": format!("/var/log/{name}/{group}.log"), "access": ["write", "create"] })),
            8 => files.push(json!({ "path": format!("/tmp/{name}-*/{group}"), "access": ["write", "create", "delete"] })),
            _ => connect.push(json!({ "cidr": format!("10.{}.{}.{}/32", group % 200, index % 251, index % 241), "ports": ["5432/TCP"] })),
        }
    }
    rules(json!({ "exec": exec, "files": files, "connect": connect, "bind": [{ "ports": ["8080/TCP"] }] }))
}

#[test]
fn a_learned_profile_of_500_rules_takes_at_most_128_kib_in_the_kernel() {
    const CHUNK_KIB: usize = portcullis_matcher::CHUNK_SLOTS * 8 / 1024;
    let rules = learned(500);
    assert!(Rule::all_of(&rules).count() >= 500);
    let slots = compile(&rules).unwrap().table.slots().len();
    let kib = slots.div_ceil(portcullis_matcher::CHUNK_SLOTS) * CHUNK_KIB;
    println!("{slots} slots, {kib} KiB");
    assert!(kib <= 128, "{slots} slots, {kib} KiB");
}
