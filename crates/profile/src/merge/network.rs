//! Network grants: ranges of addresses, each with sets of ports.
//!
//! Thought of as single ports of single ranges, of which those stay that no wider range has. Written as few ranges of ports.

use portcullis_api::{BindRule, Cidr, ConnectRule, Ports, Protocol};
use std::collections::{BTreeMap, BTreeSet};

/// First to last port, both included.
type Span = (u16, u16);

/// The ports of each range and protocol: sorted spans that neither overlap nor touch.
type Grants = BTreeMap<(Cidr, Protocol), Vec<Span>>;

/// The rules with that one; `None` where they grant it already.
pub(super) fn with_connect(rules: &[ConnectRule], new: &ConnectRule) -> Option<Vec<ConnectRule>> {
    let all = united(grants(rules.iter().map(of_connect)), &grants([of_connect(new)].into_iter()))?;
    Some(written(all).into_iter().map(|(cidr, ports)| ConnectRule { cidr, ports }).collect())
}

/// The same for the rules of `bind`, which are for every address: they become one.
pub(super) fn with_bind(rules: &[BindRule], new: &BindRule) -> Option<Vec<BindRule>> {
    let all = united(grants(rules.iter().map(of_bind)), &grants([of_bind(new)].into_iter()))?;
    Some(written(all).into_values().map(|ports| BindRule { ports }).collect())
}

const fn of_connect(rule: &ConnectRule) -> (Cidr, &BTreeSet<Ports>) {
    (rule.cidr, &rule.ports)
}

const fn of_bind(rule: &BindRule) -> (Cidr, &BTreeSet<Ports>) {
    (Cidr::ALL, &rule.ports)
}

/// The grants with those that are asked; `None` where they have them already.
fn united(old: Grants, asked: &Grants) -> Option<Grants> {
    let fresh = asked.clone().into_iter().map(|(key, spans)| (key, less(less(spans, asked, key, false), &old, key, true)));
    let fresh: Grants = fresh.collect();
    if fresh.values().all(Vec::is_empty) {
        return None;
    }
    // What is new takes from what it covers, and is no grant of its own where something wider has it: both are what a wider one does.
    let mut all: Grants = old.into_iter().map(|(key, spans)| (key, less(spans, &fresh, key, false))).collect();
    for (key, spans) in fresh {
        let joined = all.remove(&key).unwrap_or_default().into_iter().chain(spans);
        all.insert(key, join(joined.collect()));
    }
    Some(all)
}

fn grants<'r>(rules: impl Iterator<Item = (Cidr, &'r BTreeSet<Ports>)>) -> Grants {
    let mut grants = Grants::new();
    for (cidr, ports) in rules {
        for ports in ports {
            grants.entry((cidr, ports.protocol())).or_default().push((ports.first(), ports.last()));
        }
    }
    grants.into_iter().map(|(key, spans)| (key, join(spans))).collect()
}

/// The spans less the ports that `wider` has for this key: in ranges that contain it, the range and protocol itself only where `or_equal`.
fn less(mut spans: Vec<Span>, wider: &Grants, (cidr, protocol): (Cidr, Protocol), or_equal: bool) -> Vec<Span> {
    for ((wider_cidr, wider_protocol), taken) in wider {
        let same = *wider_cidr == cidr && *wider_protocol == protocol;
        if wider_cidr.contains(cidr) && wider_protocol.contains(protocol) && (or_equal || !same) {
            for cut in taken {
                spans = spans.into_iter().flat_map(|span| subtract(span, *cut)).collect();
            }
        }
    }
    spans
}

/// What is left of a span on either side of a cut.
fn subtract((first, last): Span, (cut_first, cut_last): Span) -> impl Iterator<Item = Span> {
    let before = cut_first.checked_sub(1).map(|end| (first, end.min(last)));
    let after = cut_last.checked_add(1).map(|begin| (begin.max(first), last));
    before.into_iter().chain(after).filter(|(first, last)| first <= last)
}

/// The same ports in as few spans as they can be.
fn join(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
    for (first, last) in spans {
        match joined.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// The ranges that have ports, and their ports.
fn written(grants: Grants) -> BTreeMap<Cidr, BTreeSet<Ports>> {
    let mut rules: BTreeMap<Cidr, BTreeSet<Ports>> = BTreeMap::new();
    for ((cidr, protocol), spans) in grants {
        let ports = spans.into_iter().filter_map(|(first, last)| Ports::new(protocol, first, last));
        rules.entry(cidr).or_default().extend(ports);
    }
    rules.retain(|_, ports| !ports.is_empty());
    rules
}
