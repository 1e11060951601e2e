//! Size and time: what tables of learned rules take, and that rules made to explode are refused in bounded time.
//!
//! ```text
//! cargo test --release -p portcullis-matcher --test scale -- --nocapture
//! ```
//! prints the figures.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use portcullis_matcher::{Builder, CompileError, Limits, Pattern, Resource, Table};

/// What a container of nginx, Python and PostgreSQL is seen doing: families of paths, each with a number of them.
fn learned(count: usize) -> Vec<String> {
    let modules = ["http", "json", "email", "asyncio", "logging", "importlib", "concurrent", "encodings", "collections", "urllib"];
    let libraries = ["c", "m", "ssl", "crypto", "z", "pthread", "pcre2-8", "pq", "ldap-2.5", "gssapi_krb5", "icuuc", "xml2"];
    let names = ["client", "server", "decoder", "encoder", "message", "handlers", "events", "futures", "utf_8", "parse", "error", "policy"];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let mut paths: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    while paths.len() < count {
        let (module, library, name) = (modules[random(10)], libraries[random(12)], names[random(12)]);
        let (a, b, id) = (random(9), random(30), random(count.max(1000)));
        let path = match random(12) {
            0 => format!("/usr/lib/x86_64-linux-gnu/lib{library}.so.{a}.{b}"),
            1 => format!("/usr/lib/x86_64-linux-gnu/nginx/modules/ngx_{module}_{name}_module.so"),
            2 => format!("/usr/local/lib/python3.1{a}/{module}/{name}.py"),
            3 => format!("/usr/local/lib/python3.1{a}/{module}/__pycache__/{name}.cpython-31{a}.pyc"),
            4 => format!("/usr/local/lib/python3.12/site-packages/{module}{b}/{name}.py"),
            5 => format!("/usr/local/lib/python3.12/lib-dynload/_{module}{b}.cpython-312-x86_64-linux-gnu.so"),
            6 => format!("/etc/nginx/conf.d/{module}-{name}{b}.conf"),
            7 => format!("/var/lib/postgresql/data/base/{}/{}", 13000 + a, 16384 + id),
            8 => format!("/var/lib/postgresql/data/pg_wal/0000000{a}{id:016X}"),
            9 => format!("/usr/share/zoneinfo/Europe/{name}{b}"),
            10 => format!("/app/{module}/{name}_{id}.py"),
            _ => format!("/usr/bin/{module}-{name}{b}"),
        };
        if seen.insert(path.clone()) {
            paths.push(path);
        }
    }
    paths
}

/// The globs that generalising learned paths leaves in such a profile.
const GLOBS: [&str; 8] = [
    "/proc/*/status",
    "/tmp/tmp????????",
    "/var/log/nginx/**",
    "/var/lib/postgresql/data/**/[0-9]*_fsm",
    "/usr/local/lib/python3.[0-9]*/**/*.pyc",
    "/usr/lib/x86_64-linux-gnu/*.so.[0-9]*",
    "/run/secrets/**",
    "/**/.git/**",
];

fn compile(paths: &[String], globs: &[&str], limits: Limits) -> (Table, Duration) {
    let start = Instant::now();
    let mut builder = Builder::new(|a, b| a | b).limits(limits);
    for (path, bit) in paths.iter().zip((0..3).cycle()) {
        builder.add(&Pattern::literal(path.as_bytes()).unwrap(), 1 << bit).unwrap();
    }
    for glob in globs {
        builder.add(&Pattern::parse(glob).unwrap(), 8).unwrap();
    }
    let table = builder.build().unwrap();
    (table, start.elapsed())
}

fn report(what: &str, table: &Table, time: Duration) {
    println!(
        "{what}: {} states, {} slots ({} KiB, {} chunks), {:.2} slots a state, {time:.2?}",
        table.states(),
        table.slots().len(),
        table.slots().len() * 8 / 1024,
        table.chunks(),
        table.slots().len() as f64 / table.states() as f64,
    );
}

#[test]
fn five_hundred_learned_rules_fit_eight_chunks() {
    let paths = learned(500);
    // The globs have 7 kinds of trees and names, and then one that may begin in any directory: it is in every state.
    for (what, globs, chunks) in [("literal rules", &GLOBS[..0], 3), ("and 7 globs", &GLOBS[..7], 5), ("and one `/**/name`", &GLOBS, 8)] {
        let (table, time) = compile(&paths, globs, Limits::default());
        report(&format!("500 {what}"), &table, time);
        assert!(table.chunks() <= chunks, "{what}: {} chunks", table.chunks());
    }
}

#[test]
fn the_slots_are_filled_densely() {
    let (table, _) = compile(&learned(2000), &[], Limits::default());
    let used = table.slots().iter().filter(|slot| **slot != 0).count();
    let share = used as f64 / table.slots().len() as f64;
    println!("2,000 literal rules: {:.1} % of the slots are used", share * 100.0);
    assert!(share > 0.9);
}

#[test]
fn a_hundred_thousand_rules_compile_in_seconds_and_are_all_there() {
    // Without optimisation a tenth is enough to wait for.
    let counts: &[usize] = if cfg!(debug_assertions) { &[10_000] } else { &[10_000, 100_000] };
    for &count in counts {
        let paths = learned(count);
        let (table, time) = compile(&paths, &GLOBS, Limits { states: 1 << 23, slots: 1 << 23 });
        report(&format!("{count} literal rules and 8 globs"), &table, time);
        for (path, bit) in paths.iter().zip((0..3).cycle()) {
            assert_eq!(table.accept_of(path.as_bytes()) & 7, 1 << bit, "{path}");
            assert_eq!(table.accept_of(format!("{path}~").as_bytes()) & 7, 0, "{path}~");
        }
        assert!(time < Duration::from_secs(60), "{count} rules took {time:?}");
    }
}

#[test]
fn long_paths_that_share_nothing_compile_too() {
    // Long chains are the hard case for minimisation by rounds; 500 paths of 2,000 bytes are a million states.
    let count = if cfg!(debug_assertions) { 20 } else { 500 };
    let paths: Vec<String> = (0..count)
        .map(|index: u64| {
            let mut state = index + 1;
            let mut tail = String::from("/");
            while tail.len() < 2000 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                tail.push(char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap()));
            }
            tail
        })
        .collect();
    let (table, time) = compile(&paths, &["/**x"], Limits { states: 1 << 22, slots: 1 << 22 });
    report(&format!("{count} literal rules of 2,000 bytes and one glob"), &table, time);
    assert!(paths.iter().all(|path| table.accept_of(path.as_bytes()) & 7 != 0));
}

/// Five thousand rules with a class at one place, of three bytes among 128: many wide edges for every state.
fn many_classes(tail: &str) -> Vec<String> {
    let class = |index: u32| {
        let byte = |shift: u32| format!("\\x{:02x}", 128 + (index.wrapping_mul(2_654_435_761) >> shift) % 128);
        format!("/**[{}{}{}]{tail}", byte(25), byte(18), byte(11))
    };
    (0..5000).map(class).collect()
}

#[test]
fn rules_made_to_explode_are_refused_in_bounded_time_by_each_limit() {
    let letter = |index: u8| char::from(b'a' + index % 26);
    let alphabet: String = (0..40).map(|index| format!("*{}", letter(index))).collect();
    let bombs = [
        (Resource::Positions, (0..60).map(|index| format!("/{index}/{}", "x".repeat(1000))).collect()),
        (Resource::States, vec![format!("/**a{}", "?".repeat(60))]),
        (Resource::States, (0..60).map(|index| format!("/**{}{}", letter(index), "?".repeat(usize::from(index)))).collect()),
        (Resource::Members, (0..200).map(|index| format!("/{}**x{}{alphabet}", "*a".repeat(index % 7), "*b".repeat(index % 11))).collect()),
        (Resource::Members, many_classes("??x")),
        (Resource::Transitions, (0..14_400).map(|index| format!("/**\\x{:02x}\\x{:02x}", 128 + index / 120, 128 + index % 120)).collect()),
        (Resource::Work, many_classes("x")),
        (Resource::Slots, (1000..1250).map(|index| format!("/{}", index.to_string().repeat(40))).collect::<Vec<String>>()),
    ];
    let limits = Limits { states: 50_000, slots: 1 << 15 };
    for (expected, bomb) in bombs {
        let start = Instant::now();
        let mut builder = Builder::new(|a, b| a | b).limits(limits);
        let added = bomb.iter().try_for_each(|text| builder.add(&Pattern::parse(text).unwrap(), 1).map(drop));
        let error = added.and_then(|()| builder.build()).unwrap_err();
        println!("{} rules like {:.60}: {error} after {:.2?}", bomb.len(), bomb[0], start.elapsed());
        let CompileError::TooLarge { what, needed_at_least, limit } = error else { panic!("{error}") };
        assert_eq!(what, expected, "{}", bomb[0]);
        assert!(needed_at_least > limit);
        assert!(start.elapsed() < Duration::from_secs(30), "took {:?}", start.elapsed());
    }
}
