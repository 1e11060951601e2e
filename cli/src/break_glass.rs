//! `portcullis break-glass`: takes the webhook out of force when it is in the way, and back.
//!
//! The webhook is never asked, only the API server. What the configuration was is kept in an annotation of it, from which `--undo` restores it, and
//! which the webhook respects: it does not put itself back while it is there. Nothing of the configuration but its webhooks is touched, so all else
//! that refers to it stays true. One configuration that cannot be changed keeps no other from being changed.

use std::io::{self, Write};

use kube::api::{Api, DynamicObject, PostParams};
use kube::{Client, ResourceExt};
use serde::Serialize;

use crate::Status;
use crate::args::BreakGlassArgs;
use crate::cluster::{self, CONFIGURATION, ClusterError, answered, cannot, ours};

mod webhooks;

use webhooks::{Copied, WebhookChange, changed, compare, is_broken};

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
    undo: Option<String>,
    /// Why others could not be changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<String>,
    #[serde(skip)]
    change: Move,
}

/// What became of the configurations.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) configurations: Vec<Changed>,
    pub(crate) failed: Vec<String>,
}

#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Changed {
    name: String,
    /// Whether anything was different before.
    changed: bool,
    webhooks: Vec<WebhookChange>,
    /// What an undo cannot put back.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

/// Runs the command.
///
/// # Errors
/// The report cannot be written.
pub fn run(args: &BreakGlassArgs, output: &mut impl Write) -> io::Result<Status> {
    let (change, dry_run) = (args.change(), args.cluster.dry_run);
    let command = async |client: Client| {
        let Applied { configurations, failed } = apply(&client, args.configuration.as_deref(), change, dry_run).await?;
        let changed = configurations.iter().any(|configuration| configuration.changed);
        let undo = (changed && change != Move::Undo).then(|| undo(args));
        Ok(Report { dry_run, configurations, undo, failed, change })
    };
    cluster::run(&args.cluster, output, command)
}

/// The command that takes it back: in the same cluster, of the same configuration.
fn undo(args: &BreakGlassArgs) -> String {
    let name = &args.cluster.name;
    let file = name.kubeconfig.as_ref().map(|path| path.display().to_string());
    let options = [("configuration", &args.configuration), ("kubeconfig", &file), ("context", &name.context)];
    let options = options.into_iter().filter_map(|(option, value)| value.as_ref().map(|value| format!(" --{option}={}", quoted(value))));
    format!("portcullis break-glass --undo{}", options.collect::<String>())
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:@=+,%".contains(c));
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// Changes one configuration, or all of Portcullis'.
///
/// # Errors
/// It is not known which there are, or there is none. What becomes of each is in the result.
pub(crate) async fn apply(client: &Client, name: Option<&str>, change: Move, dry_run: bool) -> Result<Applied, ClusterError> {
    let api = CONFIGURATION.api(client, None);
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => {
            let all = answered(api.list(&ours())).await.map_err(cannot("list the webhook configurations"))?;
            all.items.iter().map(ResourceExt::name_any).collect()
        }
    };
    if names.is_empty() {
        let why = "no webhook configuration of this cluster belongs to Portcullis; name one: --configuration NAME";
        return Err(ClusterError::NotFound(why.to_owned()));
    }
    let mut applied = Applied::default();
    for name in names {
        match change_one(&api, &name, change, dry_run).await {
            Ok(changed) => applied.configurations.push(changed),
            Err(error) => applied.failed.push(error.to_string()),
        }
    }
    Ok(applied)
}

async fn change_one(api: &Api<DynamicObject>, name: &str, change: Move, dry_run: bool) -> Result<Changed, ClusterError> {
    let mut copied = Copied::Whole;
    for _ in 0..ATTEMPTS {
        let before = answered(api.get(name)).await.map_err(cannot(format!("read the webhook configuration {name:?}")))?;
        let after = changed(&before, change, copied)?;
        let webhooks = compare(&before, after.as_ref().unwrap_or(&before));
        let report = Changed { name: name.to_owned(), changed: after.is_some(), webhooks, note: copied.lacks() };
        let Some(after) = after.filter(|_| !dry_run) else { return Ok(report) };
        match (answered(api.replace(name, &PostParams::default(), &after)).await, copied.less()) {
            (Ok(_), _) => return Ok(report),
            // It carries the version that was read: somebody was quicker.
            (Err(kube::Error::Api(status)), _) if status.code == 409 => {}
            // Annotations have a limit that configurations have not.
            (Err(kube::Error::Api(status)), Some(less)) if matches!(status.code, 413 | 422) && !is_broken(&before) => copied = less,
            (Err(error), _) => return Err(cannot(format!("write the webhook configuration {name:?}"))(error)),
        }
    }
    Err(ClusterError::Contended(name.to_owned()))
}

impl cluster::Report for Report {
    fn text(&self) -> String {
        text(self)
    }

    fn failures(&self) -> &[String] {
        &self.failed
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    let would = if report.dry_run { "would be: " } else { "" };
    for configuration in &report.configurations {
        let what = match (configuration.changed, report.change) {
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
        if let Some(note) = configuration.note {
            text.push_str(&format!("  {note}\n"));
        }
    }
    if let Some(undo) = &report.undo {
        text.push_str(&format!("undo: {undo}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    #[test]
    fn what_takes_it_back_names_the_same_cluster_and_the_same_configuration() {
        let line = ["portcullis", "break-glass", "--configuration", "guard", "--context", "the bank's", "--kubeconfig", "/etc/k8s.yaml"];
        let Command::BreakGlass(args) = Args::parse_from(line).command else { panic!("{line:?}") };
        assert_eq!(
            undo(&args),
            r"portcullis break-glass --undo --configuration=guard --kubeconfig=/etc/k8s.yaml --context='the bank'\''s'"
        );
    }

    #[test]
    fn what_names_nothing_is_taken_back_by_what_names_nothing() {
        let Command::BreakGlass(args) = Args::parse_from(["portcullis", "break-glass"]).command else { panic!() };
        assert_eq!(undo(&args), "portcullis break-glass --undo");
    }
}
