//! What compiling an expression costs, and what evaluating one costs, beside the same question asked by hand-written code of the same JSON.
//!
//! * *by hand*: a loop over the containers in Rust, the least that any answer costs;
//! * *evaluate*: the compiled expression, about the borrowed object;
//! * *compile and evaluate*: what it costs to do it anew at every request.
//!
//! Evaluating grows with the containers as the loop does, and nothing of the object is copied first.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use divan::{Bencher, black_box};
use portcullis_cel::{Bindings, Budget, Environment, Expected, Program};
use serde_json::{Value, json};

const CONTAINERS: [usize; 2] = [2, 20];

const EXPRESSION: &str =
    "object.spec.containers.all(c, c.image.startsWith('registry.example.com/') && !c.?securityContext.?privileged.orValue(false))";

const MATCHES: &str = "object.spec.containers.all(c, c.image.matches('^registry\\\\.example\\\\.com/[a-z0-9./@:-]+$'))";

fn main() {
    divan::main();
}

fn pod(containers: usize) -> Value {
    let container = |index: usize| json!({"name": format!("c{index}"), "image": format!("registry.example.com/app/{index}@sha256:0123"), "securityContext": {"privileged": false}});
    json!({"metadata": {"name": "web"}, "spec": {"containers": (0..containers).map(container).collect::<Vec<_>>()}})
}

fn compiled(source: &str) -> Program {
    Program::compile(source, &Environment::admission(), Expected::Bool).unwrap()
}

fn evaluate(program: &Program, object: &Value) -> bool {
    let mut bindings = Bindings::new();
    bindings.bind("object", object);
    program.evaluate(&bindings, &mut Budget::of(1_000_000, 10_000_000)).unwrap().as_bool().unwrap()
}

#[divan::bench(args = CONTAINERS)]
fn by_hand(bencher: Bencher<'_, '_>, containers: usize) {
    let object = pod(containers);
    bencher.bench_local(|| {
        let containers = black_box(&object).pointer("/spec/containers").and_then(Value::as_array);
        containers.is_some_and(|containers| {
            containers.iter().all(|container| {
                let image = container.get("image").and_then(Value::as_str).is_some_and(|image| image.starts_with("registry.example.com/"));
                image && container.pointer("/securityContext/privileged").and_then(Value::as_bool) != Some(true)
            })
        })
    });
}

#[divan::bench(args = CONTAINERS)]
fn evaluate_all(bencher: Bencher<'_, '_>, containers: usize) {
    let (object, program) = (pod(containers), compiled(EXPRESSION));
    assert!(evaluate(&program, &object));
    bencher.bench_local(|| evaluate(&program, black_box(&object)));
}

#[divan::bench(args = CONTAINERS)]
fn evaluate_matches(bencher: Bencher<'_, '_>, containers: usize) {
    let (object, program) = (pod(containers), compiled(MATCHES));
    assert!(evaluate(&program, &object));
    bencher.bench_local(|| evaluate(&program, black_box(&object)));
}

#[divan::bench(args = CONTAINERS)]
fn compile_and_evaluate(bencher: Bencher<'_, '_>, containers: usize) {
    let object = pod(containers);
    bencher.bench_local(|| evaluate(&compiled(black_box(EXPRESSION)), black_box(&object)));
}

#[divan::bench]
fn compile() -> Program {
    compiled(black_box(EXPRESSION))
}

#[divan::bench]
fn compile_with_a_pattern() -> Program {
    compiled(black_box(MATCHES))
}
