//! What holds of learning as a whole, for observations of every kind in every order.

use crate::{
    Limits, Observation, ObservedPath, Thresholds, compile, diff, generalise,
    merge::{merge, merge_all},
    normalise, rule_for,
};
use portcullis_abi::{
    netkey::{self, Endpoint},
    token,
};
use portcullis_api::{ContainerRules, FileAccess, PathPattern, ProgramName, Rule, Token};
use proptest::{collection::vec, prelude::*, sample};

/// Few enough for a debug build; more by `PROPTEST_CASES=10000 cargo test --release -p portcullis-profile laws`.
fn cases() -> ProptestConfig {
    if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default() } else { ProptestConfig::with_cases(64) }
}

fn container() -> ContainerRules {
    ContainerRules { name: "web".to_owned(), ..ContainerRules::default() }
}

fn paths() -> impl Strategy<Value = ObservedPath> {
    let text = prop_oneof![
        4 => "(/[ab]{1,2}){1,3}",
        1 => "/tmp/(tmp[a-z]{8}|x-[0-9]{1,4}|[a-zA-Z0-9]{6,8})",
        1 => "/proc/[0-9]{1,3}/(environ|fd/[0-9])",
        1 => "/run/secrets/[ab]/\\.\\.2026_11_22_07_12_36\\.[0-9]{4}/token",
        1 => "/d/[0-9]{2}",
        1 => "/[ -.0-~]{1,6}",
    ];
    let bytes = prop_oneof![8 => text.prop_map(String::into_bytes), 1 => vec(1u8.., 1..9).prop_map(|tail| [&b"/"[..], &tail].concat())];
    bytes.prop_filter_map("no path", |bytes| ObservedPath::new(&bytes).ok())
}

fn observations() -> impl Strategy<Value = Observation> {
    let uses = sample::subsequence(
        vec![FileAccess::Read, FileAccess::Write, FileAccess::Create, FileAccess::Delete, FileAccess::Attributes, FileAccess::Connect],
        1..=6,
    );
    let token = prop_oneof![
        (sample::select(vec![token::SOCKET, token::CAPABILITY, token::PRIVILEGE]), 0u8..46)
            .prop_map(|(marker, number)| vec![marker, number]),
        "\x06(user|security)\\.[ab*]{1,3}".prop_map(String::into_bytes),
        "[\x07\x08]([0-9a-f]{5}|[ab*]{0,3}|a-[0-9]{1,2})".prop_map(String::into_bytes),
    ];
    let token = token.prop_filter_map("no token", |key| Token::from_key(&key).ok());
    let address = prop_oneof![(0u8..3).prop_map(|last| Endpoint::v4(6, [10, 0, 0, last], 0).address), any::<[u8; 16]>()];
    let protocol = prop_oneof![Just(6u8), Just(17), any::<u8>()];
    let port = prop_oneof![50u16..54, any::<u16>()];
    prop_oneof![
        2 => paths().prop_map(Observation::Exec),
        1 => (paths(), "[ab]{1,2}").prop_map(|(path, name)| Observation::ExecAs(path, ProgramName::new(name.as_bytes()).unwrap())),
        1 => paths().prop_map(Observation::Map),
        1 => paths().prop_map(Observation::Drift),
        4 => (paths(), uses).prop_map(|(path, uses)| Observation::Open(path, uses.into_iter().collect())),
        2 => token.prop_map(Observation::Token),
        2 => (protocol.clone(), address.clone(), port.clone())
            .prop_map(|(protocol, address, port)| Observation::Connect(Endpoint { protocol, address, port })),
        1 => (protocol, address, port).prop_map(|(protocol, address, port)| Observation::Bind(Endpoint { protocol, address, port })),
    ]
}

/// Rules as learning and people write them.
fn rules() -> impl Strategy<Value = Rule> {
    let written = sample::select(vec![
        r#"{"exec":[{"path":"/a/*"}]}"#,
        r#"{"exec":[{"path":"/a/**"}]}"#,
        r#"{"exec":[{"path":"/a/*","as":["a","b"]}]}"#,
        r#"{"exec":[{"path":"/a/**","as":["b","ab"]}]}"#,
        r#"{"exec":[{"path":"/[ab]*","as":["a"]}]}"#,
        r#"{"exec":[{"path":"/[ba]*","as":["a","b"]}]}"#,
        r#"{"files":[{"path":"/a/*","access":["read","write"]}]}"#,
        r#"{"files":[{"path":"/[ab]*","access":["write"]}]}"#,
        r#"{"files":[{"path":"/[ba]*","access":["write","map"]}]}"#,
        r#"{"files":[{"path":"/tmp/**","access":["write"]}]}"#,
        r#"{"files":[{"path":"/tmp/tmp????????","access":["read","write"]}]}"#,
        r#"{"connect":[{"cidr":"10.0.0.0/30","ports":["50-52/TCP","*/UDP"]}]}"#,
        r#"{"connect":[{"cidr":"::/0","ports":["53/TCP","52/ANY"]}]}"#,
        r#"{"connect":[{"cidr":"10.0.0.1/32","ports":["51/TCP","50-60/ANY"]}]}"#,
        r#"{"bind":[{"ports":["51/TCP","50-60/ANY"]}]}"#,
        r#"{"bind":[{"ports":["*/UDP","52/TCP"]}]}"#,
        r#"{"xattrs":["user.a*"]}"#,
        r#"{"xattrs":["user.*"]}"#,
        r#"{"xattrs":["security.b*"]}"#,
        r#"{"unix":{"connect":["@a*"]}}"#,
        r#"{"unix":{"connect":["@"]}}"#,
        r#"{"unix":{"bind":["@*"]}}"#,
    ]);
    let written = written.prop_map(|json| serde_json::from_str(json).unwrap());
    prop_oneof![2 => observations().prop_map(|observation| generalise(&observation)), 1 => written]
}

fn merged(rules: &[Rule]) -> ContainerRules {
    let mut merged = container();
    for rule in rules {
        merge(&mut merged, rule, Limits::default()).unwrap();
    }
    merged
}

fn together(one: &ContainerRules, other: &ContainerRules) -> ContainerRules {
    let mut all = one.clone();
    merge_all(&mut all, other, Limits::default()).unwrap();
    all
}

/// Another observation that differs as little as it can.
fn sibling(observation: &Observation, bit: usize) -> Observation {
    let beside = |path: &ObservedPath| ObservedPath::new(&[path.bytes(), b"x"].concat()).unwrap();
    match observation {
        Observation::Exec(path) => Observation::Exec(beside(path)),
        Observation::ExecAs(path, name) if bit.is_multiple_of(2) => Observation::ExecAs(beside(path), name.clone()),
        Observation::ExecAs(path, name) => Observation::ExecAs(path.clone(), ProgramName::new(&[name.bytes(), b"x"].concat()).unwrap()),
        Observation::Map(path) => Observation::Map(beside(path)),
        Observation::Drift(path) => Observation::Drift(beside(path)),
        Observation::Open(path, uses) => Observation::Open(beside(path), uses.clone()),
        Observation::Connect(endpoint) => {
            let mut key = endpoint.connect_key();
            key[1 + bit / 8] ^= 1 << (bit % 8);
            Observation::Connect(Endpoint::from_connect_key(&key).unwrap())
        }
        // The address is no part of what is granted: the protocol, then the port.
        Observation::Bind(endpoint) => {
            let mut key = endpoint.bind_key();
            let at = if bit < 8 { netkey::PROTOCOL_AT } else { netkey::PORT_AT + bit / 8 % 2 };
            key[at] ^= 1 << (bit % 8);
            Observation::Bind(Endpoint::from_bind_key(&key).unwrap())
        }
        Observation::Token(token @ (Token::Xattr(_) | Token::UnixConnect(_) | Token::UnixBind(_))) => {
            Observation::Token(Token::from_key(&[&token.key()[..], b"x"].concat()).unwrap())
        }
        Observation::Token(token) => {
            let key = [token.key()[0], if token.key()[1] == 3 { 4 } else { 3 }];
            Observation::Token(Token::from_key(&key).unwrap())
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_was_observed_is_granted(observations in vec(observations(), 0..50)) {
        let mut learned = merged(&observations.iter().map(generalise).collect::<Vec<_>>());
        let before = compile(&learned).unwrap();
        normalise(&mut learned, &Thresholds { siblings: 3, below: vec![] });
        let after = compile(&learned).unwrap();
        for observation in &observations {
            prop_assert_eq!(before.missing(observation), 0, "{:?} by {:#?}", observation, learned);
            prop_assert_eq!(after.missing(observation), 0, "normalised: {:?} by {:#?}", observation, learned);
        }
    }

    #[test]
    fn nothing_becomes_code_that_was_not_seen_as_code(observations in vec(observations(), 0..50)) {
        let mut learned = merged(&observations.iter().map(generalise).collect::<Vec<_>>());
        normalise(&mut learned, &Thresholds { siblings: 3, below: vec![] });
        let compiled = compile(&learned).unwrap();
        for observation in &observations {
            let Observation::Open(path, _) = observation else { continue };
            for as_code in [Observation::Exec(path.clone()), Observation::Map(path.clone())] {
                let seen = observations.iter().any(|other| match (other, &as_code) {
                    (Observation::Exec(other), _) | (Observation::ExecAs(other, _), Observation::Map(_)) => other == path,
                    (Observation::Map(other), Observation::Map(_)) => other == path,
                    _ => false,
                });
                prop_assert_eq!(compiled.missing(&as_code) == 0, seen, "{:?}", as_code);
            }
        }
    }

    #[test]
    fn collapsing_makes_no_code_writable(observations in vec(observations(), 0..50)) {
        let learned = merged(&observations.iter().map(generalise).collect::<Vec<_>>());
        let mut collapsed = learned.clone();
        normalise(&mut collapsed, &Thresholds { siblings: 3, below: vec![] });
        let (before, after) = (compile(&learned).unwrap(), compile(&collapsed).unwrap());
        for observation in &observations {
            let (Observation::Exec(path) | Observation::Map(path)) = observation else { continue };
            let write = Observation::Open(path.clone(), [FileAccess::Write].into());
            prop_assert_eq!(before.missing(&write), after.missing(&write));
        }
    }

    #[test]
    fn the_exact_rule_grants_the_observation_and_no_sibling(observation in observations(), bit in 0usize..152) {
        let everything: PathPattern = "/**".parse().unwrap();
        let mut only = ContainerRules { guard: Some(vec![everything]), ..container() };
        merge(&mut only, &rule_for(&observation), Limits::default()).unwrap();
        let compiled = compile(&only).unwrap();
        prop_assert_eq!(compiled.missing(&observation), 0);
        let sibling = sibling(&observation, bit);
        prop_assert_eq!(compiled.missing(&sibling), sibling.asked());
    }

    #[test]
    fn merging_is_commutative(rules in vec(rules(), 0..12), other in vec(rules(), 0..12)) {
        let forward = merged(&[&rules[..], &other].concat());
        let backward: Vec<_> = rules.iter().chain(&other).rev().cloned().collect();
        prop_assert_eq!(&forward, &merged(&backward));
        let (one, other) = (merged(&rules), merged(&other));
        prop_assert_eq!(together(&one, &other), together(&other, &one));
        prop_assert_eq!(together(&one, &other), forward);
    }

    #[test]
    fn merging_is_associative(a in vec(rules(), 0..8), b in vec(rules(), 0..8), c in vec(rules(), 0..8)) {
        let (a, b, c) = (merged(&a), merged(&b), merged(&c));
        prop_assert_eq!(together(&together(&a, &b), &c), together(&a, &together(&b, &c)));
    }

    #[test]
    fn merging_again_changes_nothing(rules in vec(rules(), 0..20)) {
        let all = merged(&rules);
        let mut again = all.clone();
        for rule in &rules {
            prop_assert_eq!(merge(&mut again, rule, Limits::default()), Ok(false), "{}", rule);
        }
        prop_assert_eq!(merge_all(&mut again, &all, Limits::default()), Ok(false));
        prop_assert_eq!(diff(&all, &again), []);
    }

    #[test]
    fn what_merging_reports_as_a_change_is_one(rules in vec(rules(), 0..20)) {
        let mut all = container();
        for rule in &rules {
            let before = all.clone();
            let changed = merge(&mut all, rule, Limits::default()).unwrap();
            prop_assert_eq!(changed, all != before);
            prop_assert_eq!(changed, !diff(&before, &all).is_empty());
        }
    }
}
