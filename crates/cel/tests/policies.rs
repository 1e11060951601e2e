//! Expressions as published policies have them, each with an object that passes and one that does not, compiled as a policy's are.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/corpus.rs"]
mod corpus;

use corpus::{corpus, pod};
use portcullis_cel::{Bindings, Budget, Environment, Expected, Program, Value};
use serde_json::{Value as Json, json};

/// Whether an object passes.
fn judge(expression: &str, object: &Json) -> Result<bool, String> {
    let program =
        Program::compile(expression, &Environment::admission().exact(), Expected::Bool).map_err(|problems| problems[0].to_string())?;
    let request = json!({
        "operation": "CREATE", "name": "web", "namespace": "shop", "dryRun": false,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "userInfo": {"username": "system:serviceaccount:ci:deployer", "groups": ["system:serviceaccounts", "system:authenticated"]},
    });
    let params = json!({"data": {"registries": "registry.example.com,ghcr.io", "maximum": "4"}, "allowed": ["/var/log/**", "/tmp"]});
    let namespace = json!({"metadata": {"name": "shop", "labels": {"environment": "production"}}});
    let mut bindings = Bindings::new();
    bindings.bind("object", object).bind("request", &request).bind("params", &params).bind("namespaceObject", &namespace);
    let value = program.evaluate(&bindings, &mut Budget::of(1_000_000, 10_000_000)).map_err(|error| error.to_string())?;
    value.as_bool().ok_or_else(|| "no bool".to_owned())
}

#[test]
fn expressions_of_policies_pass_what_they_should_and_no_more() {
    let corpus = corpus();
    assert!(corpus.len() >= 69, "{} expressions", corpus.len());
    for (expression, passes, fails) in corpus {
        assert_eq!(judge(expression, &passes), Ok(true), "{expression}\n{passes}");
        assert_eq!(judge(expression, &fails), Ok(false), "{expression}\n{fails}");
    }
}

/// What Kubernetes' documentation composes of variables.
#[test]
fn variables_are_evaluated_when_they_are_used_and_once() {
    let mut environment = Environment::admission();
    let containers = "object.spec.containers + object.spec.?initContainers.orValue([])";
    let containers = Program::compile(containers, &environment, Expected::Anything).unwrap();
    environment.variable("containers", &containers);
    let bad = Program::compile("variables.containers.filter(c, c.image.endsWith(':latest'))", &environment, Expected::Anything).unwrap();
    environment.variable("bad", &bad);
    let never = Program::compile("object.nope", &environment, Expected::Anything).unwrap();
    environment.variable("never", &never);
    let message = "'containers with latest: ' + variables.bad.map(c, c.name).join(', ')";
    let message = Program::compile(message, &environment, Expected::String).unwrap();
    let validation = Program::compile("variables.bad.size() == 0 || variables.never", &environment, Expected::Bool).unwrap();

    let object = pod(json!({"containers": [{"name": "a", "image": "a:latest"}], "initContainers": [{"name": "b", "image": "b:latest"}]}));
    let mut bindings = Bindings::new();
    bindings.bind("object", &object).variable("containers", &containers).variable("bad", &bad).variable("never", &never);
    let mut budget = Budget::of(1_000_000, 1_000_000);
    assert_eq!(message.evaluate(&bindings, &mut budget).unwrap().as_str(), Some("containers with latest: a, b"));
    let first = budget.left();
    assert_eq!(message.evaluate(&bindings, &mut budget).unwrap().as_str(), Some("containers with latest: a, b"));
    assert!((first - budget.left()) * 3 < (1_000_000 - first) * 2, "the second time, the variables are known");
    assert_eq!(validation.evaluate(&bindings, &mut budget).unwrap_err().to_string(), "no such key: nope");
}

#[test]
fn messages_are_as_long_as_they_are_and_no_object_is_copied() {
    let environment = Environment::admission();
    let program = Program::compile("object.spec.containers", &environment, Expected::Anything).unwrap();
    let object = pod(json!({"containers": [{"name": "a"}]}));
    let mut bindings = Bindings::new();
    bindings.bind("object", &object);
    let value = program.evaluate(&bindings, &mut Budget::of(100, 100)).unwrap();
    let Value::List(portcullis_cel::List::Json(elements)) = value else { panic!("a list of the request") };
    assert!(std::ptr::eq(elements.as_ptr(), object["spec"]["containers"].as_array().unwrap().as_ptr()));
}

#[test]
fn what_a_policy_must_not_say_is_refused_when_it_is_applied() {
    let refused = [
        ("'name' in request", Expected::Bool, None),
        ("request.all(k, k != '')", Expected::Bool, None),
        ("size(request) > 0", Expected::Bool, None),
        ("[true, object.spec.hostNetwork] == []", Expected::Bool, None),
        ("object.spec.containers.sortBy(c, [c.name]) == []", Expected::Bool, None),
        ("{'a': 1}.sortBy(k, k) == []", Expected::Bool, None),
        ("object.spec.hostNetwork ==", Expected::Bool, Some("1:27: a value is missing; here is the end of the expression")),
        ("objekt.spec.x", Expected::Bool, Some("1:1: \"objekt\" is not declared; is object meant?")),
        ("'a' + 'b'", Expected::Bool, Some("1:1: the expression gives string, and bool is needed here")),
        ("request.nmae == 'a'", Expected::Bool, Some("1:8: AdmissionRequest has no field \"nmae\"; is name meant?")),
        (
            "request.name == 1",
            Expected::Bool,
            Some("1:14: string == int is not defined; convert one side, as in string(x), int(x) or dyn(x)"),
        ),
        ("namespaceObject.metadata.managedFields == null", Expected::Bool, None),
        ("variables.x == 1", Expected::Bool, Some("1:10: variables.x is not defined; no variable is defined before this expression")),
        ("authorizer.group('').check('get').allowed()", Expected::Bool, None),
        ("object.x.matches('(')", Expected::Bool, None),
        ("quantity('Three').isInteger()", Expected::Bool, Some("1:1: \"Three\" is not a quantity like '500m', '2' or '1.5Gi'")),
        ("cidr('10.0.0.0/33').containsIP(object.ip)", Expected::Bool, None),
        ("object.list.exist(x, x)", Expected::Bool, Some("1:12: there is no function exist; is exists meant?")),
        ("size(object, 1) > 1", Expected::Bool, None),
        ("object.all(x, x.size())", Expected::Bool, None),
        ("1 + 'a' == 2", Expected::Bool, None),
        ("has(object)", Expected::Bool, None),
        ("has(object['a'])", Expected::Bool, None),
        ("math.greatest(1, 2) == 2", Expected::Bool, None),
        (
            "'%d'.format(['a']) == ''",
            Expected::Bool,
            Some("1:1: %d does not write a value of type string; convert it first, as in string(value)"),
        ),
        ("timestamp('2024-13-01T00:00:00Z') > timestamp(0)", Expected::Bool, None),
    ];
    for (expression, expected, message) in refused {
        let compiled = Program::compile(expression, &Environment::admission(), expected);
        let problems = compiled.err().unwrap_or_else(|| panic!("{expression} compiles"));
        if let Some(message) = message {
            assert_eq!(problems[0].to_string(), message, "{expression}");
        }
    }
}

/// What Kubernetes refuses when the type of a result is not exactly what its place takes.
#[test]
fn a_result_that_only_the_request_knows_is_refused_where_results_must_be_exact() {
    let hint = "; its type is not known before the request: ";
    for (expression, expected, message) in [
        (
            "object.spec.hostNetwork",
            Expected::Bool,
            format!("1:1: the expression gives dyn, and bool is needed here{hint}compare it, as in … == true"),
        ),
        (
            "object.metadata.name",
            Expected::String,
            format!("1:1: the expression gives dyn, and string is needed here{hint}write string(…)"),
        ),
        (
            "object == null ? object.a : null",
            Expected::StringOrNull,
            format!("1:1: the expression gives dyn, and string or null is needed here{hint}write string(…)"),
        ),
        (
            "object.spec.?hostNetwork.orValue(false)",
            Expected::Bool,
            format!("1:1: the expression gives dyn, and bool is needed here{hint}compare it, as in … == true"),
        ),
    ] {
        let problems = Program::compile(expression, &Environment::admission().exact(), expected).unwrap_err();
        assert_eq!(problems[0].to_string(), message, "{expression}");
        assert!(Program::compile(expression, &Environment::admission(), expected).is_ok(), "{expression}");
    }
}

/// Types as Kubernetes 1.37 infers them, put to the compiler of its admission plugin: what nothing has decided becomes what stands beside it.
#[test]
fn a_result_may_be_decided_by_what_is_beside_it() {
    for expression in [
        "optional.none().orValue(true)",
        "object.spec[?'hostNetwork'].orValue(false)",
        "object.?spec.optMap(s, s.x == 1).orValue(false)",
        "([] + [true])[0]",
        "(object == null ? [] : [true])[0]",
        "[[], [true]][1][0]",
        "!object.spec.hostNetwork",
        "object.spec.hostNetwork || object.spec.hostPID",
        "has(object.spec.hostNetwork) ? object.spec.hostNetwork == true : false",
    ] {
        assert!(Program::compile(expression, &Environment::admission().exact(), Expected::Bool).is_ok(), "{expression}");
    }
    for expression in ["object.a + 'b'", "string(object.a)", "object.?a.optMap(x, 'b').orValue('c')"] {
        assert!(Program::compile(expression, &Environment::admission().exact(), Expected::String).is_ok(), "{expression}");
    }
    assert!(Program::compile("object == null ? 'a' : string(object.b)", &Environment::admission().exact(), Expected::StringOrNull).is_ok());
    assert!(Program::compile("object.a", &Environment::admission().unchecked().exact(), Expected::Bool).is_ok());
}

#[test]
fn the_age_of_a_namespace_can_be_judged() {
    let source = "timestamp(namespaceObject.metadata.creationTimestamp) + duration('24h') < timestamp('2026-01-02T12:00:00Z')";
    let program = Program::compile(source, &Environment::admission(), Expected::Bool).unwrap();
    let namespace = json!({"metadata": {"name": "shop", "creationTimestamp": "2026-01-01T00:00:00Z"}});
    let mut bindings = Bindings::new();
    bindings.bind("namespaceObject", &namespace);
    assert_eq!(program.evaluate(&bindings, &mut Budget::of(100, 100)).unwrap().as_bool(), Some(true));
}

#[test]
fn every_mistake_is_told_at_once() {
    let problems = Program::compile("objekt.a == 1 &&\n  request.nmae == 'x'", &Environment::admission(), Expected::Bool).unwrap_err();
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("1:1: ") && told[1].starts_with("2:10: "), "{told:?}");
}

#[test]
fn a_function_is_refused_where_the_version_of_kubernetes_lacks_it() {
    let compile = |minor: u8| Program::compile("[1].includes(1)", &Environment::admission().kubernetes(minor), Expected::Bool);
    assert!(compile(37).is_ok());
    assert_eq!(compile(36).unwrap_err()[0].to_string(), "1:4: includes is of Kubernetes 1.37; the policy is for 1.36");
}
