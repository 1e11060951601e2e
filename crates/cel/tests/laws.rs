//! Laws: no input of any kind panics, takes more stack than a thread has, or spends more than its budget; an evaluation can be repeated.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may fail by panicking")]

use portcullis_cel::{Bindings, Budget, Environment, Expected, Limit, Program};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

const UNITS: u64 = 20_000;

/// Pieces that expressions are made of, so that more of them compile than of arbitrary text.
const PIECES: &str = r"object .spec .metadata .name .labels .containers [0] [?0] .?x ['a'] params request oldObject x y ( ) [ ] { } : , ? && || ! - + * /
    % == != < >= in 1 -9223372036854775808 2u 0.5 1e300 'a' '%s%d' b'a' r'\d+' true false null has( .all(x, .exists(x, .map(x, .filter(y, .all(x,y,
    .transformMap(x,y, .sortBy(x, .optMap(x, .orValue( .format([ .matches( .findAll( .split( .replace( .join( .substring( .indexOf( .flatten( .distinct()
    .sort() .reverse() .slice( lists.range( sets.contains( quantity( '1.5Gi' ip( '1.2.3.4' cidr( '10.0.0.0/8' url( 'https://a/b?c' semver( duration( '1h'
    timestamp( '2024-01-01T00:00:00Z' string( int( type( dyn( .size() .sum() optional.of( variables.v //";

fn pieces() -> Vec<&'static str> {
    PIECES.split_whitespace().collect()
}

fn object() -> Json {
    json!({
        "metadata": {"name": "web", "labels": {"a": "b", "c": null}},
        "spec": {"x": [1, 2.5, "a", null, {"a": [[]]}], "containers": [{"name": "a", "image": "i"}, {"name": "b"}], "big": "ab".repeat(2_000)},
    })
}

/// Compiles and evaluates, and gives what came of it as text, and what is left.
fn run(source: &str, object: &Json) -> (String, u64) {
    let environment = Environment::admission();
    let program = match Program::compile(source, &environment, Expected::Anything) {
        Ok(program) => program,
        Err(problems) => {
            assert!(
                !problems.is_empty()
                    && problems.iter().all(|problem| problem.line > 0 && problem.column > 0 && !problem.message.is_empty())
            );
            return (format!("{problems:?}"), UNITS);
        }
    };
    let mut bindings = Bindings::new();
    bindings.bind("object", object).bind("params", object).bind("request", object);
    let mut budget = Budget::of(UNITS, UNITS).with_deadline(Instant::now() + Duration::from_secs(60));
    let value = program.evaluate(&bindings, &mut budget);
    (format!("{value:?}"), budget.left())
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map("[a-z]{1,4}|spec|metadata|containers|name", inner, 0..6).prop_map(Json::from_iter),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, ..ProptestConfig::default() })]

    #[test]
    fn any_text_compiles_or_is_refused(source in "\\PC{0,80}") {
        run(&source, &object());
    }

    #[test]
    fn pieces_of_expressions_compile_or_are_refused_and_can_be_evaluated_again(pieces in prop::collection::vec(prop::sample::select(pieces()), 1..24)) {
        let source = pieces.join(" ");
        let object = object();
        prop_assert_eq!(run(&source, &object), run(&source, &object));
    }

}

proptest! {
    // Each case is nineteen expressions.
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_object_can_be_judged(object in json(), text in "[ -~]{0,10}") {
        for source in [
            "object.spec.containers.all(c, c.name.matches('^[a-z]+$') && c.image != '')",
            "object == params && object in [params] && {'a': object} == {'a': params}",
            "string(object) + '%s'.format([object])",
            "object.map(x, x).sort() + object.map(x, x).distinct()",
            "quantity(object).add(quantity(params))",
            "object.?spec.?containers[?0].?name.orValue('none').replace('', object)",
            "object.transformMap(k, v, [k, v]).transformList(k, v, v)",
        ] {
            run(source, &object);
        }
        for function in ["quantity", "ip", "cidr", "url", "semver", "duration", "timestamp", "int", "double", "isURL", "format.uri().validate", "format.qualifiedName().validate"] {
            let object = Json::from(text.clone());
            run(&format!("{function}(object)"), &object);
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_pattern_compiles_or_is_refused(pattern in "[ -~]{0,24}", text in "\\PC{0,24}") {
        run("object.matches(params)", &Json::from(pattern.clone()));
        run(&format!("object.matches({})", Json::from(pattern)), &Json::from(text));
    }
}

/// Expressions of which each would run for hours, or take all memory.
#[test]
fn what_explodes_ends_with_the_budget() {
    let names: Vec<Json> = (0..1_000).map(|index| Json::from(format!("name-{index}"))).collect();
    let object = json!({"names": names, "text": "a".repeat(100_000)});
    let nested = "object.names.map(a, object.names.map(b, object.names.map(c, a + b + c)))";
    for source in [
        nested,
        "object.names.all(a, object.names.all(b, object.names.all(c, a != '')))",
        "object.text.replace('', object.text)",
        "object.text.replace('a', object.text)",
        "lists.range(9223372036854775807)",
        "lists.range(1000000).map(x, lists.range(1000000))",
        "object.names.map(a, object.names).flatten()",
        "object.names.map(a, object.text).join(object.text)",
        "object.names.all(a, object.text.matches('(a*)*b' + a) || true)",
        "object.names.map(a, object.names.map(b, a + b)) == object.names.map(a, object.names.map(b, a + b))",
        "object.names.map(x, '%s'.format([object.names]))",
        "object.names.sortBy(a, object.names.sortBy(b, a + b)[0])",
        "object.names.all(a, object.text.split('').size() > 0)",
        "object.names.map(a, object.names.map(b, {'a': b, 'b': a, 'c': b, 'd': a, 'e': b}))",
        "object.names.map(a, object.names.map(b, [a, a, a, a, a, a, a, a, a, a, b, b, b, b, b, b, b, b, b]))",
        "object.names.transformMap(i, a, object.names.transformMap(j, b, a))",
        "object.names.all(a, object.text.indexOf(object.text.substring(1) + 'b') < 0)",
    ] {
        let program = Program::compile(source, &Environment::admission(), Expected::Anything).unwrap();
        let mut bindings = Bindings::new();
        bindings.bind("object", &object);
        let error = program.evaluate(&bindings, &mut Budget::of(200_000, 10_000_000)).err().unwrap_or_else(|| panic!("{source} ends"));
        assert_eq!(error.passed(), Some(Limit::Expression), "{source}: {error}");
    }
}

#[test]
fn a_deadline_ends_an_evaluation() {
    let object = json!({"names": vec!["a"; 10_000]});
    let program = Program::compile("object.names.all(a, object.names.all(b, a == b))", &Environment::admission(), Expected::Bool).unwrap();
    let mut bindings = Bindings::new();
    bindings.bind("object", &object);
    let mut budget = Budget::of(u64::MAX, u64::MAX).with_deadline(Instant::now() + Duration::from_millis(5));
    assert_eq!(program.evaluate(&bindings, &mut budget).unwrap_err().passed(), Some(Limit::Time));
}

/// The end of the budget is not absorbed by what absorbs errors.
#[test]
fn nothing_absorbs_the_end_of_the_budget() {
    let object = json!({"names": vec!["a"; 100]});
    for source in [
        "object.names.all(a, a == 'a') || true",
        "true || object.names.exists(a, a == 'b')",
        "object.names.exists(a, object.names.all(b, b == 'a'))",
    ] {
        let program = Program::compile(source, &Environment::admission(), Expected::Bool).unwrap();
        let mut bindings = Bindings::new();
        bindings.bind("object", &object);
        let result = program.evaluate(&bindings, &mut Budget::of(50, 50));
        match source.starts_with("true") {
            true => assert_eq!(result.unwrap().as_bool(), Some(true), "what is not needed is not evaluated"),
            false => assert_eq!(result.unwrap_err().passed(), Some(Limit::Expression), "{source}"),
        }
    }
}

/// On a thread with the stack of a worker, 2 MiB, in the slowest build.
#[test]
fn what_nests_deep_is_refused_or_evaluated_within_the_stack_of_a_thread() {
    let shapes: [(&str, &str, &str); 12] = [
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("{'a': ", "1", "}"),
        ("!", "true", ""),
        ("-", "x", ""),
        ("size([", "1", "])"),
        ("true ? ", "1", " : 2"),
        ("true ? 1 : ", "1", ""),
        ("object.map(x, ", "x", ")"),
        ("optional.of(", "1", ")"),
        ("'%s'.format([", "1", "])"),
        ("type(", "1", ")"),
    ];
    let chains = ["object.a", "object[0]", "1 + 1", "object.all(x, x)", "object.?a", "1 == 1", "object.size()"];
    let run_all = move || {
        for times in [50, 99, 190, 1_000, 30_000] {
            for (open, middle, close) in shapes {
                run(&format!("{}{middle}{}", open.repeat(times), close.repeat(times)), &object());
            }
            for chain in chains {
                let (first, rest) = chain.split_at(chain.find(['.', '[', ' ']).unwrap());
                run(&format!("{first}{}", rest.repeat(times)), &object());
            }
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run_all).unwrap().join().unwrap();
}

#[test]
fn variables_that_build_upon_each_other_are_bounded_together() {
    let run_all = || {
        let mut environment = Environment::admission();
        let mut programs = Vec::new();
        let mut refused = None;
        for index in 0..20 {
            let before = if index == 0 { "object".to_owned() } else { format!("variables.v{}", index - 1) };
            let source = format!("{}{before}{}", "[".repeat(45), "]".repeat(45));
            match Program::compile(&source, &environment, Expected::Anything) {
                Ok(program) => {
                    environment.variable(&format!("v{index}"), &program);
                    programs.push((format!("v{index}"), program));
                }
                Err(problems) => {
                    refused = problems.into_iter().next();
                    break;
                }
            }
        }
        let object = object();
        let mut bindings = Bindings::new();
        bindings.bind("object", &object);
        for (name, program) in &programs {
            bindings.variable(name, program);
        }
        let (_, last) = programs.last().unwrap();
        assert!(last.evaluate(&bindings, &mut Budget::of(UNITS, UNITS)).is_ok());
        assert!(refused.unwrap().message.contains("build upon each other"));
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run_all).unwrap().join().unwrap();
}

#[test]
fn a_program_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Program>();
    shared::<Environment>();
}
