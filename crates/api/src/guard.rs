//! Which reads are judged where a profile does not say: a rule must grant `read` for what lies in these trees.
//!
//! Reading is what programs do most, and most of it is of no interest, so a profile that judged every read would be long and say little.
//! These are the files that an intruder reads next: credentials, and the state of other processes. Patterns apply to names inside the
//! container's own mount namespace. `/var/run` is a link to `/run` in most images and a folder in some, and the kernel resolves links
//! before it asks, so both names are listed.

use crate::{InvalidValue, PathPattern};

/// A guarded tree and why it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The pattern, as a profile would write it under `guard`.
    pub path: &'static str,
    /// What an intruder gains by reading there.
    pub reason: &'static str,
}

/// The trees that are guarded where a container's rules have no `guard`.
pub const DEFAULT_GUARD: &[Guard] = &[
    Guard { path: "/run/secrets/**", reason: "service account tokens, and what Docker mounts as secrets" },
    Guard { path: "/var/run/secrets/**", reason: "the same, where /var/run is a folder of its own" },
    Guard { path: "/etc/shadow", reason: "password hashes" },
    Guard { path: "/etc/shadow-", reason: "the password hashes before the last change" },
    Guard { path: "/etc/gshadow", reason: "password hashes of groups" },
    Guard { path: "/etc/gshadow-", reason: "the group hashes before the last change" },
    Guard { path: "/etc/sudoers", reason: "who may become root, and how" },
    Guard { path: "/etc/sudoers.d/**", reason: "the same, in parts" },
    Guard { path: "/etc/krb5.keytab", reason: "Kerberos keys of the host" },
    Guard { path: "/etc/ssl/private/**", reason: "private keys of certificates" },
    Guard { path: "/etc/pki/tls/private/**", reason: "private keys of certificates, on Red Hat's layout" },
    Guard { path: "/etc/ssh/ssh_host_*_key", reason: "private keys of the SSH server" },
    Guard { path: "/etc/kubernetes/**", reason: "a node's cluster credentials, where the host's /etc is mounted" },
    Guard { path: "/var/lib/kubelet/**", reason: "the kubelet's credentials and every pod's volumes, where they are mounted" },
    Guard { path: "/root/.ssh/**", reason: "SSH keys of root" },
    Guard { path: "/home/*/.ssh/**", reason: "SSH keys of users" },
    Guard { path: "/root/.aws/**", reason: "AWS credentials of root" },
    Guard { path: "/home/*/.aws/**", reason: "AWS credentials of users" },
    Guard { path: "/root/.config/gcloud/**", reason: "Google Cloud credentials of root" },
    Guard { path: "/home/*/.config/gcloud/**", reason: "Google Cloud credentials of users" },
    Guard { path: "/root/.azure/**", reason: "Azure credentials of root" },
    Guard { path: "/home/*/.azure/**", reason: "Azure credentials of users" },
    Guard { path: "/root/.kube/**", reason: "cluster credentials of root" },
    Guard { path: "/home/*/.kube/**", reason: "cluster credentials of users" },
    Guard { path: "/root/.docker/config.json", reason: "registry credentials of root" },
    Guard { path: "/home/*/.docker/config.json", reason: "registry credentials of users" },
    Guard { path: "/root/.netrc", reason: "passwords of root for web and mail hosts" },
    Guard { path: "/home/*/.netrc", reason: "passwords of users for web and mail hosts" },
    Guard { path: "/proc/*/environ", reason: "secrets that other processes were given in their environment" },
    Guard { path: "/proc/*/task/*/environ", reason: "the same, by thread" },
    Guard { path: "/proc/*/mem", reason: "the memory of other processes" },
    Guard { path: "/proc/*/task/*/mem", reason: "the same, by thread" },
    Guard { path: "/proc/kcore", reason: "the memory of the kernel" },
    Guard { path: "/dev/mem", reason: "physical memory" },
    Guard { path: "/dev/kmem", reason: "the memory of the kernel, on old kernels" },
];

/// [`DEFAULT_GUARD`] as patterns.
///
/// # Errors
/// None that a caller can meet: a test parses each.
pub fn default_patterns() -> Result<Vec<PathPattern>, InvalidValue> {
    DEFAULT_GUARD.iter().map(|guard| guard.path.parse()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_tree_parses_once_and_has_a_reason() {
        let mut patterns = default_patterns().unwrap();
        patterns.sort();
        patterns.dedup();
        assert_eq!(patterns.len(), DEFAULT_GUARD.len());
        assert!(DEFAULT_GUARD.iter().all(|guard| !guard.reason.is_empty()));
    }

    #[test]
    fn a_service_account_token_is_guarded_under_the_name_that_the_kubelet_gives_it() {
        // The token is a link to ..data/token, and ..data to a folder named after the time; the kernel asks about the file behind both.
        let token = b"/run/secrets/kubernetes.io/serviceaccount/..2026_11_22_07_12_36.123456789/token";
        assert!(default_patterns().unwrap().iter().any(|path| path.pattern().matches(token)));
    }
}
