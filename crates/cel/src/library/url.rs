//! URLs, as the API server's own standard library reads them.

use super::{Call, Evaluated, Overload, Ty, fault, global, go_url, member, shortened};
use crate::{Opaque, OpaqueValue, Value, value::Entries, value::Map};

const U: Ty = Ty::Opaque(Opaque::Url);
const LISTS: Ty = Ty::List(&Ty::String);

pub(super) const OVERLOADS: &[Overload] = &[
    global(0, "url", &[Ty::String], U, url),
    global(0, "isURL", &[Ty::String], Ty::Bool, is_url),
    member(0, "getScheme", &[U], Ty::String, |call| text(call, |url| &url.scheme)),
    member(0, "getHost", &[U], Ty::String, |call| text(call, |url| &url.host)),
    member(0, "getHostname", &[U], Ty::String, |call| text(call, |url| host_and_port(&url.host).0)),
    member(0, "getPort", &[U], Ty::String, |call| text(call, |url| host_and_port(&url.host).1)),
    member(0, "getEscapedPath", &[U], Ty::String, |call| text(call, |url| &url.escaped_path)),
    member(0, "getQuery", &[U], Ty::Map(&Ty::String, &LISTS), query),
];

/// The parts of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub(super) scheme: String,
    /// What follows the scheme where no slash does.
    pub(super) opaque: String,
    pub(super) user: String,
    /// With the port.
    pub(super) host: String,
    pub(super) escaped_path: String,
    pub(super) query: String,
    pub(super) fragment: String,
}

fn url<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let text = call.text(0);
    call.budget.charge_text(text.len())?;
    match go_url::parse(&text) {
        Ok(url) => Ok(Value::opaque(OpaqueValue::Url(url))),
        Err(reason) => fault(format!("URL parse error during conversion from string: parse {:?}: {reason}", shortened(&text))),
    }
}

fn is_url<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let text = call.text(0);
    call.budget.charge_text(text.len())?;
    Ok(Value::Bool(go_url::parse_request_uri(&text).is_ok()))
}

fn of<'c>(arguments: &'c [Value<'_>]) -> Option<&'c Url> {
    match arguments.first() {
        Some(Value::Opaque(value)) => match &**value {
            OpaqueValue::Url(url) => Some(url),
            _ => None,
        },
        _ => None,
    }
}

fn text<'a>(call: &mut Call<'_, 'a>, part: impl Fn(&Url) -> &str) -> Evaluated<'a> {
    let Some(part) = of(call.arguments).map(part) else { return fault("no such overload") };
    call.budget.charge_text(part.len())?;
    Ok(Value::string(part))
}

/// Without brackets; the port is what is after the last colon, where that are digits.
fn host_and_port(host: &str) -> (&str, &str) {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port),
        _ => (host, ""),
    };
    (name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name), port)
}

fn query<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let Some(url) = of(call.arguments) else { return fault("no such overload") };
    call.budget.charge_text(url.query.len())?;
    let mut found: std::collections::BTreeMap<String, Vec<Value<'a>>> = std::collections::BTreeMap::new();
    for (key, value) in go_url::query(&url.query) {
        call.budget.charge(1)?;
        found.entry(key).or_default().push(Value::string(value));
    }
    let mut entries = Entries::default();
    for (key, values) in found {
        let _ = entries.insert(Value::string(key), Value::list(values));
    }
    Ok(Value::Map(Map::made(entries)))
}
