//! The named formats of Kubernetes, and what they say of a text that is not of them.

use super::{Call, Evaluated, Overload, Ty, fault, global, go_url, member};
use crate::{Opaque, OpaqueValue, Value};

const F: Ty = Ty::Opaque(Opaque::Format);

macro_rules! formats {
    ($($variant:ident $name:literal $path:literal),* $(,)?) => {
        /// A format that a text may have.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each is named as in expressions")]
        pub enum Format { $($variant),* }

        impl Format {
            fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }

        pub(super) const OVERLOADS: &[Overload] = &[
            global(31, "format.named", &[Ty::String], Ty::Optional(&F), named),
            member(31, "validate", &[F, Ty::String], Ty::Optional(&Ty::List(&Ty::String)), validate),
            $(global(31, $path, &[], F, |_| Ok(Value::opaque(OpaqueValue::Format(Format::$variant)))),)*
        ];
    };
}

formats! {
    Label "dns1123Label" "format.dns1123Label",
    Subdomain "dns1123Subdomain" "format.dns1123Subdomain",
    OldLabel "dns1035Label" "format.dns1035Label",
    QualifiedName "qualifiedName" "format.qualifiedName",
    LabelPrefix "dns1123LabelPrefix" "format.dns1123LabelPrefix",
    SubdomainPrefix "dns1123SubdomainPrefix" "format.dns1123SubdomainPrefix",
    OldLabelPrefix "dns1035LabelPrefix" "format.dns1035LabelPrefix",
    LabelValue "labelValue" "format.labelValue",
    Uri "uri" "format.uri",
    Uuid "uuid" "format.uuid",
    Byte "byte" "format.byte",
    Date "date" "format.date",
    Datetime "datetime" "format.datetime",
}

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an \
    alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end \
    with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const OLD_LABEL: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end \
    with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end \
    with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
    character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const QUALIFIED_NAME: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";

fn named<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let found = Format::named(&call.text(0)).map(|format| Value::opaque(OpaqueValue::Format(format)));
    Ok(Value::optional(found))
}

fn validate<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let Value::Opaque(value) = call.argument(0) else { return fault("no such overload") };
    let OpaqueValue::Format(format) = *value else { return fault("no such overload") };
    let text = call.text(1);
    call.budget.charge_text(text.len().saturating_mul(4))?;
    let faults = format.faults(&text);
    let list = || Value::list(faults.iter().map(|fault| Value::string(fault.as_str())).collect::<Vec<_>>());
    Ok(Value::optional((!faults.is_empty()).then(list)))
}

impl Format {
    /// What is wrong with a text; nothing where it has the format.
    fn faults(self, text: &str) -> Vec<String> {
        match self {
            Self::Label => label(text),
            Self::LabelPrefix => label(&masked(text)),
            Self::Subdomain => subdomain(text),
            Self::SubdomainPrefix => subdomain(&masked(text)),
            Self::OldLabel => old_label(text),
            Self::OldLabelPrefix => old_label(&masked(text)),
            Self::QualifiedName => qualified_name(text),
            Self::LabelValue => judge(text, 63, |text| text.is_empty() || is_name(text), LABEL_VALUE),
            Self::Uri => go_url::parse_request_uri(text).err().map(|fault| format!("parse {text:?}: {fault}")).into_iter().collect(),
            Self::Uuid => unless(is_uuid(text), "does not match the UUID format"),
            Self::Byte => unless(is_base64(text), "invalid base64"),
            Self::Date => unless(is_date(text), "invalid date"),
            Self::Datetime => unless(is_datetime(text), "invalid datetime"),
        }
    }
}

fn unless(holds: bool, fault: &str) -> Vec<String> {
    if holds { Vec::new() } else { vec![fault.to_owned()] }
}

fn judge(text: &str, longest: usize, holds: impl Fn(&str) -> bool, fault: &str) -> Vec<String> {
    let unit = if fault == LABEL_VALUE { "bytes" } else { "characters" };
    let mut faults = unless(text.len() <= longest, &format!("must be no more than {longest} {unit}"));
    faults.extend(unless(holds(text), fault));
    faults
}

/// Letters, digits and what else may stand between them.
fn is_word(text: &str, inner: fn(u8) -> bool, edge: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let edges = bytes.first().zip(bytes.last()).is_some_and(|(first, last)| edge(*first) && edge(*last));
    edges && bytes.iter().all(|byte| inner(*byte) || edge(*byte))
}

fn is_lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_label(text: &str) -> bool {
    is_word(text, |byte| byte == b'-', is_lower)
}

fn is_name(text: &str) -> bool {
    is_word(text, |byte| matches!(byte, b'-' | b'_' | b'.'), |byte| byte.is_ascii_alphanumeric())
}

fn label(text: &str) -> Vec<String> {
    judge(text, 63, is_label, if is_subdomain(text) { "must not contain dots" } else { LABEL })
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn subdomain(text: &str) -> Vec<String> {
    judge(text, 253, is_subdomain, SUBDOMAIN)
}

fn old_label(text: &str) -> Vec<String> {
    judge(text, 63, |text| is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase()), OLD_LABEL)
}

fn qualified_name(text: &str) -> Vec<String> {
    let parts: Vec<&str> = text.split('/').collect();
    let mut faults = Vec::new();
    let name = match parts.as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                faults.push("prefix part must be non-empty".to_owned());
            } else {
                faults.extend(subdomain(prefix).into_iter().map(|fault| format!("prefix part {fault}")));
            }
            *name
        }
        _ => return vec![QUALIFIED_NAME.to_owned()],
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        faults.push("name part must be no more than 63 bytes".to_owned());
    }
    faults.extend(unless(is_name(name), NAME_PART));
    faults
}

/// A prefix may end with a dash, since something follows it.
fn masked(text: &str) -> String {
    match text.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => {
            let kept = rest.char_indices().next_back().map_or(0, |(at, _)| at);
            format!("{}a", rest.get(..kept).unwrap_or_default())
        }
        _ => text.to_owned(),
    }
}

/// Hexadecimal digits in groups of 8, 4, 4, 4 and 12, with or without dashes between them.
fn is_uuid(text: &str) -> bool {
    let mut rest = text;
    for (index, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
        let Some((group, after)) = rest.split_at_checked(length) else { return false };
        if !group.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

fn is_base64(text: &str) -> bool {
    let content = text.trim_end_matches('=');
    let padding = text.len() - content.len();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    !content.is_empty() && padding <= 2 && text.len().is_multiple_of(4) && content.bytes().all(is_digit)
}

fn is_date(text: &str) -> bool {
    let digits = text.bytes().enumerate().all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() });
    text.len() == 10 && digits && text.parse::<jiff::civil::Date>().is_ok()
}

fn is_datetime(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let Some((date, time)) = lower.split_once('t') else { return false };
    let Some((clock, rest)) = time.split_at_checked(8) else { return false };
    let shape = clock.bytes().enumerate().all(|(at, byte)| if matches!(at, 2 | 5) { byte == b':' } else { byte.is_ascii_digit() });
    let part = |at: usize| clock.get(at..at + 2).unwrap_or_default();
    let zone = match rest.strip_prefix('.') {
        Some(rest) => match rest.trim_start_matches(|c: char| c.is_ascii_digit()) {
            zone if zone.len() < rest.len() => zone,
            _ => return false,
        },
        None => rest,
    };
    let offset = |zone: &str| {
        zone.len() == 6
            && zone.starts_with(['+', '-'])
            && zone.bytes().skip(1).enumerate().all(|(at, byte)| if at == 2 { byte == b':' } else { byte.is_ascii_digit() })
    };
    is_date(date) && shape && part(0) <= "23" && part(3) <= "59" && part(6) <= "59" && (zone == "z" || offset(zone))
}
