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

/// A qualified name: a name of up to 63 characters, alone or after a subdomain and `/`.
pub(super) fn qualified(name: &str) -> Result<(), String> {
    let (prefix, base) = name.split_once('/').unwrap_or(("a", name));
    let fits = prefix.len() <= 253 && prefix.split('.').all(is_label) && is_base(base);
    fitting(name, 317, fits, "letters, digits, `-`, `_` and `.`, a letter or digit first and last, if need be after a domain and `/`")
}

/// The key of an audit annotation: the part of a qualified name after the `/`, where the policy's name is.
pub(super) fn annotation_key(name: &str) -> Result<(), String> {
    fitting(name, 63, is_base(name), "letters, digits, `-`, `_` and `.`, a letter or digit first and last")
}

/// An identifier of CEL.
pub(super) fn identifier(name: &str) -> Result<(), String> {
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let fits = first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !RESERVED.contains(&name);
    fitting(name, 63, fits, "an identifier of CEL: letters, digits and `_`, no digit first, no reserved word")
}

/// The words that CEL keeps for itself.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "package",
    "namespace",
    "null",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// The name of a control: like a label, capitals too, as the ids of Pod Security checks have.
pub(super) fn control(name: &str) -> Result<(), String> {
    let fits = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    fitting(
        name,
        63,
        fits && name.starts_with(|c: char| c.is_ascii_alphanumeric()),
        "letters, digits, `-` and `_`, a letter or digit first",
    )
}

/// A path of fields, as `securityContext.privileged`.
pub(super) fn field(path: &str) -> Result<(), String> {
    let step = |step: &str| !step.is_empty() && step.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    fitting(path, 253, path.split('.').all(step), "names of fields with `.` between them")
}

/// What a rule may name as a resource.
pub(super) fn resource(text: &str) -> Result<(), String> {
    let part = |part: &str| {
        part == "*" || (!part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b)))
    };
    let fits = match text.split_once('/') {
        None => part(text),
        Some((resource, subresource)) => part(resource) && part(subresource),
    };
    fitting(text, 253, fits, "`pods`, `pods/exec`, `pods/*`, `*/scale`, `*` or `*/*`")
}

fn is_base(text: &str) -> bool {
    let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && end(text.chars().next())
        && end(text.chars().last())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
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
    fn the_names_of_parts_of_policies_are_told_apart() {
        assert!(qualified("exclude-leases").is_ok() && qualified("example.com/My_Name.1").is_ok());
        assert!(annotation_key("high-replica.count").is_ok() && annotation_key("a/b").is_err());
        assert!(identifier("_x1").is_ok() && ["1x", "a-b", "in", ""].iter().all(|bad| identifier(bad).is_err()));
        assert!(field("securityContext.privileged").is_ok() && [".a", "a..b", "a[0]", ""].iter().all(|bad| field(bad).is_err()));
        assert!(["pods", "pods/exec", "pods/*", "*/scale", "*", "*/*"].iter().all(|good| resource(good).is_ok()));
        assert!(["", "Pods", "pods/", "a/b/c", "/x"].iter().all(|bad| resource(bad).is_err()));
    }

    #[test]
    fn kinds_are_camel_case() {
        assert!(kind("StatefulSet").is_ok());
        for bad in ["", "deployment", "Stateful-Set", "1A"] {
            assert!(kind(bad).is_err(), "{bad}");
        }
    }
}
