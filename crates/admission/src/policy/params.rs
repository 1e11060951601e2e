//! What policies have as `params`: written in the policy, or objects that it names by kind and name or labels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portcullis_api::admission_policy::{ParamKind, ParamRef, ParameterNotFoundAction};
use serde_json::Value;

use super::selector::Selector;

/// Where a policy has its parameters from.
#[derive(Debug)]
pub(crate) enum Params {
    /// It has none.
    None,
    /// They are written in it.
    Inline(Value),
    /// It names objects.
    Objects(Box<Reference>),
}

/// The objects that a policy names.
#[derive(Debug)]
pub(crate) struct Reference {
    kind: ParamKind,
    name: Option<String>,
    namespace: Option<String>,
    selector: Selector,
    allow_none: bool,
}

impl Reference {
    pub(crate) fn new(kind: &ParamKind, reference: &ParamRef) -> Self {
        Self {
            kind: kind.clone(),
            name: reference.name.clone(),
            namespace: reference.namespace.clone(),
            selector: Selector::new(reference.selector.as_ref()),
            allow_none: reference.parameter_not_found_action == Some(ParameterNotFoundAction::Allow),
        }
    }
}

/// The objects of all kinds that policies name.
#[derive(Debug, Default)]
pub(crate) struct ParamStore {
    by_kind: BTreeMap<ParamKind, BTreeMap<(String, String), Arc<Value>>>,
    /// The kinds whose objects are in no namespace.
    cluster_scoped: BTreeSet<ParamKind>,
}

/// What a policy is evaluated with, for one request.
#[derive(Debug, PartialEq)]
pub(crate) enum Found<'s> {
    /// Once for each; `None` where the policy has no parameters.
    Some(Vec<Option<&'s Value>>),
    /// There is none, and the policy lets that pass.
    Allowed,
    /// There is none, or they cannot be had.
    Missing(String),
}

impl ParamStore {
    /// Takes in an object. Those of a kind without namespaces have none.
    pub(crate) fn insert(&mut self, object: &Arc<Value>) {
        let Some((kind, key)) = identify(object) else { return };
        self.by_kind.entry(kind).or_default().insert(key, Arc::clone(object));
    }

    /// Tells that a kind's objects are in no namespace.
    pub(crate) fn set_cluster_scoped(&mut self, kind: ParamKind) {
        self.cluster_scoped.insert(kind);
    }

    /// Tells that a kind is followed, though there may be no object of it.
    pub(crate) fn set_known(&mut self, kind: ParamKind) {
        self.by_kind.entry(kind).or_default();
    }

    /// The parameters of a policy for a request in a namespace.
    pub(crate) fn find<'s>(&'s self, params: &'s Params, request_namespace: &str) -> Found<'s> {
        let reference = match params {
            Params::None => return Found::Some(vec![None]),
            Params::Inline(value) => return Found::Some(vec![Some(value)]),
            Params::Objects(reference) => reference,
        };
        let described = || format!("{} of {}", reference.kind.kind, reference.kind.api_version);
        let Some(objects) = self.by_kind.get(&reference.kind) else {
            return Found::Missing(format!("the parameters, {}, cannot be had", described()));
        };
        let namespace = match &reference.namespace {
            Some(namespace) => namespace,
            None if self.cluster_scoped.contains(&reference.kind) => "",
            None if request_namespace.is_empty() => {
                return Found::Missing(format!("{} is in a namespace, and the request is in none", described()));
            }
            None => request_namespace,
        };
        let is_meant = |(key, object): &(&(String, String), &Arc<Value>)| {
            let labels = || object.get("metadata").and_then(|metadata| metadata.get("labels")).and_then(Value::as_object);
            key.0 == namespace && reference.name.as_ref().map_or_else(|| reference.selector.matches(labels()), |name| *name == key.1)
        };
        let found: Vec<Option<&Value>> = objects.iter().filter(is_meant).map(|(_, object)| Some(object.as_ref())).collect();
        match (found.is_empty(), reference.allow_none) {
            (false, _) => Found::Some(found),
            (true, true) => Found::Allowed,
            (true, false) => Found::Missing(format!("there is no {} for it", described())),
        }
    }
}

/// Kind, and namespace and name.
fn identify(object: &Value) -> Option<(ParamKind, (String, String))> {
    let text = |field: &str| object.get(field)?.as_str().map(str::to_owned);
    let metadata = |field: &str| object.get("metadata")?.get(field)?.as_str().map(str::to_owned);
    let kind = ParamKind { api_version: text("apiVersion")?, kind: text("kind")? };
    Some((kind, (metadata("namespace").unwrap_or_default(), metadata("name")?)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(reference: Value) -> Params {
        let kind = ParamKind { api_version: "v1".to_owned(), kind: "ConfigMap".to_owned() };
        Params::Objects(Box::new(Reference::new(&kind, &serde_json::from_value(reference).unwrap())))
    }

    fn store() -> ParamStore {
        let mut store = ParamStore::default();
        for (namespace, name, tier) in [("shop", "limits", "a"), ("shop", "others", "b"), ("bank", "limits", "a")] {
            let metadata = json!({"namespace": namespace, "name": name, "labels": {"tier": tier}});
            store.insert(&Arc::new(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})));
        }
        store
    }

    fn found(reference: Value, namespace: &str) -> Result<Vec<String>, String> {
        let (store, params) = (store(), params(reference));
        match store.find(&params, namespace) {
            Found::Some(objects) => Ok(objects
                .iter()
                .map(|object| {
                    let metadata = &object.unwrap()["metadata"];
                    format!("{}/{}", metadata["namespace"].as_str().unwrap(), metadata["name"].as_str().unwrap())
                })
                .collect()),
            Found::Allowed => Ok(vec!["allowed".to_owned()]),
            Found::Missing(why) => Err(why),
        }
    }

    #[test]
    fn are_found_by_name_in_the_namespace_that_is_named_or_the_requests_own() {
        assert_eq!(found(json!({"name": "limits", "namespace": "bank"}), "shop").unwrap(), ["bank/limits"]);
        assert_eq!(found(json!({"name": "limits"}), "shop").unwrap(), ["shop/limits"]);
        assert!(found(json!({"name": "limits"}), "").unwrap_err().contains("the request is in none"));
    }

    #[test]
    fn are_found_by_labels() {
        assert_eq!(found(json!({"selector": {}}), "shop").unwrap(), ["shop/limits", "shop/others"]);
        assert_eq!(found(json!({"selector": {"matchLabels": {"tier": "b"}}}), "shop").unwrap(), ["shop/others"]);
    }

    #[test]
    fn that_are_not_there_pass_only_where_the_policy_says_so() {
        assert!(found(json!({"name": "none"}), "shop").unwrap_err().contains("there is no ConfigMap of v1"));
        assert_eq!(found(json!({"name": "none", "parameterNotFoundAction": "Allow"}), "shop").unwrap(), ["allowed"]);
        let nobody = ParamStore::default();
        let params = params(json!({"name": "none", "parameterNotFoundAction": "Allow"}));
        assert!(matches!(nobody.find(&params, "shop"), Found::Missing(why) if why.contains("cannot be had")));
    }
}
