//! How Pod Security Admission puts words together: quoted lists, singular and plural, `pod and containers "a", "b"`.

use std::fmt::{self, Write};

use serde_json::Value;

use crate::pod::Setter;

/// `"a", "b"`. The quotes inside a value are not escaped.
pub(crate) fn join_quoted<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> String {
    let quoted: Vec<String> = values.into_iter().map(|value| format!("\"{}\"", value.as_ref())).collect();
    quoted.join(", ")
}

/// The word for one, or the word for any other number.
pub(crate) const fn plural(count: usize, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}

/// A string as Go's `%q` shows it.
pub(crate) fn go_quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            control if control.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(control))),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            printable => quoted.push(printable),
        }
    }
    quoted.push('"');
    quoted
}

/// The longest value that a text shows, in bytes.
const MAX_SHOWN: usize = 256;

/// A value as a text shows it: its JSON, cut where it is long. No more of it is written than is shown.
pub(crate) struct Shown<'v>(pub(crate) &'v Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Beginning(String::new());
        match write!(text, "{}", self.0) {
            Ok(()) => f.write_str(&text.0),
            Err(fmt::Error) => write!(f, "{}…", text.0),
        }
    }
}

/// The beginning of a text that is being written; it fails as soon as it is full.
struct Beginning(String);

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_SHOWN.saturating_sub(self.0.len());
        let fits = text.floor_char_boundary(room);
        self.0.push_str(text.get(..fits).unwrap_or_default());
        if fits < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Who set something: the pod, containers by name, annotations.
#[derive(Default)]
pub(crate) struct Setters<'d> {
    pod: bool,
    containers: Vec<&'d str>,
    annotations: usize,
}

impl<'d> Setters<'d> {
    pub(crate) fn add(&mut self, setter: Setter<'_, 'd>) {
        match setter {
            Setter::Pod => self.pod = true,
            Setter::Container(container) => self.add_container(container.name),
        }
    }

    pub(crate) fn add_container(&mut self, name: &'d str) {
        self.containers.push(name);
    }

    pub(crate) fn add_annotation(&mut self) {
        self.annotations = self.annotations.saturating_add(1);
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.pod && self.containers.is_empty() && self.annotations == 0
    }

    /// How many containers.
    pub(crate) fn containers(&self) -> usize {
        self.containers.len()
    }
}

impl fmt::Display for Setters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.pod {
            parts.push("pod".to_owned());
        }
        if !self.containers.is_empty() {
            parts.push(format!("{} {}", plural(self.containers.len(), "container", "containers"), join_quoted(&self.containers)));
        }
        if self.annotations > 0 {
            parts.push(plural(self.annotations, "annotation", "annotations").to_owned());
        }
        f.write_str(&parts.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quotes_as_go_does() {
        assert_eq!(go_quote("a'b\"c\\"), r#""a'b\"c\\""#);
        assert_eq!(go_quote("\u{1}\n\u{7f}\u{85}é"), r#""\x01\n\x7f\u0085é""#);
    }

    #[test]
    fn shows_no_more_than_the_beginning_of_a_long_value() {
        assert_eq!(Shown(&json!({"a": [1, "b"]})).to_string(), r#"{"a":[1,"b"]}"#);
        let long = Shown(&json!(["é".repeat(1000)])).to_string();
        assert!(long.starts_with("[\"éé") && long.ends_with("é…") && (250..=260).contains(&long.len()), "{long}");
        assert_eq!(Shown(&json!("x".repeat(254))).to_string(), format!("\"{}\"", "x".repeat(254)), "what just fits is whole");
    }

    #[test]
    fn lists_without_escaping() {
        assert_eq!(join_quoted(["a", "b\"c"]), r#""a", "b"c""#);
    }
}
