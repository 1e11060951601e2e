//! Profiles as text: stable, short, and one line a rule, so that a review in Git shows the rules that changed and nothing else.

use crate::{
    BindRule, Capability, ConnectRule, ContainerRules, ExecRule, FileAccess, FileRule, Mode, PathPattern, Ports, Privilege, SocketKind,
    Syscall, UnixRules, WorkloadProfile, WorkloadReference, XattrPattern,
};
use crate::{
    Cidr,
    workload_profile::{API_VERSION, KIND},
};
use serde::Serialize;
use serde_saphyr::FlowMap;
use std::collections::{BTreeMap, BTreeSet};

/// The profile as one YAML document, in the order in which people write: no nulls, no empty lists (but for a `guard` that is empty and so
/// guards nothing). Of the metadata it has what people write (namespace, name, labels, annotations) and not what the server adds.
/// [`super::load`] reads it back to the same profile.
///
/// # Errors
/// Where the serialiser refuses, of which no case is known.
pub fn to_yaml(profile: &WorkloadProfile) -> Result<String, serde_saphyr::SerializeError> {
    // Texts stay on their line: a path that is folded cannot be searched for.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(&Document::of(profile), options)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a BTreeMap<String, String>>,
}

#[derive(Serialize)]
struct Spec<'a> {
    workload: FlowMap<&'a WorkloadReference>,
    mode: Mode,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    containers: Vec<Container<'a>>,
}

#[derive(Serialize)]
struct Container<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exec: Vec<Exec<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<FlowMap<Files<'a>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    connect: Vec<FlowMap<Connect<'a>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bind: Vec<FlowMap<&'a BindRule>>,
    #[serde(skip_serializing_if = "UnixRules::is_empty")]
    unix: &'a UnixRules,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    capabilities: &'a BTreeSet<Capability>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    sockets: &'a BTreeSet<SocketKind>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    privileges: &'a BTreeSet<Privilege>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    xattrs: &'a BTreeSet<XattrPattern>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    syscalls: &'a BTreeSet<Syscall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guard: Option<&'a [PathPattern]>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Exec<'a> {
    ByAnyName(&'a ExecRule),
    As(FlowMap<&'a ExecRule>),
}

#[derive(Serialize)]
struct Files<'a> {
    path: &'a PathPattern,
    access: &'a BTreeSet<FileAccess>,
}

#[derive(Serialize)]
struct Connect<'a> {
    cidr: Cidr,
    ports: &'a BTreeSet<Ports>,
}

impl<'a> Document<'a> {
    fn of(profile: &'a WorkloadProfile) -> Self {
        let (metadata, spec) = (&profile.metadata, &profile.spec);
        Self {
            api_version: API_VERSION,
            kind: KIND,
            metadata: Metadata {
                namespace: metadata.namespace.as_deref(),
                name: metadata.name.as_deref(),
                labels: metadata.labels.as_ref().filter(|labels| !labels.is_empty()),
                annotations: metadata.annotations.as_ref().filter(|annotations| !annotations.is_empty()),
            },
            spec: Spec {
                workload: FlowMap(&spec.workload),
                mode: spec.mode,
                containers: spec.containers.iter().map(Container::of).collect(),
            },
        }
    }
}

impl<'a> Container<'a> {
    fn of(container: &'a ContainerRules) -> Self {
        let exec = |rule: &'a ExecRule| if rule.called_as.is_some() { Exec::As(FlowMap(rule)) } else { Exec::ByAnyName(rule) };
        let file = |FileRule { path, access }: &'a FileRule| FlowMap(Files { path, access });
        let connect = |ConnectRule { cidr, ports }: &'a ConnectRule| FlowMap(Connect { cidr: *cidr, ports });
        Self {
            name: &container.name,
            exec: container.exec.iter().map(exec).collect(),
            files: container.files.iter().map(file).collect(),
            connect: container.connect.iter().map(connect).collect(),
            bind: container.bind.iter().map(FlowMap).collect(),
            unix: &container.unix,
            capabilities: &container.capabilities,
            sockets: &container.sockets,
            privileges: &container.privileges,
            xattrs: &container.xattrs,
            syscalls: &container.syscalls,
            guard: container.guard.as_deref(),
        }
    }
}
