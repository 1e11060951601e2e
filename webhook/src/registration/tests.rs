use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use portcullis_admission::WORKLOADS;
use portcullis_admission::policy::Deeds;
use portcullis_api::admission_policy::OperationName;

use super::*;

fn registration() -> Registration {
    Registration {
        name: "portcullis".to_owned(),
        reached: Reached::Service { namespace: "portcullis-system".to_owned(), name: "webhook".to_owned(), port: 443 },
        namespaces: BTreeMap::new(),
        excluded: ["kube-system", "portcullis-system"].map(str::to_owned).into(),
        failure_policy: FailurePolicy::Fail,
        namespace_labels: true,
        applied_policies: true,
        first_after: Duration::ZERO,
    }
}

fn wanted() -> Value {
    registration().configuration("bundle", Some(("portcullis-system", "u-1")), &Coverage::new())
}

fn read(configuration: &Value) -> DynamicObject {
    serde_json::from_value(configuration.clone()).unwrap()
}

/// As the API server has it: fields that it does not know are dropped.
fn typed(configuration: &Value) -> Value {
    let typed: ValidatingWebhookConfiguration = serde_json::from_value(configuration.clone()).unwrap();
    serde_json::to_value(typed).unwrap()
}

#[test]
fn is_what_the_api_server_takes_field_by_field() {
    assert_eq!(difference(&read(&typed(&wanted())), &wanted()), None);
}

#[test]
fn asks_for_every_workload_and_never_for_everything() {
    let rules = rules::workloads();
    for workload in WORKLOADS {
        let is_asked_for = |rule: &&Value| {
            rule["apiGroups"][0] == workload.group && rule["resources"].as_array().unwrap().contains(&workload.resource.into())
        };
        assert_eq!(rules.iter().filter(is_asked_for).count(), 1, "{}", workload.resource);
    }
    assert!(!wanted().to_string().contains('*'));
}

#[test]
fn one_webhook_fails_closed_and_one_open_and_every_namespace_has_exactly_one() {
    for (default, closed_by_label) in [(FailurePolicy::Fail, "NotIn"), (FailurePolicy::Ignore, "In")] {
        let configuration = Registration { failure_policy: default, ..registration() }.configuration("bundle", None, &Coverage::new());
        let label = |index: usize| configuration["webhooks"][index]["namespaceSelector"]["matchExpressions"][1].clone();
        let (closed, open) = (label(0), label(1));
        assert_eq!(configuration["webhooks"][0]["failurePolicy"], "Fail");
        assert_eq!(configuration["webhooks"][1]["failurePolicy"], "Ignore");
        assert_eq!(closed["operator"], closed_by_label);
        assert_ne!(closed["operator"], open["operator"], "one is the other's opposite");
        assert_eq!((&closed["key"], &closed["values"]), (&open["key"], &open["values"]));
    }
}

#[test]
fn changes_of_namespaces_fail_open_and_are_asked_for_only_where_labels_count() {
    let labels = &wanted()["webhooks"][2];
    assert_eq!(labels["failurePolicy"], "Ignore");
    assert_eq!(labels["rules"][0]["resources"], json!(["namespaces"]));
    let without = Registration { namespace_labels: false, ..registration() }.configuration("bundle", None, &Coverage::new());
    assert!(!names(&without).contains(&LABELS));
}

#[test]
fn policies_are_judged_as_they_are_applied_where_they_are_followed_and_nobody_is_locked_out_by_it() {
    let applied = &wanted()["webhooks"][3];
    assert_eq!((&applied["name"], &applied["failurePolicy"]), (&json!(APPLIED), &json!("Ignore")));
    let resources: Vec<&Value> = applied["rules"].as_array().unwrap().iter().map(|rule| &rule["resources"][0]).collect();
    assert_eq!(resources, ["admissionpolicies", "policyexceptions"]);
    assert!(applied["matchConditions"].is_null(), "the others' conditions leave out the group");
    let without = Registration { applied_policies: false, ..registration() }.configuration("bundle", None, &Coverage::new());
    assert!(!names(&without).contains(&APPLIED));
}

fn names(configuration: &Value) -> Vec<&str> {
    configuration["webhooks"].as_array().unwrap().iter().map(|webhook| webhook["name"].as_str().unwrap()).collect()
}

#[test]
fn every_webhook_leaves_out_the_excluded_namespaces_and_keeps_to_the_selected_ones() {
    let selected = Registration { namespaces: [("team".to_owned(), "shop".to_owned())].into(), ..registration() };
    for webhook in selected.configuration("bundle", None, &Coverage::new())["webhooks"].as_array().unwrap() {
        let selector = &webhook["namespaceSelector"];
        assert_eq!(selector["matchExpressions"][0]["values"], json!(["kube-system", "portcullis-system"]));
        assert_eq!(selector["matchLabels"], json!({"team": "shop"}));
    }
}

#[test]
fn applies_what_is_missing_or_different_and_nothing_else() {
    assert_eq!(due(None, &wanted()), Due::Apply);
    assert_eq!(due(Some(&read(&wanted())), &wanted()), Due::Nothing);
    let mut defaulted = wanted();
    defaulted["metadata"]["labels"]["team"] = json!("x");
    defaulted["webhooks"][0]["objectSelector"] = json!({});
    assert_eq!(due(Some(&read(&defaulted)), &wanted()), Due::Nothing);
    for pointer in ["/webhooks/0/failurePolicy", "/webhooks/1/rules/0/resources", "/webhooks/2/clientConfig/caBundle", "/webhooks/2"] {
        let mut spoilt = wanted();
        match spoilt.pointer_mut(pointer).unwrap() {
            Value::String(text) => "AAAA".clone_into(text),
            Value::Array(values) => values.truncate(1),
            whole => {
                *whole = json!({"name": "other.example.org", "admissionReviewVersions": [], "sideEffects": "None", "clientConfig": {}})
            }
        }
        assert_eq!(due(Some(&read(&spoilt)), &wanted()), Due::Apply, "{pointer}");
    }
}

#[test]
fn leaves_alone_what_somebody_took_out_of_force() {
    let mut broken = wanted();
    broken["webhooks"] = json!([]);
    broken["metadata"]["annotations"] = json!({ BREAK_GLASS_ANNOTATION: "[]" });
    assert_eq!(due(Some(&read(&broken)), &wanted()), Due::HandsOff);
}

#[test]
fn what_policies_are_for_is_asked_for_as_long_as_they_are() {
    let deeds = |resource: &str, operation, namespaced| Deeds {
        group: String::new(),
        version: "v1".to_owned(),
        resource: resource.to_owned(),
        operation,
        namespaced,
    };
    let coverage: Coverage =
        [(deeds("pods/exec", OperationName::Connect, true), true), (deeds("nodes", OperationName::Update, false), true)].into();
    let configuration = registration().configuration("bundle", None, &coverage);
    let webhooks = configuration["webhooks"].as_array().unwrap();
    assert_eq!(names(&configuration), [CLOSED, OPEN, LABELS, APPLIED, POLICIES]);
    for (webhook, asks_for_exec) in webhooks.iter().zip([true, true, false, false, false]) {
        assert_eq!(webhook["rules"].to_string().contains("pods/exec"), asks_for_exec, "{webhook}");
        assert_eq!(webhook["namespaceSelector"]["matchExpressions"][0]["values"], json!(["kube-system", "portcullis-system"]));
    }
    assert_eq!((&webhooks[4]["failurePolicy"], &webhooks[4]["rules"][0]["resources"]), (&json!("Ignore"), &json!(["nodes"])));
    assert_eq!(difference(&read(&typed(&configuration)), &configuration), None);
    assert_eq!(due(Some(&read(&configuration)), &wanted()), Due::Apply, "they are gone");
}

#[test]
fn names_the_first_field_that_is_not_as_wanted() {
    for (pointer, expected) in [
        ("/webhooks/1/failurePolicy", ".webhooks[1].failurePolicy"),
        ("/webhooks/0/rules/0/resources/0", ".webhooks[0].rules[0].resources[0]"),
        ("/metadata/ownerReferences/0/uid", ".metadata.ownerReferences[0].uid"),
    ] {
        let mut other = wanted();
        *other.pointer_mut(pointer).unwrap() = json!("x");
        assert_eq!(difference(&read(&other), &wanted()).as_deref(), Some(expected));
    }
    let mut more = wanted();
    more["webhooks"].as_array_mut().unwrap().push(json!({"name": POLICIES}));
    assert_eq!(difference(&read(&more), &wanted()).as_deref(), Some(".webhooks"));
}

#[test]
fn what_is_to_fail_open_fails_open_everywhere() {
    let mut configuration = wanted();
    assert!(fail_open(&mut configuration));
    assert!(configuration["webhooks"].as_array().unwrap().iter().all(|webhook| webhook["failurePolicy"] == "Ignore"));
    assert!(!fail_open(&mut configuration), "it does already");
}
