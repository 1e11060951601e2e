//! What becomes of a webhook configuration, and what of it is kept for an undo: values in, values out.

use kube::ResourceExt;
use kube::api::DynamicObject;
use portcullis_api::registration::{BREAK_GLASS_ANNOTATION, IGNORE};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Move;
use crate::cluster::ClusterError;

/// The annotation's value where nothing could be kept. The webhook looks only whether it is there.
const NO_COPY: &str = "";

/// How much of a configuration is kept for an undo. The API server takes 256 KiB of annotations, and certificates take the most of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copied {
    /// All of its webhooks.
    Whole,
    /// Its webhooks, but for the certificates that they are trusted by.
    WithoutBundles,
    /// Nothing, so that the glass can be broken at all.
    Nothing,
}

impl Copied {
    /// What to try where the API server refuses this much.
    pub(super) const fn less(self) -> Option<Self> {
        match self {
            Self::Whole => Some(Self::WithoutBundles),
            Self::WithoutBundles => Some(Self::Nothing),
            Self::Nothing => None,
        }
    }

    /// What an undo cannot put back, and what does.
    pub(super) const fn lacks(self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::WithoutBundles => Some(
                "what was before is kept without its caBundle, which is too large: --undo leaves the one that is there by then, \
                 and where there is none the webhook registers it",
            ),
            Self::Nothing => {
                Some("what was before is not kept, because the API server takes no copy: --undo cannot put it back, and says what does")
            }
        }
    }

    fn of(self, webhooks: &Value) -> String {
        match self {
            Self::Whole => webhooks.to_string(),
            Self::WithoutBundles => {
                let mut webhooks = webhooks.clone();
                for webhook in webhooks.as_array_mut().into_iter().flatten() {
                    client_config(webhook).map(|config| config.remove(BUNDLE));
                }
                webhooks.to_string()
            }
            Self::Nothing => NO_COPY.to_owned(),
        }
    }
}

const BUNDLE: &str = "caBundle";

#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WebhookChange {
    pub(super) name: String,
    /// The failure policy before and after; nothing where the webhook was not, or is no more.
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// Whether somebody broke the glass.
pub(super) fn is_broken(configuration: &DynamicObject) -> bool {
    configuration.annotations().contains_key(BREAK_GLASS_ANNOTATION)
}

/// The configuration as it is to be; `None` where it is so already.
///
/// # Errors
/// It is to be as it was, and nobody knows how that was.
pub(super) fn changed(configuration: &DynamicObject, change: Move, copied: Copied) -> Result<Option<DynamicObject>, ClusterError> {
    let mut after = configuration.clone();
    let broken = configuration.annotations().get(BREAK_GLASS_ANNOTATION);
    let webhooks = configuration.data.get("webhooks").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
    let wanted = match change {
        Move::Remove => Value::Array(Vec::new()),
        Move::Open => opened(&webhooks),
        Move::Undo => match broken {
            None => return Ok(None),
            Some(before) => restored(configuration, before, &webhooks)?,
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
        (_, None) => _ = after.annotations_mut().insert(BREAK_GLASS_ANNOTATION.to_owned(), copied.of(&webhooks)),
    }
    if let Some(data) = after.data.as_object_mut() {
        data.insert("webhooks".to_owned(), wanted);
    }
    Ok(Some(after))
}

/// What the webhooks were, but for the certificates that they are trusted by: the present ones count, since they may have been renewed.
fn restored(configuration: &DynamicObject, before: &str, present: &Value) -> Result<Value, ClusterError> {
    let name = configuration.name_any();
    let way_out =
        format!("kubectl annotate validatingwebhookconfiguration {name} {BREAK_GLASS_ANNOTATION}- lets the webhook register itself anew");
    if before == NO_COPY {
        return Err(ClusterError::Contents(format!("nothing was kept of what the webhook configuration {name:?} was before; {way_out}")));
    }
    let unreadable =
        |error| ClusterError::Contents(format!("the annotation {BREAK_GLASS_ANNOTATION} of {name:?} cannot be read: {error}; {way_out}"));
    let mut webhooks: Value = serde_json::from_str(before).map_err(unreadable)?;
    for webhook in webhooks.as_array_mut().into_iter().flatten() {
        let is_same = |other: &&Value| other.get("name").is_some_and(|name| webhook.get("name") == Some(name));
        let bundle = present.as_array().into_iter().flatten().find(is_same).and_then(bundle).cloned();
        if let (Some(bundle), Some(config)) = (bundle, client_config(webhook)) {
            config.insert(BUNDLE.to_owned(), bundle);
        }
    }
    Ok(webhooks)
}

fn bundle(webhook: &Value) -> Option<&Value> {
    webhook.get("clientConfig")?.get(BUNDLE).filter(|bundle| bundle.as_str().is_some_and(|text| !text.is_empty()))
}

fn client_config(webhook: &mut Value) -> Option<&mut Map<String, Value>> {
    webhook.get_mut("clientConfig")?.as_object_mut()
}

fn opened(webhooks: &Value) -> Value {
    let mut webhooks = webhooks.clone();
    for webhook in webhooks.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        webhook.insert("failurePolicy".to_owned(), IGNORE.into());
    }
    webhooks
}

/// Every webhook of either, and its failure policy in both.
pub(super) fn compare(before: &DynamicObject, after: &DynamicObject) -> Vec<WebhookChange> {
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
        changed(configuration, change, Copied::Whole).unwrap().unwrap()
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
            assert_eq!(changed(&after(&configuration(), change), change, Copied::Whole).unwrap(), None);
        }
        assert_eq!(changed(&configuration(), Move::Undo, Copied::Whole).unwrap(), None);
    }

    #[test]
    fn an_annotation_that_cannot_be_read_is_not_taken_for_no_webhooks() {
        let mut broken = after(&configuration(), Move::Remove);
        broken.annotations_mut().insert(BREAK_GLASS_ANNOTATION.to_owned(), "x".to_owned());
        assert!(changed(&broken, Move::Undo, Copied::Whole).is_err());
    }

    #[test]
    fn tells_of_every_webhook_what_it_was_and_is() {
        let removed = after(&configuration(), Move::Remove);
        let changes = compare(&configuration(), &removed);
        assert_eq!((changes.len(), &changes[0].before, &changes[0].after), (2, &Some("Fail".to_owned()), &None));
        assert_eq!(compare(&removed, &configuration())[1].after.as_deref(), Some("Ignore"));
    }

    fn trusting(bundle: &str) -> DynamicObject {
        let mut configuration = configuration();
        for index in 0..2 {
            configuration.data["webhooks"][index]["clientConfig"] = json!({"url": "https://localhost", "caBundle": bundle});
        }
        configuration
    }

    #[test]
    fn an_undo_leaves_the_certificates_that_were_renewed_meanwhile() {
        let mut opened = after(&trusting("old"), Move::Open);
        opened.data["webhooks"][0]["clientConfig"]["caBundle"] = json!("new");
        opened.data["webhooks"][1]["clientConfig"].as_object_mut().unwrap().remove("caBundle");
        let undone = after(&opened, Move::Undo);
        assert_eq!(undone.data["webhooks"][0]["clientConfig"], json!({"url": "https://localhost", "caBundle": "new"}));
        assert_eq!(undone.data["webhooks"][0]["failurePolicy"], "Fail");
        assert_eq!(undone.data["webhooks"][1]["clientConfig"]["caBundle"], "old", "where there is none, the kept one");
    }

    #[test]
    fn a_copy_without_certificates_is_small_and_restores_all_else() {
        let large = trusting(&"A".repeat(300_000));
        let opened = changed(&large, Move::Open, Copied::WithoutBundles).unwrap().unwrap();
        assert!(opened.annotations()[BREAK_GLASS_ANNOTATION].len() < 1_000);
        assert_eq!(after(&opened, Move::Undo), large);
    }

    #[test]
    fn what_was_not_kept_is_not_put_back_and_the_way_out_is_told() {
        let opened = changed(&configuration(), Move::Open, Copied::Nothing).unwrap().unwrap();
        assert!(is_broken(&opened), "the webhook leaves it alone");
        let error = changed(&opened, Move::Undo, Copied::Whole).unwrap_err().to_string();
        assert!(error.contains("kubectl annotate validatingwebhookconfiguration portcullis portcullis.dev/break-glass- "), "{error}");
    }
}
