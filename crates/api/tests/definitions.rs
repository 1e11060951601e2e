//! Every definition that is installed in a cluster: its schema is structural, and it has the names and columns that people use.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail by panicking")]

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use portcullis_api::{admission_policy, policy_exception, policy_report, workload_profile};
use serde_json::Value;

/// Every schema in a schema, with the way to it.
fn schemas<'s>(schema: &'s Value, path: &str, found: &mut Vec<(String, &'s Value)>) {
    found.push((path.to_owned(), schema));
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        schemas(property, &format!("{path}.{name}"), found);
    }
    for part in ["items", "additionalProperties"] {
        if schema[part].is_object() {
            schemas(&schema[part], &format!("{path}.{part}"), found);
        }
    }
}

#[test]
fn every_schema_is_structural() {
    // The rules of "Specifying a structural schema" in Kubernetes' documentation of custom resources.
    let own = [workload_profile::crd(), admission_policy::crd(), policy_exception::crd()];
    let own = own.map(|definition| serde_json::to_value(definition).unwrap());
    for definition in own.into_iter().chain(policy_report::definitions()) {
        let mut found = Vec::new();
        schemas(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "", &mut found);
        assert!(found.len() > 10, "{found:#?}");
        for (path, schema) in found {
            assert!(schema["type"].is_string(), "no type: {path}: {schema}");
            let forbidden =
                ["$ref", "$defs", "definitions", "uniqueItems", "patternProperties", "oneOf", "anyOf", "const", "additionalItems"];
            for word in forbidden {
                assert!(schema.get(word).is_none(), "{word}: {path}: {schema}");
            }
            assert!(schema.get("properties").is_none() || schema.get("additionalProperties").is_none(), "both kinds of properties: {path}");
        }
    }
}

#[test]
fn policies_and_exceptions_have_the_names_that_people_type_and_a_status() {
    for (definition, name, short, scope, columns) in [
        (admission_policy::crd(), admission_policy::PLURAL, "apol", "Cluster", ["Actions", "Templates", "Ready", "Age"]),
        (policy_exception::crd(), policy_exception::PLURAL, "polex", "Namespaced", ["Policy", "Controls", "Expires", "Ready"]),
    ] {
        assert_eq!(definition.metadata.name, Some(format!("{name}.portcullis.dev")));
        assert_eq!(definition.spec.names.plural, name);
        assert_eq!(definition.spec.names.short_names.as_deref(), Some(&[short.to_owned()][..]));
        assert_eq!(definition.spec.scope, scope);
        let version = &definition.spec.versions[0];
        let shown: Vec<_> = version.additional_printer_columns.iter().flatten().map(|column| column.name.as_str()).collect();
        assert_eq!(shown, columns);
        assert!(version.subresources.as_ref().unwrap().status.is_some(), "{name}");
    }
}

#[test]
fn reports_have_the_names_that_other_tools_know() {
    let definitions =
        policy_report::definitions().map(|definition| serde_json::from_value::<CustomResourceDefinition>(definition).unwrap());
    for (definition, name, short, scope) in [
        (&definitions[0], "policyreports.wgpolicyk8s.io", "polr", "Namespaced"),
        (&definitions[1], "clusterpolicyreports.wgpolicyk8s.io", "cpolr", "Cluster"),
    ] {
        assert_eq!(definition.metadata.name.as_deref(), Some(name));
        assert_eq!(definition.spec.names.short_names.as_deref(), Some(&[short.to_owned()][..]));
        assert_eq!((definition.spec.scope.as_str(), definition.spec.versions[0].name.as_str()), (scope, "v1alpha2"));
    }
}
