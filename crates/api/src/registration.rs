//! What the webhook, which registers itself, and the command line, which takes that back, have to agree on.

/// The label of a namespace that says what becomes of its pods while no webhook answers: one of [`FAIL`] and [`IGNORE`].
pub const FAILURE_POLICY_LABEL: &str = "portcullis.dev/failure-policy";
/// They are denied.
pub const FAIL: &str = "Fail";
/// They are admitted without a judgement.
pub const IGNORE: &str = "Ignore";

/// The label of everything that belongs to Portcullis; its value is [`PART_OF`].
pub const PART_OF_LABEL: &str = "app.kubernetes.io/part-of";
/// The value of [`PART_OF_LABEL`].
pub const PART_OF: &str = "portcullis";

/// The annotation of a webhook configuration that somebody took out of force in an emergency. Its value is what the configuration's
/// `webhooks` were before, as JSON. While it is there, the webhook leaves the configuration alone.
pub const BREAK_GLASS_ANNOTATION: &str = "portcullis.dev/break-glass";
