//! Reports of a check or a scan: one module a format.

use std::io::{self, Write};

use crate::args::{Color, Format};
use crate::findings::Findings;

pub mod json;
pub mod junit;
pub mod sarif;
pub mod text;

/// Writes the report that is asked for.
///
/// # Errors
/// It cannot be written.
pub fn write(findings: &Findings, format: Format, color: Color, output: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Text => text::write(findings, color.is_wanted(), output),
        Format::Json => json::write(findings, output),
        Format::Sarif => sarif::write(findings, output),
        Format::Junit => junit::write(findings, output),
    }
}

/// `1 workload`, `2 workloads`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

#[cfg(test)]
mod example {
    use crate::check::{Findings, check};
    use crate::source::Source;

    const MANIFESTS: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  template:
    spec:
      hostPID: true
      containers:
      - name: \"a<b>\"
        securityContext:
          privileged: true
---
apiVersion: v1
kind: Pod
metadata: {name: good}
---
apiVersion: v1
kind: Pod
metadata: {name: broken}
spec: {hostPID: \"yes\"}
---
apiVersion: v1
kind: Service
";

    /// Something of everything: a workload that violates, one that passes, one that cannot be judged, another object.
    pub(super) fn findings() -> Findings {
        check("baseline:v1.30".parse().unwrap(), vec![Ok(Source { name: "web.yaml".to_owned(), named: true, text: MANIFESTS.to_owned() })])
    }
}
