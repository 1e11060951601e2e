//! The vectors of the CEL specification, counted in a table of docs/cel.md.
//!
//! The specification's own lie beside the project, or do not: then the project's few run, and the test says so. Every vector passes, or is left out
//! with a reason: whole files by the table below, what needs messages of protocol buffers by what it says, others by name in
//! `vectors/left-out.txt`. What is left out by name must fail, so that the list holds no more than it must.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/textproto.rs"]
mod textproto;
#[path = "support/vectors.rs"]
mod vectors;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use vectors::Vector;

/// Files of what Kubernetes' environment has not.
const FOREIGN: &[(&str, &str)] = &[
    ("bindings_ext", "`cel.bind` is not of Kubernetes' environment"),
    ("block_ext", "`cel.block` is not of Kubernetes' environment"),
    ("encoders_ext", "`base64` is not of Kubernetes' environment"),
    ("enums", "there are no enums of protocol buffers"),
    ("math_ext", "`math` is not of Kubernetes' environment"),
    ("proto2", "there are no messages of protocol buffers"),
    ("proto2_ext", "there are no extensions of protocol buffers"),
    ("proto3", "there are no messages of protocol buffers"),
    ("wrappers", "there are no messages of protocol buffers"),
];

const MESSAGES: &str = "needs messages of protocol buffers";

/// How many of the specification's vectors pass; the table in docs/cel.md has them by file.
const PASSED: usize = 1_402;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The vectors, and whether they are the specification's.
fn all() -> (Vec<Vector>, bool) {
    let upstream = fs::canonicalize(folder()).unwrap().join("../shared/cel-spec");
    if upstream.is_dir() { (read_all(&upstream), true) } else { (own(), false) }
}

fn own() -> Vec<Vector> {
    read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors"))
}

fn read_all(root: &Path) -> Vec<Vector> {
    let files = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "textproto")).collect();
    files.sort();
    let read = |path: &PathBuf| vectors::read(path.file_stem().unwrap().to_str().unwrap(), &fs::read_to_string(path).unwrap());
    files.iter().flat_map(read).collect()
}

/// Names of vectors that are left out, with the reasons.
fn by_name() -> BTreeMap<String, String> {
    let text = include_str!("vectors/left-out.txt");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").unwrap()).map(|(name, reason)| (name.to_owned(), reason.to_owned())).collect()
}

fn key(vector: &Vector) -> String {
    format!("{} {}", vector.file, vector.name)
}

/// Why a vector is left out without being named.
fn reason(vector: &Vector) -> Option<&'static str> {
    if let Some((_, reason)) = FOREIGN.iter().find(|(file, _)| *file == vector.file) {
        return Some(reason);
    }
    vector.needs_messages().then_some(MESSAGES)
}

#[derive(Default)]
struct Count {
    passed: usize,
    left_out: BTreeMap<String, usize>,
}

#[test]
fn every_vector_passes_or_is_left_out_for_a_reason() {
    let (vectors, is_upstream) = all();
    println!("the vectors are {}", if is_upstream { "the specification's" } else { "the project's own: ../shared/cel-spec is absent" });
    let by_name = by_name();
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    let mut wrong = Vec::new();
    for vector in &vectors {
        let count = counts.entry(&vector.file).or_default();
        if let Some(reason) = reason(vector) {
            *count.left_out.entry(reason.to_owned()).or_default() += 1;
            continue;
        }
        match (vectors::run(vector), by_name.get(&key(vector))) {
            (Ok(()), None) => count.passed += 1,
            (Err(_), Some(reason)) => *count.left_out.entry(reason.clone()).or_default() += 1,
            (Ok(()), Some(_)) => wrong.push(format!("{} passes: take it from left-out.txt", key(vector))),
            (Err(error), None) => wrong.push(format!("{}: {}: {error}", key(vector), vector.expression())),
        }
    }
    assert!(wrong.is_empty(), "{} vectors are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
    if is_upstream {
        let known: Vec<_> = vectors.iter().map(key).collect();
        let unknown: Vec<_> = by_name.keys().filter(|name| !known.contains(name)).collect();
        assert!(unknown.is_empty(), "left-out.txt names what is no vector: {unknown:?}");
        assert_eq!(counts.values().map(|count| count.passed).sum::<usize>(), PASSED);
        document(&table(&counts));
    }
}

#[test]
fn the_projects_own_vectors_pass() {
    let own = own();
    assert!(own.len() > 25, "{} vectors", own.len());
    for vector in own {
        assert_eq!(vectors::run(&vector), Ok(()), "{}: {}", vector.name, vector.expression());
    }
}

/// As docs/cel.md has it.
fn table(counts: &BTreeMap<&str, Count>) -> String {
    let mut table = "| file | passed | left out, and why |\n|---|---:|---|\n".to_owned();
    for (file, count) in counts {
        let reasons: Vec<_> = count.left_out.iter().map(|(reason, number)| format!("{number}: {reason}")).collect();
        table.push_str(&format!("| {file} | {} | {} |\n", count.passed, reasons.join("<br>")));
    }
    let left_out: usize = counts.values().flat_map(|count| count.left_out.values()).sum();
    table.push_str(&format!("| **all** | **{}** | {left_out} |\n", counts.values().map(|count| count.passed).sum::<usize>()));
    table
}

/// Compares the table with that in the document, or writes it.
fn document(table: &str) {
    const COMMAND: &str = "UPDATE=1 cargo test -p portcullis-cel --test conformance";
    let path = folder().join("docs/cel.md");
    let text = fs::read_to_string(&path).unwrap();
    let [begin, end] = ["begin", "end"].map(|edge| format!("<!-- Generated by `{COMMAND}`: {edge} -->\n"));
    let (before, rest) = text.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    let made = format!("{before}{begin}\n{table}\n{end}{after}");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &made).unwrap();
    }
    assert!(text == made || std::env::var_os("UPDATE").is_some(), "docs/cel.md has another table; run {COMMAND}");
}
