//! Which namespaces are scanned.

use std::collections::{BTreeMap, BTreeSet};

use kube::Client;
use kube::api::ListParams;
use serde_json::Value;

use super::kinds::Kind;
use super::pages::Pages;
use crate::args::ScanArgs;
use crate::cluster::{ClusterError, answered, cannot};

/// The namespace that the webhook is never registered for.
const SYSTEM: &str = "kube-system";

/// The namespaces that are meant.
#[derive(Debug)]
pub(super) struct Namespaces {
    objects: BTreeMap<String, Value>,
    /// Those that are left out of all; `None` where only those above are meant.
    except: Option<BTreeSet<String>>,
}

impl Namespaces {
    /// Reads those that the command line means.
    pub(super) async fn read(client: &Client, args: &ScanArgs) -> Result<Self, ClusterError> {
        let kind = Kind::namespaces();
        let api = kind.api(client, None);
        let mut found = Vec::new();
        if args.namespace.is_empty() {
            let params = ListParams { label_selector: args.namespace_selector.clone(), ..ListParams::default() };
            let all = Pages::with(api, params).all().await;
            found = all.map_err(|error| error.listing("namespaces", "the API server does not list its namespaces"))?;
        } else {
            for name in &args.namespace {
                let namespace = answered(api.get_opt(name)).await.map_err(cannot(format!("read the namespace {name:?}")))?;
                found.push(namespace.ok_or_else(|| ClusterError::NotFound(format!("there is no namespace {name:?}")))?);
            }
        }
        let except = except(args);
        let mut objects = BTreeMap::new();
        for namespace in &found {
            let name = namespace.metadata.name.clone().unwrap_or_default();
            if !except.contains(&name) {
                let value = kind.value(namespace).map_err(|error| ClusterError::Contents(format!("namespace {name:?}: {error}")))?;
                objects.insert(name, value);
            }
        }
        let are_all = args.namespace.is_empty() && args.namespace_selector.is_none();
        Ok(Self { objects, except: are_all.then_some(except) })
    }

    /// Whether all are meant but for a few.
    pub(super) const fn are_all(&self) -> bool {
        self.except.is_some()
    }

    /// Whether this one is meant. Of all, one that was made a moment ago is, too.
    pub(super) fn has(&self, name: &str) -> bool {
        self.except.as_ref().map_or_else(|| self.objects.contains_key(name), |except| !except.contains(name))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.objects.keys().map(String::as_str)
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = &Value> {
        self.objects.values()
    }
}

/// Those that are left out: none of those that were named.
fn except(args: &ScanArgs) -> BTreeSet<String> {
    let system = args.namespace.is_empty() && !args.all_namespaces;
    args.except_namespace.iter().cloned().chain(system.then(|| SYSTEM.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    #[test]
    fn the_system_is_left_out_unless_somebody_asks_for_it() {
        for (arguments, expected) in [
            (&[][..], &["kube-system"][..]),
            (&["--except-namespace", "shop"], &["kube-system", "shop"]),
            (&["--namespace-selector", "a=b"], &["kube-system"]),
            (&["-A"], &[]),
            (&["-A", "--except-namespace", "shop"], &["shop"]),
            (&["-n", "kube-system"], &[]),
        ] {
            let line = [&["portcullis", "scan"], arguments].concat();
            let Command::Scan(args) = Args::parse_from(&line).command else { panic!("{line:?}") };
            assert_eq!(except(&args), expected.iter().map(|name| (*name).to_owned()).collect(), "{arguments:?}");
        }
    }
}
