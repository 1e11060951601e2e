//! `portcullis break-glass`: takes the webhook out of force when it is in the way, and back.
//!
//! The webhook is never asked, only the API server. What the configuration was is kept in an annotation of it, from which `--undo` restores it, and
//! which the webhook respects: it does not put itself back while it is there. Nothing of the configuration but its webhooks is touched, so all else
//! that refers to it stays true.

use std::io::{self, Write};

use kube::api::{Api, DynamicObject, PostParams};
use kube::{Client, ResourceExt};
use portcullis_api::registration::{BREAK_GLASS_ANNOTATION, IGNORE};
use serde::Serialize;
use serde_json::Value;

use crate::Status;
use crate::args::BreakGlassArgs;
use crate::cluster::{self, CONFIGURATION, ClusterError, cannot, ours};

/// How often a write is tried that others get in the way of.
const ATTEMPTS: usize = 8;

/// What to do to a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    /// What no webhook answers for is admitted.
    Open,
    /// No webhook is asked.
    Remove,
    /// As it was.
    Undo,
}

/// What was done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    dry_run: bool,
    configurations: Vec<Changed>,
    /// What takes it back; nothing where nothing was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    undo: Option<&'static str>,
}

#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Changed {
    name: String,
    /// Whether anything was different before.
    changed: bool,
    webhooks: Vec<WebhookChange>,
}

#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WebhookChange {
    name: String,
    /// The failure policy before and after; nothing where the webhook was not, or is no more.
    before: Option<String>,
    after: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// The report cannot be written.
pub fn run(args: &BreakGlassArgs, output: &mut impl Write) -> io::Result<Status> {
    let (change, dry_run) = (args.change(), args.cluster.dry_run);
    let command = async |client: Client| {
        let configurations = apply(&client, args.configuration.as_deref(), change, dry_run).await?;
        let changed = configurations.iter().any(|configuration| configuration.changed);
        let undo = (changed && change != Move::Undo).then_some("portcullis break-glass --undo");
        Ok(Report { dry_run, configurations, undo })
    };
    cluster::run(&args.cluster, output, command, |report| text(report, change))
}

/// Changes one configuration, or all of Portcullis'.
pub(crate) async fn apply(client: &Client, name: Option<&str>, change: Move, dry_run: bool) -> Result<Vec<Changed>, ClusterError> {
    let api = CONFIGURATION.api(client, None);
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => {
            let all = api.list(&ours()).await.map_err(cannot("list the webhook configurations"))?;
            all.items.iter().map(ResourceExt::name_any).collect()
        }
    };
    if names.is_empty() {
        let why = "no webhook configuration of this cluster belongs to Portcullis; name one: --configuration NAME";
        return Err(ClusterError::NotFound(why.to_owned()));
    }
    let mut changes = Vec::new();
    for name in names {
        changes.push(change_one(&api, &name, change, dry_run).await?);
    }
    Ok(changes)
}

async fn change_one(api: &Api<DynamicObject>, name: &str, change: Move, dry_run: bool) -> Result<Changed, ClusterError> {
    for _ in 0..ATTEMPTS {
        let before = api.get(name).await.map_err(cannot(format!("read the webhook configuration {name:?}")))?;
        let after = changed(&before, change)?;
        let report =
            Changed { name: name.to_owned(), changed: after.is_some(), webhooks: compare(&before, after.as_ref().unwrap_or(&before)) };
        let Some(after) = after.filter(|_| !dry_run) else { return Ok(report) };
        match api.replace(name, &PostParams::default(), &after).await {
            Ok(_) => return Ok(report),
            // It carries the version that was read: somebody was quicker.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(cannot(format!("write the webhook configuration {name:?}"))(error)),
        }
    }
    Err(ClusterError::Contended(name.to_owned()))
}

/// The configuration as it is to be; `None` where it is so already.
fn changed(configuration: &DynamicObject, change: Move) -> Result<Option<DynamicObject>, ClusterError> {
    let mut after = configuration.clone();
    let broken = configuration.annotations().get(BREAK_GLASS_ANNOTATION);
    let webhooks = configuration.data.get("webhooks").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
    let wanted = match change {
        Move::Remove => Value::Array(Vec::new()),
        Move::Open => opened(&webhooks),
        Move::Undo => match broken {
            None => return Ok(None),
            Some(before) => serde_json::from_str(before).map_err(|error| {
                ClusterError::Contents(format!(
                    "the annotation {BREAK_GLASS_ANNOTATION} cannot be read: {error}; install the webhook again"
                ))
            })?,
        },
    };
    match (change, broken) {
        (Move::Undo, _) => {
            after.annotations_mut().remove(BREAK_GLASS_ANNOTATION);
            after.metadata.annotations.take_if(|left| left.is_empty());
        }
        // What was before the first change is what an undo restores.
        (_, Some(_)) if wanted == webhooks => return Ok(None),
        (_, Some(_)) => {}
        (_, None) => _ = after.annotations_mut().insert(BREAK_GLASS_ANNOTATION.to_owned(), webhooks.to_string()),
    }
    if let Some(data) = after.data.as_object_mut() {
        data.insert("webhooks".to_owned(), wanted);
    }
    Ok(Some(after))
}

fn opened(webhooks: &Value) -> Value {
    let mut webhooks = webhooks.clone();
    for webhook in webhooks.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        webhook.insert("failurePolicy".to_owned(), IGNORE.into());
    }
    webhooks
}

/// Every webhook of either, and its failure policy in both.
fn compare(before: &DynamicObject, after: &DynamicObject) -> Vec<WebhookChange> {
    let mut changes = Vec::new();
    for (name, policy) in policies(before) {
        let after = policies(after).into_iter().find(|(other, _)| *other == name).map(|(_, policy)| policy);
        changes.push(WebhookChange { name, before: Some(policy), after });
    }
    for (name, policy) in policies(after) {
        if changes.iter().all(|change| change.name != name) {
            changes.push(WebhookChange { name, before: None, after: Some(policy) });
        }
    }
    changes
}

fn policies(configuration: &DynamicObject) -> Vec<(String, String)> {
    let webhooks = configuration.data.get("webhooks").and_then(Value::as_array);
    let text = |webhook: &Value, field: &str| webhook.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    webhooks.into_iter().flatten().map(|webhook| (text(webhook, "name"), text(webhook, "failurePolicy"))).collect()
}

fn text(report: &Report, change: Move) -> String {
    let mut text = String::new();
    let would = if report.dry_run { "would be: " } else { "" };
    for configuration in &report.configurations {
        let what = match (configuration.changed, change) {
            (false, Move::Undo) => "nobody broke the glass; nothing to undo",
            (false, _) => "is so already",
            (true, Move::Open) => "what no webhook answers for is admitted; what one denies is denied still (--remove ends that, too)",
            (true, Move::Remove) => "no webhook is asked any more",
            (true, Move::Undo) => "as it was before",
        };
        text.push_str(&format!("{would}{}: {what}\n", configuration.name));
        for webhook in &configuration.webhooks {
            let state = |policy: &Option<String>| policy.clone().unwrap_or_else(|| "not there".to_owned());
            text.push_str(&format!("  {}: {} -> {}\n", webhook.name, state(&webhook.before), state(&webhook.after)));
        }
    }
    if let Some(undo) = report.undo {
        text.push_str(&format!("undo: {undo}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn configuration() -> DynamicObject {
        serde_json::from_value(json!({
            "metadata": {"name": "portcullis", "resourceVersion": "7"},
            "webhooks": [
                {"name": "a.portcullis.dev", "failurePolicy": "Fail", "fieldOfTomorrow": 1},
                {"name": "b.portcullis.dev", "failurePolicy": "Ignore"},
            ],
        }))
        .unwrap()
    }

    fn after(configuration: &DynamicObject, change: Move) -> DynamicObject {
        changed(configuration, change).unwrap().unwrap()
    }

    #[test]
    fn opens_every_webhook_and_keeps_the_rest_and_what_was() {
        let opened = after(&configuration(), Move::Open);
        assert_eq!(opened.data["webhooks"][0], json!({"name": "a.portcullis.dev", "failurePolicy": "Ignore", "fieldOfTomorrow": 1}));
        assert_eq!(opened.metadata.resource_version.as_deref(), Some("7"));
        let kept: Value = serde_json::from_str(&opened.annotations()[BREAK_GLASS_ANNOTATION]).unwrap();
        assert_eq!(kept, configuration().data["webhooks"]);
    }

    #[test]
    fn an_undo_restores_what_was_before_the_first_change() {
        let removed = after(&after(&configuration(), Move::Open), Move::Remove);
        assert_eq!(removed.data["webhooks"], json!([]));
        assert_eq!(after(&removed, Move::Undo), configuration());
    }

    #[test]
    fn what_is_so_already_is_not_written_again() {
        for change in [Move::Open, Move::Remove] {
            assert_eq!(changed(&after(&configuration(), change), change).unwrap(), None);
        }
        assert_eq!(changed(&configuration(), Move::Undo).unwrap(), None);
    }

    #[test]
    fn an_annotation_that_cannot_be_read_is_not_taken_for_no_webhooks() {
        let mut broken = after(&configuration(), Move::Remove);
        broken.annotations_mut().insert(BREAK_GLASS_ANNOTATION.to_owned(), "x".to_owned());
        assert!(changed(&broken, Move::Undo).is_err());
    }

    #[test]
    fn tells_of_every_webhook_what_it_was_and_is() {
        let removed = after(&configuration(), Move::Remove);
        let changes = compare(&configuration(), &removed);
        assert_eq!((changes.len(), &changes[0].before, &changes[0].after), (2, &Some("Fail".to_owned()), &None));
        assert_eq!(compare(&removed, &configuration())[1].after.as_deref(), Some("Ignore"));
    }
}
