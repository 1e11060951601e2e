//! URLs, as the API server's own standard library reads them.

use super::{Call, Evaluated, Overload, Ty, fault, global, go_url, member};
use crate::{Opaque, OpaqueValue, Value, value::Entries, value::Map};

const U: Ty = Ty::Opaque(Opaque::Url);
const LISTS: Ty = Ty::List(&Ty::String);

pub(super) const OVERLOADS: &[Overload] = &[
    global(0, "url", &[Ty::String], U, url),
    global(0, "isURL", &[Ty::String], Ty::Bool, is_url),
    member(0, "getScheme", &[U], Ty::String, |call| text(call, |url| url.scheme.clone())),
    member(0, "getHost", &[U], Ty::String, |call| text(call, |url| url.host.clone())),
    member(0, "getHostname", &[U], Ty::String, |call| text(call, |url| host_and_port(&url.host).0.to_owned())),
    member(0, "getPort", &[U], Ty::String, |call| text(call, |url| host_and_port(&url.host).1.to_owned())),
    member(0, "getEscapedPath", &[U], Ty::String, |call| text(call, |url| url.escaped_path.clone())),
    member(0, "getQuery", &[U], Ty::Map(&Ty::String, &LISTS), query),
];

/// The parts of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub(super) scheme: String,
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
        Err(reason) => fault(format!("URL parse error during conversion from string: parse {:?}: {reason}", &*text)),
    }
}

fn is_url<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let text = call.text(0);
    call.budget.charge_text(text.len())?;
    Ok(Value::Bool(go_url::parse_request_uri(&text).is_ok()))
}

fn of<'a>(call: &Call<'_, 'a>) -> Option<Url> {
    match call.argument(0) {
        Value::Opaque(value) => match &*value {
            OpaqueValue::Url(url) => Some(url.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn text<'a>(call: &mut Call<'_, 'a>, part: impl Fn(&Url) -> String) -> Evaluated<'a> {
    match of(call) {
        Some(url) => Ok(Value::string(part(&url))),
        None => fault("no such overload"),
    }
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
    let Some(url) = of(call) else { return fault("no such overload") };
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
