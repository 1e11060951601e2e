use super::*;
use crate::{
    BindRule, ConnectRule, ContainerRules, ExecRule, FileAccess, FileRule, Mode, PathPattern, Ports, ProgramName, Protocol, Token,
    WorkloadReference,
};
use proptest::{collection::vec, option, prelude::*, sample};
use std::collections::{BTreeMap, BTreeSet};

const GOOD: &str = r#"apiVersion: portcullis.dev/v1alpha1
kind: WorkloadProfile
metadata:
  namespace: shop
  name: deployment-web
spec:
  workload: {apiVersion: apps/v1, kind: Deployment, name: web}
  mode: enforce
  containers:
  - name: web
    exec:
    - path: /usr/sbin/nginx
    files:
    - {path: /var/log/nginx/**, access: [write]}
    - {path: /var/run/secrets/**, access: [read]}
    connect:
    - {cidr: 10.96.0.10/32, ports: [53/TCP, 53/UDP]}
    - {cidr: "::/0", ports: ["*/ANY"]}
    guard:
    - /etc/shadow
"#;

/// The problems of [`GOOD`] with one part replaced, each without the file's name.
fn problems(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from}");
    let error = load("f", &GOOD.replacen(from, to, 1)).unwrap_err();
    error.to_string().lines().map(|line| line.strip_prefix("f:").unwrap().to_owned()).collect()
}

/// The replacement leads to this one problem.
fn refuses(from: &str, to: &str, problem: &str) {
    let found = problems(from, to);
    assert!(found.len() == 1 && found[0].starts_with(problem), "wanted {problem}\nfound {found:#?}");
}

#[test]
fn a_profile_is_read_and_written_back_as_it_was() {
    let profiles = load("f", GOOD).unwrap();
    assert_eq!(profiles.len(), 1);
    assert_eq!(profiles[0].spec.containers[0].connect[1].ports, [Ports::new(Protocol::Any, 0, u16::MAX).unwrap()].into());
    assert_eq!(to_yaml(&profiles[0]).unwrap(), GOOD);
}

#[test]
fn ports_to_bind_are_read_and_written_back_as_they_were() {
    let text = GOOD.replace("    guard:", "    bind:\n    - {ports: [8080/TCP, 0/UDP]}\n    guard:");
    let profiles = load("f", &text).unwrap();
    let ports = ["8080/TCP", "0/UDP"].map(|text| text.parse().unwrap());
    assert_eq!(profiles[0].spec.containers[0].bind, [BindRule { ports: ports.into() }]);
    assert_eq!(to_yaml(&profiles[0]).unwrap(), text);
    refuses("    guard:", "    bind: [{ports: []}]\n    guard:", "19:20: spec.containers[0].bind[0].ports: empty");
    refuses(
        "    guard:",
        "    bind: [{cidr: \"::/0\", ports: [80/TCP]}]\n    guard:",
        "19:13: spec.containers[0].bind[0].cidr: unknown field",
    );
}

#[test]
fn names_of_programs_are_read_and_written_back_as_they_were() {
    let text = GOOD.replace("    files:", "    - {path: /bin/busybox, as: [cat, ls]}\n    files:");
    let profiles = load("f", &text).unwrap();
    assert_eq!(to_yaml(&profiles[0]).unwrap(), text);
    refuses("- path: /usr/sbin/nginx", "- {path: /bin/busybox, as: []}", "12:32: spec.containers[0].exec[0].as: empty");
    refuses("- path: /usr/sbin/nginx", "- {path: /b, as: [ls, /bin/cat]}", "12:27: spec.containers[0].exec[0].as[1]: only what follows");
}

#[test]
fn every_document_is_read_and_empty_ones_are_passed_over() {
    let text = format!("---\n{GOOD}---\n# nothing\n---\n{}", GOOD.replace("deployment-web", "other"));
    let profiles = load("f", &text).unwrap();
    assert_eq!(profiles.iter().map(|profile| profile.metadata.name.as_deref().unwrap()).collect::<Vec<_>>(), ["deployment-web", "other"]);
    assert_eq!(load("f", "").unwrap(), []);
}

#[test]
fn what_the_api_server_adds_is_read() {
    let text = GOOD.replace("metadata:", "metadata:\n  uid: \"1\"\n  generation: 3\n  creationTimestamp: \"2026-11-22T07:12:36Z\"\n  managedFields: [{manager: a, fieldsV1: {f:spec: {}}}]");
    assert_eq!(load("f", &text).unwrap()[0].metadata.generation, Some(3));
}

#[test]
fn a_bad_pattern_is_shown_where_it_is_bad() {
    refuses("path: /usr/sbin/nginx", "path: usr/sbin/nginx", "12:13: spec.containers[0].exec[0].path: a path begins with `/`");
    refuses("path: /usr/sbin/nginx", "path: /usr/***/nginx", "12:20: spec.containers[0].exec[0].path: `***`");
    refuses("path: /usr/sbin/nginx", r#"path: "/usr/***/nginx""#, "12:21: spec.containers[0].exec[0].path: `***`");
    refuses("- /etc/shadow", "- /etc/../shadow", "20:12: spec.containers[0].guard[0]: `..`");
}

#[test]
fn a_pattern_that_the_file_spells_otherwise_is_shown_where_it_begins() {
    refuses("path: /usr/sbin/nginx", r#"path: "/\x75sr/***/nginx""#, "12:13: spec.containers[0].exec[0].path: `***`");
}

#[test]
fn unknown_fields_are_refused_at_every_level() {
    refuses("kind: W", "status: {}\nkind: W", "2:1: status: unknown field: the fields here are apiVersion");
    refuses("  namespace: shop", "  namespaces: x\n  namespace: shop", "4:3: metadata.namespaces: unknown field");
    refuses("  mode: enforce", "  mode: enforce\n  capabilities: []", "9:3: spec.capabilities: unknown field");
    refuses("    guard:", "    ulimits: [nofile]\n    guard:", "19:5: spec.containers[0].ulimits: unknown field");
    refuses(
        "    - path: /usr/sbin/nginx",
        "    - path: /usr/sbin/nginx\n      called: [sh]",
        "13:7: spec.containers[0].exec[0].called: unknown field",
    );
    refuses("{cidr: 10.96.0.10/32, ", "{service: a, cidr: 10.96.0.10/32, ", "17:8: spec.containers[0].connect[0].service: unknown field");
}

#[test]
fn missing_fields_and_names_are_told_where_they_belong() {
    refuses("  mode: enforce\n", "", "7:3: spec.mode: missing");
    refuses("  namespace: shop\n", "", "4:3: metadata.namespace: missing");
    refuses("  name: deployment-web\n", "", "4:3: metadata.name: missing");
    refuses("  - name: web\n    exec:", "  - exec:", "10:5: spec.containers[0].name: missing");
    refuses("/var/log/nginx/**, access: [write]", "/var/log/nginx/**", "14:7: spec.containers[0].files[0].access: missing");
    refuses("apiVersion: p", "#apiVersion: p", "2:1: apiVersion: missing");
}

#[test]
fn wrong_types_are_told_with_what_was_wanted() {
    refuses("mode: enforce", "mode: 1", "8:9: spec.mode: a number is not known here: write `learn`");
    refuses("[53/TCP, 53/UDP]", "[53]", "17:37: spec.containers[0].connect[0].ports[0]: a number where a text must be");
    refuses("[53/TCP, 53/UDP]", "53/TCP", "17:36: spec.containers[0].connect[0].ports: a text where a list must be");
    refuses("name: web\n    exec", "name: 7\n    exec", "10:11: spec.containers[0].name: a number where a text must be");
    refuses("    - path: /usr/sbin/nginx", "    - /usr/sbin/nginx", "12:7: spec.containers[0].exec[0]: a text where a map must be");
    refuses("    exec:\n    - path: /usr/sbin/nginx", "    exec:", "11:9: spec.containers[0].exec: nothing where a list must be");
    refuses("  name: deployment-web", "  name: deployment-web\n  labels: {a: 1}", "6:15: metadata.labels.a: a number where a text must be");
}

#[test]
fn wrong_versions_kinds_and_modes_are_told_with_the_right_ones() {
    refuses(
        "portcullis.dev/v1alpha1",
        "portcullis.dev/v1",
        "1:13: apiVersion: `portcullis.dev/v1` is not known here: write `portcullis.dev/v1alpha1`",
    );
    refuses("WorkloadProfile", "List", "2:7: kind: `List` is not known here: write `WorkloadProfile`");
    refuses("enforce", "enforced", "8:9: spec.mode: `enforced` is not known here: write `learn` or `audit` or `enforce`");
    refuses(
        "[write]",
        "[append, write]",
        "14:42: spec.containers[0].files[0].access[0]: `append` is not known here: write `read` or `write` or `map` or `create` or `delete` or \
         `attributes` or `connect` or `drift`",
    );
}

#[test]
fn bad_ranges_and_ports_are_told_with_the_right_spelling() {
    refuses(
        "10.96.0.10/32",
        "10.96.0.10",
        "17:14: spec.containers[0].connect[0].cidr: an address without a prefix length: write `10.96.0.10/32`",
    );
    refuses(
        "10.96.0.10/32",
        "10.96.0.10/8",
        "17:14: spec.containers[0].connect[0].cidr: bits are set behind the first 8: write `10.0.0.0/8`",
    );
    refuses("53/TCP, ", "53/tcp, ", "17:40: spec.containers[0].connect[0].ports[0]: `tcp` is no protocol: write `TCP`");
    refuses("53/TCP, 53/UDP", "", "17:36: spec.containers[0].connect[0].ports: empty");
}

#[test]
fn entries_that_are_there_twice_are_shown_where_they_are_repeated() {
    refuses(
        "    files:",
        "    - path: /usr/sbin/nginx\n    files:",
        "13:13: spec.containers[0].exec[1].path: `/usr/sbin/nginx` is listed twice",
    );
    refuses("  - name: web", "  - name: web\n  - name: web", "11:11: spec.containers[1].name: `web` is listed twice");
    refuses("\"::/0\"", "10.96.0.10/32", "18:14: spec.containers[0].connect[1].cidr: `10.96.0.10/32` is listed twice");
}

#[test]
fn bad_names_are_told_with_the_rule_of_kubernetes() {
    refuses(
        "name: deployment-web",
        "name: Deployment_Web",
        "5:9: metadata.name: `Deployment_Web` is not a valid name here: write lower-case",
    );
    refuses("namespace: shop", "namespace: shop.eu", "4:14: metadata.namespace: `shop.eu` is not a valid name");
}

#[test]
fn all_problems_of_all_documents_are_told() {
    let text = format!("{}---\n{}", GOOD.replace("mode: enforce", "mode: x").replace("53/TCP", "x"), GOOD.replace("shop", "Shop"));
    let error = load("f", &text).unwrap_err();
    let fields: Vec<_> = error.problems().iter().map(|problem| (problem.line, problem.field.as_str())).collect();
    assert_eq!(fields, [(8, "spec.mode"), (17, "spec.containers[0].connect[0].ports[0]"), (25, "metadata.namespace")]);
}

#[test]
fn bad_yaml_is_told_with_its_place() {
    let error = load("f", &GOOD.replace("  mode: enforce", "  mode: [enforce")).unwrap_err();
    assert_eq!(error.problems().len(), 1);
    assert!(error.problems()[0].line >= 8, "{error}");
    let error = load("f", &GOOD.replace("  mode: enforce", "  mode: enforce\n  mode: learn")).unwrap_err();
    assert_eq!((error.problems()[0].line, error.problems()[0].column), (9, 3), "{error}");
}

#[test]
fn a_file_that_is_too_long_is_not_read() {
    let error = load("f", &" ".repeat(FILE_MAX + 1)).unwrap_err();
    assert!(error.to_string().contains("split the file"), "{error}");
}

#[test]
fn aliases_may_be_used() {
    let text =
        GOOD.replace("- path: /usr/sbin/nginx", "- &nginx {path: /usr/sbin/nginx}\n  - name: other\n    exec: [*nginx]\n  - name: third");
    assert_eq!(load("f", &text).unwrap()[0].spec.containers[1].exec[0].path.as_str(), "/usr/sbin/nginx");
}

#[test]
fn a_name_that_is_none_is_refused_with_the_one_that_was_meant() {
    for (list, message) in [
        ("capabilities: [CHOWN, CAP_NET_ADMIN]", "capabilities[1]: `CAP_NET_ADMIN` is no capability: write `NET_ADMIN`"),
        ("sockets: [AF_PACKET]", "sockets[0]: `AF_PACKET` is no kind of socket: write `packet`"),
        ("privileges: [trace]", "privileges[0]: `trace` is no privilege: write ptrace, mount, "),
        ("xattrs: [user.*.x]", "xattrs[0]: `*` stands at the end only"),
        ("unix: {bind: [dbus]}", "unix.bind[0]: an abstract name begins with `@`: write `@dbus`"),
        ("unix: {connect: [/run/docker.sock]}", "unix.connect[0]: a path is no abstract name: list it under `files`"),
        ("unix: [\"@x\"]", "unix: a list where a map must be"),
        ("unix: {listen: []}", "unix.listen: unknown field: the fields here are bind, connect"),
        ("capabilities: ALL", "capabilities: a text where a list must be"),
    ] {
        let text = GOOD.replace("    guard:\n", &format!("    {list}\n    guard:\n"));
        let error = load("f", &text).unwrap_err().to_string();
        assert!(error.contains(&format!("spec.containers[0].{message}")), "{list}: {error}");
    }
}

#[test]
fn aliases_that_unfold_without_end_are_refused_in_bounded_time() {
    let levels: String =
        (1..12).map(|level| format!("  l{level}: &l{level} [{}]\n", vec![format!("*l{}", level - 1); 9].join(", "))).collect();
    let error = load("f", &format!("x:\n  l0: &l0 [a, b]\n{levels}")).unwrap_err();
    assert_eq!(error.problems().len(), 1);
    let nested = format!("x: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(load("f", &nested).unwrap_err().problems().len(), 1);
}

#[test]
fn a_guard_that_is_empty_stays_and_one_that_is_absent_stays_away() {
    let (absent, empty) =
        (GOOD.replace("    guard:\n    - /etc/shadow\n", ""), GOOD.replace("    guard:\n    - /etc/shadow\n", "    guard: []\n"));
    assert_eq!(load("f", &absent).unwrap()[0].spec.containers[0].guard, None);
    assert_eq!(load("f", &empty).unwrap()[0].spec.containers[0].guard, Some(vec![]));
    for text in [absent, empty] {
        assert_eq!(to_yaml(&load("f", &text).unwrap()[0]).unwrap(), text);
    }
}

fn paths() -> impl Strategy<Value = PathPattern> {
    let literal = vec(vec(any::<u8>().prop_filter("no separator", |byte| !matches!(byte, 0 | b'/')), 1..12), 1..5);
    let literal = literal.prop_filter_map("dots", |parts| {
        PathPattern::literal(&parts.iter().flat_map(|part| [b"/", &part[..]].concat()).collect::<Vec<_>>()).ok()
    });
    prop_oneof![3 => literal, 1 => "(/[a-z*?.: #'\"{}&!|>@`,-]{1,8}){1,3}(/\\*\\*)?".prop_filter_map("no pattern", |text| text.parse().ok())]
}

fn connects() -> impl Strategy<Value = ConnectRule> {
    let cidr = prop_oneof![
        any::<u32>().prop_map(|a| format!("{}/32", std::net::Ipv4Addr::from(a))),
        (16u8..48).prop_map(|b| format!("2001::/{b}"))
    ];
    (cidr, ports()).prop_map(|(cidr, ports)| ConnectRule { cidr: cidr.parse().unwrap(), ports })
}

fn ports() -> impl Strategy<Value = BTreeSet<Ports>> {
    let ports = (prop_oneof![Just(Protocol::TCP), Just(Protocol::Any), Just(Protocol::Number(200))], any::<u16>())
        .prop_map(|(protocol, port)| Ports::one(protocol, port));
    proptest::collection::btree_set(ports, 1..4)
}

fn tokens() -> impl Strategy<Value = Token> {
    let key = prop_oneof![
        (3u8..6, 0u8..50).prop_map(|(marker, number)| vec![marker, number]),
        (7u8..9, vec(any::<u8>(), 0..12)).prop_map(|(marker, name)| [&[marker], &name[..]].concat()),
        vec(1u8.., 1..12).prop_map(|name| [&[6], &name[..]].concat()),
        (0u8..2, any::<u8>(), 0u8..2).prop_map(|(table, low, high)| vec![9, table, low, high]),
    ];
    prop_oneof![3 => key.prop_filter_map("no token", |key| Token::from_key(&key).ok()), 1 => Just(Token::Xattr("user.*".parse().unwrap()))]
}

fn containers() -> impl Strategy<Value = ContainerRules> {
    let access = sample::subsequence(FileAccess::ALL.to_vec(), 1..=FileAccess::ALL.len());
    let files = (paths(), access).prop_map(|(path, access)| FileRule { path, access: access.into_iter().collect() });
    let name = "[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?";
    let binds = vec(ports().prop_map(|ports| BindRule { ports }), 0..3);
    let names = proptest::collection::btree_set("[a-z\\\\*\u{e4}-]{1,8}".prop_map(|name| ProgramName::new(name.as_bytes()).unwrap()), 1..4);
    let exec = (paths(), option::of(names));
    (name, vec(exec, 0..5), vec(files, 0..5), vec(connects(), 0..4), binds, vec(tokens(), 0..6), option::of(vec(paths(), 0..3))).prop_map(
        |(name, exec, files, connect, bind, tokens, guard)| {
            let exec = exec.into_iter().map(|(path, called_as)| ExecRule { path, called_as }).collect();
            let mut rules = ContainerRules { name, exec, files, connect, bind, guard, ..ContainerRules::default() };
            for token in tokens {
                rules.list(token);
            }
            rules.exec.sort();
            rules.exec.dedup_by(|a, b| a.path == b.path);
            rules.files.sort();
            rules.files.dedup_by(|a, b| a.path == b.path);
            rules.connect.sort();
            rules.connect.dedup_by(|a, b| a.cidr == b.cidr);
            rules
        },
    )
}

fn profiles() -> impl Strategy<Value = WorkloadProfile> {
    let map = || option::of(proptest::collection::btree_map("[a-z.]{1,12}", "[ -~\n\u{e4}]{0,100}", 1..4));
    let name = "[a-z0-9]([a-z0-9.]{0,5}[a-z0-9])?".prop_filter("no empty label", |name| !name.contains(".."));
    let mode = prop_oneof![Just(Mode::Learn), Just(Mode::Audit), Just(Mode::Enforce)];
    let workload =
        name.clone().prop_map(|name| WorkloadReference { api_version: "apps/v1".to_owned(), kind: "Deployment".to_owned(), name });
    (name, "[a-z0-9]{1,9}", map(), map(), mode, workload, vec(containers(), 0..4)).prop_map(
        |(name, namespace, labels, annotations, mode, workload, mut containers): (
            _,
            _,
            Option<BTreeMap<_, _>>,
            Option<BTreeMap<_, _>>,
            _,
            _,
            Vec<_>,
        )| {
            containers.sort_by(|a, b| a.name.cmp(&b.name));
            containers.dedup_by(|a, b| a.name == b.name);
            let mut profile = WorkloadProfile::new(&name, WorkloadProfileSpec { workload, mode, containers });
            profile.metadata.namespace = Some(namespace);
            (profile.metadata.labels, profile.metadata.annotations) = (labels, annotations);
            profile
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_reads_back_equal(profile in profiles()) {
        let text = to_yaml(&profile).unwrap();
        let read = load("f", &text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(&read, &[profile], "{}", text);
        prop_assert!(!text.lines().any(|line| line.ends_with(": null")), "{}", text);
    }

    #[test]
    fn the_file_and_the_api_server_give_the_same_profile(profile in profiles()) {
        let json = serde_json::to_string(&profile).unwrap();
        prop_assert_eq!(&serde_json::from_str::<WorkloadProfile>(&json).unwrap(), &profile);
        prop_assert_eq!(load("f", &json).map_err(|error| TestCaseError::fail(error.to_string()))?, [profile]);
    }

    #[test]
    fn a_file_with_a_damaged_character_never_panics(at in 0..GOOD.len(), by in "\\PC|[\n\t\0:{}\\[\\]&*-]") {
        let text: String = GOOD.chars().enumerate().map(|(index, c)| if index == at { by.clone() } else { c.to_string() }).collect();
        match load("f", &text) {
            Ok(profiles) => prop_assert!(profiles.len() <= 1),
            Err(error) => prop_assert!(error.problems().iter().all(|problem| problem.line >= 1 && problem.column >= 1)),
        }
    }
}
