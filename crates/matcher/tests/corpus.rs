//! One corpus of cases, run through the reference matcher, through a table of the one pattern, and through one table of all.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use portcullis_matcher::{Builder, Pattern, Table};

/// A pattern, paths that it matches and paths that it does not.
struct Case {
    pattern: &'static str,
    matches: &'static [&'static [u8]],
    misses: &'static [&'static [u8]],
}

const CORPUS: &[Case] = &[
    Case { pattern: "/", matches: &[b"/"], misses: &[b"", b"//", b"/a", b"a"] },
    Case {
        pattern: "/usr/sbin/nginx",
        matches: &[b"/usr/sbin/nginx"],
        misses: &[b"/usr/sbin/ngin", b"/usr/sbin/nginx2", b"/usr/sbin", b"/usr/sbin/nginx/", b"usr/sbin/nginx", b"/x/usr/sbin/nginx"],
    },
    Case {
        pattern: "/var/log/*",
        matches: &[b"/var/log/a", b"/var/log/", b"/var/log/.hidden", b"/var/log/a b\xff"],
        misses: &[b"/var/log", b"/var/log/a/b", b"/var/logs/a"],
    },
    Case {
        pattern: "/var/log/**",
        matches: &[b"/var/log/a", b"/var/log/", b"/var/log/a/b/c"],
        misses: &[b"/var/log", b"/var/lo", b"/var/logs"],
    },
    Case { pattern: "/var/log**", matches: &[b"/var/log", b"/var/logs", b"/var/log/a"], misses: &[b"/var/lo", b"/var"] },
    Case { pattern: "/**", matches: &[b"/", b"/a", b"/a/b"], misses: &[b"", b"a"] },
    Case { pattern: "/*", matches: &[b"/", b"/a"], misses: &[b"/a/b", b""] },
    Case { pattern: "/**/passwd", matches: &[b"/etc/passwd", b"/a/b/passwd", b"//passwd"], misses: &[b"/passwd", b"/etc/passwd2"] },
    Case { pattern: "/**passwd", matches: &[b"/passwd", b"/etc/passwd", b"/xpasswd"], misses: &[b"/passw", b"/passwd/a"] },
    Case { pattern: "/a/*/c", matches: &[b"/a/b/c", b"/a//c", b"/a/bb/c"], misses: &[b"/a/c", b"/a/b/b/c", b"/a/b/cc"] },
    Case { pattern: "/a*b*c", matches: &[b"/abc", b"/aXbYc", b"/abbcc", b"/abcbc"], misses: &[b"/ab", b"/acb", b"/ab/c", b"/abca"] },
    Case { pattern: "/?", matches: &[b"/a", b"/\xff", b"/?"], misses: &[b"/", b"//", b"/ab"] },
    Case { pattern: "/??/x", matches: &[b"/ab/x", "/é/x".as_bytes()], misses: &[b"/a/x", b"/a//x", b"/abc/x"] },
    Case {
        pattern: "/lib/lib[a-c]?.so",
        matches: &[b"/lib/libax.so", b"/lib/libc6.so"],
        misses: &[b"/lib/libd6.so", b"/lib/liba.so", b"/lib/libaxx.so"],
    },
    Case { pattern: "/[^a-z]x", matches: &[b"/Ax", b"/0x", b"/\xe9x"], misses: &[b"/ax", b"//x", b"/x", b"/zx"] },
    Case { pattern: "/[.-0]", matches: &[b"/.", b"/0"], misses: &[b"//", b"/1", b"/-"] },
    Case { pattern: r"/\*\?\[a\]", matches: &[b"/*?[a]"], misses: &[b"/xx[a]", b"/*?a", br"/\*\?\[a\]"] },
    Case { pattern: r"/caf\xe9", matches: &[b"/caf\xe9"], misses: &["/café".as_bytes(), b"/caf"] },
    Case { pattern: "/café", matches: &["/café".as_bytes()], misses: &[b"/caf\xe9", b"/caf\xc3", b"/cafe"] },
    Case { pattern: "/a]b}c{", matches: &[b"/a]b}c{"], misses: &[b"/ab}c{"] },
    Case {
        pattern: "/proc/*/fd/[0-9]*",
        matches: &[b"/proc/1/fd/0", b"/proc/self/fd/10", b"/proc/1/fd/2x"],
        misses: &[b"/proc/1/fd/", b"/proc/1/fd/x", b"/proc/1/task/1/fd/0", b"/proc/1/fd"],
    },
    Case {
        pattern: "/usr/lib/**/*.so.*",
        matches: &[b"/usr/lib/x86_64-linux-gnu/libc.so.6", b"/usr/lib/a/b/c.so.1.2", b"/usr/lib/a/.so."],
        misses: &[b"/usr/lib/libc.so.6", b"/usr/lib/a/libc.so", b"/usr/lib/a/libc.so.6/x"],
    },
    Case { pattern: "/**/.**", matches: &[b"/a/.b", b"/a/b/.c/d", b"/a/."], misses: &[b"/.a", b"/a/b"] },
    Case { pattern: "/*/**", matches: &[b"/a/", b"/a/b", b"/a/b/c", b"//"], misses: &[b"/a", b"/"] },
    Case {
        pattern: "/tmp/[a-z][a-z0-9_]*.py",
        matches: &[b"/tmp/xy.py", b"/tmp/a_.x.py"],
        misses: &[b"/tmp/x.py", b"/tmp/Ax.py", b"/tmp/.py", b"/tmp/aX/b.py"],
    },
];

fn pattern(case: &Case) -> Pattern {
    Pattern::parse(case.pattern).unwrap_or_else(|error| panic!("{}: {error}", case.pattern))
}

fn table_of<'a>(rules: impl Iterator<Item = (&'a Case, u32)>) -> Table {
    let mut builder = Builder::new(|a, b| a | b);
    for (case, accept) in rules {
        builder.add(&pattern(case), accept).unwrap();
    }
    builder.build().unwrap()
}

#[test]
fn the_reference_matches_what_the_corpus_says() {
    for case in CORPUS {
        let pattern = pattern(case);
        for path in case.matches {
            assert!(pattern.matches(path), "{pattern} should match {}", path.escape_ascii());
        }
        for path in case.misses {
            assert!(!pattern.matches(path), "{pattern} should not match {}", path.escape_ascii());
        }
    }
}

#[test]
fn a_table_of_one_pattern_matches_what_the_corpus_says() {
    for case in CORPUS {
        let table = table_of(std::iter::once((case, 5)));
        for path in case.matches {
            assert_eq!(table.accept_of(path), 5, "{} should match {}", case.pattern, path.escape_ascii());
        }
        for path in case.misses {
            assert_eq!(table.accept_of(path), 0, "{} should not match {}", case.pattern, path.escape_ascii());
        }
    }
}

#[test]
fn one_table_of_all_patterns_tells_them_apart_on_every_path() {
    assert!(CORPUS.len() <= 31, "a bit for each case");
    let table = table_of(CORPUS.iter().zip(0..).map(|(case, bit)| (case, 1 << bit)));
    for path in CORPUS.iter().flat_map(|case| case.matches.iter().chain(case.misses)) {
        let expected = CORPUS.iter().zip(0..).fold(0, |accept, (case, bit)| accept | u32::from(pattern(case).matches(path)) << bit);
        assert_eq!(table.accept_of(path), expected, "{}", path.escape_ascii());
    }
}
