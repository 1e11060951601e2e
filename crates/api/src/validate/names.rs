//! The names that Kubernetes accepts, as its documentation on object names and the API conventions have them.

/// A check of a name; the error is what is wrong, a colon, and what to write instead.
pub(super) type Rule = fn(&str) -> Result<(), String>;

/// A DNS label (RFC 1123): namespaces and containers.
pub(super) fn label(name: &str) -> Result<(), String> {
    fitting(
        name,
        63,
        name.split('.').count() == 1 && is_label(name),
        "lower-case letters, digits and `-`, a letter or digit first and last",
    )
}

/// A DNS subdomain (RFC 1123): most objects.
pub(super) fn subdomain(name: &str) -> Result<(), String> {
    let help = "lower-case letters, digits, `-` and `.`, a letter or digit first and last and beside each `.`";
    fitting(name, 253, name.split('.').all(is_label), help)
}

/// A version, alone or after a group and `/`.
pub(super) fn api_version(name: &str) -> Result<(), String> {
    let (group, version) = name.split_once('/').unwrap_or(("core", name));
    fitting(
        name,
        317,
        group.split('.').all(is_label) && is_label(version),
        "a group and a version, as `apps/v1`, or `v1` for the core group",
    )
}

/// A kind: CamelCase.
pub(super) fn kind(name: &str) -> Result<(), String> {
    let camel = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric());
    fitting(name, 63, camel, "the kind in CamelCase, as `Deployment`")
}

fn fitting(name: &str, max: usize, fits: bool, help: &str) -> Result<(), String> {
    if name.len() > max {
        return Err(format!("longer than {max} characters: shorten it"));
    }
    if fits { Ok(()) } else { Err(format!("`{name}` is not a valid name here: write {help}")) }
}

fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_no_dots_and_63_characters_at_most() {
        assert!(label("web-1").is_ok());
        for bad in ["", "a.b", "-a", "a-", "A", "a_b", "ä", &"a".repeat(64)] {
            assert!(label(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn subdomains_are_labels_between_dots() {
        assert!(subdomain("deployment-web.v1").is_ok());
        assert!(subdomain(&"a".repeat(253)).is_ok());
        for bad in ["", "a..b", ".a", "a.", "a.-b", &"a".repeat(254)] {
            assert!(subdomain(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn api_versions_may_have_a_group() {
        assert!(api_version("v1").is_ok() && api_version("argoproj.io/v1alpha1").is_ok());
        for bad in ["", "/v1", "apps/", "apps/v1/x", "Apps/v1"] {
            assert!(api_version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn kinds_are_camel_case() {
        assert!(kind("StatefulSet").is_ok());
        for bad in ["", "deployment", "Stateful-Set", "1A"] {
            assert!(kind(bad).is_err(), "{bad}");
        }
    }
}
