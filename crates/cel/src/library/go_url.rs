//! The grammar of URLs as Go reads it, which Kubernetes' functions rest upon.
//!
//! A URL of a request is absolute: it has a scheme, or its path begins with a slash; what looks like a fragment is part of the path.

use super::url::Url;
use std::net::Ipv6Addr;

type Reason = &'static str;

/// Whether a text is an absolute URL or an absolute path.
pub(super) fn parse_request_uri(text: &str) -> Result<(), Reason> {
    if text.is_empty() {
        return Err("empty url");
    }
    parts(text, true).map(|_| ())
}

/// The parts of an absolute URL.
pub(super) fn parse(text: &str) -> Result<Url, Reason> {
    parse_request_uri(text)?;
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let fragment = String::from_utf8_lossy(&unescape(fragment, false)?).into_owned();
    Ok(Url { fragment, ..parts(text, false)? })
}

fn parts(text: &str, of_request: bool) -> Result<Url, Reason> {
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("net/url: invalid control character in URL");
    }
    let mut url = Url {
        scheme: String::new(),
        opaque: String::new(),
        user: String::new(),
        host: String::new(),
        escaped_path: String::new(),
        query: String::new(),
        fragment: String::new(),
    };
    if text == "*" {
        "*".clone_into(&mut url.escaped_path);
        return Ok(url);
    }
    let (scheme, rest) = scheme(text)?;
    url.scheme = scheme.to_ascii_lowercase();
    let (mut rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    query.clone_into(&mut url.query);
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            rest.clone_into(&mut url.opaque);
            return Ok(url);
        }
        if of_request {
            return Err("invalid URI for request");
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return Err("first path segment in URL cannot contain colon");
        }
    }
    if let Some(authority) = rest.strip_prefix("//").filter(|_| !url.scheme.is_empty() || (!of_request && !rest.starts_with("///"))) {
        let length = authority.find('/').unwrap_or(authority.len());
        let (authority, path) = authority.split_at(length);
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        if !user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:!$&'()*+,;=%@".contains(&byte)) {
            return Err("net/url: invalid userinfo");
        }
        unescape(user, false)?;
        user.clone_into(&mut url.user);
        url.host = host_of(&url.scheme, host)?;
        rest = path;
    }
    url.escaped_path = escaped_path(rest)?;
    Ok(url)
}

/// What is before the first colon, where it looks like a scheme.
fn scheme(text: &str) -> Result<(&str, &str), Reason> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme"),
            b':' => return Ok((text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default())),
            _ => break,
        }
    }
    Ok(("", text))
}

/// A bracket opens an address, and only at the beginning. Of several ports, as of lists of hosts, the last counts; `http` has one.
fn host_of(scheme: &str, host: &str) -> Result<String, Reason> {
    if host.rfind('[').is_some_and(|at| at > 0) {
        return Err("invalid IP-literal");
    }
    let is_port = |text: &str| text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    if let Some(inner) = host.strip_prefix('[') {
        let (address, port) = inner.rsplit_once(']').ok_or("missing ']' in host")?;
        if !is_port(port) {
            return Err("invalid port after host");
        }
        let (address, zone) = address.split_once("%25").map_or((address, None), |(address, zone)| (address, Some(zone)));
        if address.parse::<Ipv6Addr>().is_err() {
            return Err("invalid host");
        }
        let zone = zone.map(|zone| unescape(zone, false)).transpose()?;
        let zone = zone.map_or(String::new(), |zone| format!("%{}", String::from_utf8_lossy(&zone)));
        return Ok(format!("[{address}{zone}]{port}"));
    }
    let colon = if matches!(scheme, "http" | "https") { host.find(':') } else { host.rfind(':') };
    if !is_port(colon.and_then(|at| host.get(at..)).unwrap_or_default()) {
        return Err("invalid port after host");
    }
    let bytes = unescape(host, true)?;
    if host.bytes().any(|byte| byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"-_.~!$&'()*+,;=:[]<>\"%".contains(&byte)) {
        return Err("invalid character in host name");
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The path as it was written, where all of it may stand in a path; else escaped anew.
fn escaped_path(path: &str) -> Result<String, Reason> {
    let bytes = unescape(path, false)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte);
    if path.bytes().all(|byte| is_plain(byte) || b"!'()*[]%".contains(&byte)) {
        return Ok(path.to_owned());
    }
    let mut escaped = String::with_capacity(path.len());
    for byte in bytes {
        if is_plain(byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(escaped)
}

/// The bytes that `%41` and the like stand for; in a host, only of those that are not ASCII.
fn unescape(text: &str, in_host: bool) -> Result<Vec<u8>, Reason> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let byte = byte.filter(|byte| !in_host || !byte.is_ascii()).ok_or("invalid URL escape")?;
        bytes.push(byte);
        rest = after.get(2..).unwrap_or_default();
    }
    Ok(bytes)
}

/// Keys and values of a query. What cannot be read is left out.
pub(super) fn query(query: &str) -> impl Iterator<Item = (String, String)> {
    let text = |part: &str| unescape(&part.replace('+', " "), false).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')).filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        text(key).zip(text(value))
    })
}
