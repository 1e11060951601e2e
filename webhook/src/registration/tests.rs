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
    }
}

fn wanted() -> Value {
    registration().configuration("bundle", Some(("portcullis-system", "u-1")), &Coverage::new())
}

fn read(configuration: &Value) -> ValidatingWebhookConfiguration {
    serde_json::from_value(configuration.clone()).unwrap()
}

#[test]
fn is_what_the_api_server_takes_field_by_field() {
    // Unknown fields are dropped when it is read: what comes back is what was written.
    assert!(covers(&serde_json::to_value(read(&wanted())).unwrap(), &wanted()));
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
    assert_eq!(without["webhooks"].as_array().unwrap().len(), 2);
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
    let names: Vec<&str> = webhooks.iter().map(|webhook| webhook["name"].as_str().unwrap()).collect();
    assert_eq!(names, [CLOSED, OPEN, LABELS, POLICIES]);
    for (webhook, asks_for_exec) in webhooks.iter().zip([true, true, false, false]) {
        assert_eq!(webhook["rules"].to_string().contains("pods/exec"), asks_for_exec, "{webhook}");
        assert_eq!(webhook["namespaceSelector"]["matchExpressions"][0]["values"], json!(["kube-system", "portcullis-system"]));
    }
    assert_eq!((&webhooks[3]["failurePolicy"], &webhooks[3]["rules"][0]["resources"]), (&json!("Ignore"), &json!(["nodes"])));
    assert!(covers(&serde_json::to_value(read(&configuration)).unwrap(), &configuration));
    assert_eq!(due(Some(&read(&configuration)), &wanted()), Due::Apply, "they are gone");
}

#[test]
fn what_another_replica_had_trusted_beside_ours_is_newer() {
    let pem = |name: &str| format!("-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n");
    let existing = |bundle: &str| read(&registration().configuration(bundle, None, &Coverage::new()));
    let (old, new) = (pem("old"), pem("new"));
    let both = format!("{new}{old}");
    assert_eq!(newer_bundle(&existing(&both), &old).as_deref(), Some(both.as_str()));
    assert_eq!(newer_bundle(&existing(&new), &old), None, "ours is not trusted");
    let mut mixed = existing(&both);
    mixed.webhooks.as_mut().unwrap()[1].client_config.ca_bundle = None;
    assert_eq!(newer_bundle(&mixed, &old), None, "not everywhere");
}
