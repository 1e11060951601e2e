//! Profiles that differ in the number of their rules alone.
//!
//! Each grants what is measured, by the same rules; the rest are paths that nothing uses, such as a container with many programs and files
//! would have. The name of every object that is measured is matched to its last byte under each profile, so that none decides earlier than
//! another: one that only a guard could match has a rule for another operation.

use std::fmt::Write as _;

/// How many rules the profiles have. The first is what the others are compared with.
pub(crate) const RULES: [u32; 4] = [10, 500, 10_000, 100_000];

/// Rules for what is measured, and for the program that attempts what must be denied.
const MEASURED: u32 = 10;

/// The folders of the rules that nothing uses: short, since a file of profiles has a greatest length, and two are those of what is measured.
const FOLDERS: [&str; 4] = ["/opt/app/modules/", "/etc/ssl/", "/var/log/", "/srv/"];

/// The profile's name, and its folder in the hierarchy of cgroups.
pub(crate) fn name(rules: u32) -> String {
    format!("rules-{rules}")
}

/// The profile with this number of rules. The default trees are guarded: it names none.
pub(crate) fn yaml(rules: u32) -> String {
    let name = name(rules);
    let (mut exec, mut files) = (String::new(), String::new());
    for index in MEASURED..rules {
        let folder = FOLDERS.iter().cycle().nth(index as usize % FOLDERS.len()).unwrap_or(&"/");
        // An odd factor visits every number of 20 bits once: names without repetition and without order.
        let path = format!("{folder}{:05x}", index.wrapping_mul(0x9_e377) & 0xf_ffff);
        let _ = if index / 4 % 16 == 0 {
            writeln!(files, "    - {{path: {path}, access: [write]}}")
        } else {
            writeln!(exec, "    - path: {path}")
        };
    }
    format!(
        "apiVersion: portcullis.dev/v1alpha1
kind: WorkloadProfile
metadata: {{namespace: bench, name: {name}}}
spec:
  workload: {{apiVersion: v1, kind: Pod, name: {name}}}
  mode: enforce
  containers:
  - name: main
    exec:
    - path: /bin/portcullis-load
    - path: /bin/portcullis-attempt
    - path: /bin/busybox
{exec}    files:
    - {{path: /etc/ssl/private/*, access: [read]}}
    - {{path: /opt/app/modules/0000*, access: [write]}}
    - {{path: /var/log/app/error.log, access: [write]}}
    - {{path: /a, access: [write]}}
    - {{path: /bbbbbbbbbbbbbbbbbbbbbbb, access: [write]}}
    - {{path: /ccccc/ccccc/ccccc/ccccc, access: [write]}}
{files}    connect:
    - {{cidr: 127.0.0.1/32, ports: [9/UDP]}}
"
    )
}
