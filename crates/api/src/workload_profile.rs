//! `WorkloadProfile`: what the containers of a workload may do, and what becomes of the rest.
//!
//! Only what the kernel enforces has a field here; another field is refused as unknown, so that no profile promises more than it keeps. One list
//! is not enforced by these profiles: `syscalls`, of which seccomp's are made.
//! What is not listed is not allowed: an absent list grants nothing.

use crate::{AbstractName, Capability, Cidr, PathPattern, Ports, Privilege, ProgramName, SocketKind, Syscall, Token, XattrPattern};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

/// The `apiVersion` of the resource.
pub const API_VERSION: &str = "portcullis.dev/v1alpha1";
/// Its `kind`.
pub const KIND: &str = "WorkloadProfile";

/// What the containers of one workload may do.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "portcullis.dev",
    version = "v1alpha1",
    kind = "WorkloadProfile",
    namespaced,
    shortname = "wp",
    category = "portcullis",
    derive = "PartialEq",
    doc = "What the containers of one workload may do, and what becomes of the rest.",
    printcolumn = r#"{"name":"Mode","type":"string","jsonPath":".spec.mode"}"#,
    printcolumn = r#"{"name":"Workload","type":"string","jsonPath":".spec.workload.name"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkloadProfileSpec {
    /// The workload, in the profile's namespace.
    pub workload: WorkloadReference,
    /// What becomes of an operation that no rule grants.
    pub mode: Mode,
    /// What each container may do: init and ephemeral containers too, whose names a pod does not use twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub containers: Vec<ContainerRules>,
}

/// The object whose pods a profile is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkloadReference {
    /// Group and version of the kind, as `apps/v1`.
    #[schemars(length(min = 1, max = 317))]
    pub api_version: String,
    /// The kind of the outermost owner, as `Deployment`.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// What becomes of an operation that no rule grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is allowed, and a rule for it is written into the profile.
    Learn,
    /// It is allowed, and reported as what `enforce` would block.
    Audit,
    /// It fails with `EPERM`, and is reported.
    Enforce,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Learn => "learn",
            Self::Audit => "audit",
            Self::Enforce => "enforce",
        })
    }
}

impl From<Mode> for portcullis_abi::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Learn => Self::Learn,
            Mode::Audit => Self::Audit,
            Mode::Enforce => Self::Enforce,
        }
    }
}

/// What one container may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContainerRules {
    /// The container's name in the pod.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// What it may execute: programs, scripts and the interpreters of scripts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["path"]))]
    pub exec: Vec<ExecRule>,
    /// Which files it may write, map as code, or read where reads are judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["path"]))]
    pub files: Vec<FileRule>,
    /// What it may connect to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["cidr"]))]
    pub connect: Vec<ConnectRule>,
    /// On which ports it may receive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub bind: Vec<BindRule>,
    /// Which UNIX sockets without a file it may reach and be. Those with one are under `files`.
    #[serde(default, skip_serializing_if = "UnixRules::is_empty")]
    pub unix: UnixRules,
    /// Which capabilities it may use of those that it was given.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub capabilities: BTreeSet<Capability>,
    /// Which sockets it may make beside plain ones of IPv4 and IPv6 and UNIX sockets.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub sockets: BTreeSet<SocketKind>,
    /// What it may do that reaches past the container, or past what other rules can see.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub privileges: BTreeSet<Privilege>,
    /// Which extended attributes it may set and remove, on whatever file.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub xattrs: BTreeSet<XattrPattern>,
    /// Which system calls it made while it was learned: what `portcullis seccomp` makes a seccomp profile of. Nothing is denied by this list.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub syscalls: BTreeSet<Syscall>,
    /// The trees whose reads are judged. Absent: service account tokens, other processes' memory and environment, password hashes,
    /// SSH keys and the like (the list is in the reference). An empty list guards nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub guard: Option<Vec<PathPattern>>,
}

impl ContainerRules {
    /// What is granted whole: capabilities, sockets, privileges, attributes and abstract names, in this order; then
    /// the system calls that were recorded.
    pub fn tokens(&self) -> impl Iterator<Item = Token> {
        let capabilities = self.capabilities.iter().copied().map(Token::Capability);
        let sockets = self.sockets.iter().copied().map(Token::Socket);
        let privileges = self.privileges.iter().copied().map(Token::Privilege);
        let xattrs = self.xattrs.iter().cloned().map(Token::Xattr);
        let (connect, bind) = (&self.unix.connect, &self.unix.bind);
        let unix = connect.iter().cloned().map(Token::UnixConnect).chain(bind.iter().cloned().map(Token::UnixBind));
        let syscalls = self.syscalls.iter().copied().map(Token::Syscall);
        capabilities.chain(sockets).chain(privileges).chain(xattrs).chain(unix).chain(syscalls)
    }

    /// Lists the token. Whether it was not listed yet.
    pub fn list(&mut self, token: Token) -> bool {
        match token {
            Token::Capability(capability) => self.capabilities.insert(capability),
            Token::Socket(kind) => self.sockets.insert(kind),
            Token::Privilege(privilege) => self.privileges.insert(privilege),
            Token::Xattr(pattern) => self.xattrs.insert(pattern),
            Token::UnixConnect(name) => self.unix.connect.insert(name),
            Token::UnixBind(name) => self.unix.bind.insert(name),
            Token::Syscall(call) => self.syscalls.insert(call),
        }
    }

    /// Takes the tokens out that the test does not hold of.
    pub fn retain_tokens(&mut self, keep: impl Fn(&Token) -> bool) {
        self.capabilities.retain(|capability| keep(&Token::Capability(*capability)));
        self.sockets.retain(|kind| keep(&Token::Socket(*kind)));
        self.privileges.retain(|privilege| keep(&Token::Privilege(*privilege)));
        self.xattrs.retain(|pattern| keep(&Token::Xattr(pattern.clone())));
        self.unix.connect.retain(|name| keep(&Token::UnixConnect(name.clone())));
        self.unix.bind.retain(|name| keep(&Token::UnixBind(name.clone())));
        self.syscalls.retain(|call| keep(&Token::Syscall(*call)));
    }
}

/// Which UNIX sockets with an abstract name a container may reach and be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UnixRules {
    /// The names that it may connect and send to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub connect: BTreeSet<AbstractName>,
    /// The names that it may bind.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub bind: BTreeSet<AbstractName>,
}

impl UnixRules {
    /// Whether nothing is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.connect.is_empty() && self.bind.is_empty()
    }
}

/// Grants to execute what the path names, and to map it as code, as executing does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecRule {
    /// The program or script.
    pub path: PathPattern,
    /// The names that it may be called by, of a program that is many in one, as busybox: `argv[0]` without its folders. Absent: any.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub called_as: Option<BTreeSet<ProgramName>>,
}

impl ExecRule {
    /// The rule for the path, by whatever name.
    #[must_use]
    pub const fn any(path: PathPattern) -> Self {
        Self { path, called_as: None }
    }
}

/// Grants to open or map what the path names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileRule {
    /// The file.
    pub path: PathPattern,
    /// For what it may be used; at least one.
    #[schemars(length(min = 1, max = 8))]
    pub access: BTreeSet<FileAccess>,
}

/// A use of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileAccess {
    /// Open for reading, where the file is in a guarded tree; everywhere else reading is not judged.
    Read,
    /// Open for writing.
    Write,
    /// Map as executable, as `ld.so` and `dlopen` do.
    Map,
    /// Make an entry of that name: a file, a directory, a device, a symbolic or a hard link, or the new name of a rename.
    Create,
    /// Remove the entry of that name, or rename it.
    Delete,
    /// Change mode or owner.
    Attributes,
    /// Connect or send to the UNIX socket that is bound to that name.
    Connect,
    /// Be code, where it may be executed or mapped, although it was written since the container's image was made.
    Drift,
}

impl FileAccess {
    /// Every use of a file.
    pub const ALL: [Self; 8] =
        [Self::Read, Self::Write, Self::Map, Self::Create, Self::Delete, Self::Attributes, Self::Connect, Self::Drift];
}

impl fmt::Display for FileAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Map => "map",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Attributes => "attributes",
            Self::Connect => "connect",
            Self::Drift => "drift",
        })
    }
}

/// Grants to connect to these ports of these addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectRule {
    /// The addresses.
    pub cidr: Cidr,
    /// The ports; at least one entry.
    #[schemars(length(min = 1))]
    pub ports: BTreeSet<Ports>,
}

/// Grants to bind sockets to these ports, of whatever address of the container. Port 0 is one that the kernel chooses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BindRule {
    /// The ports; at least one entry.
    #[schemars(length(min = 1))]
    pub ports: BTreeSet<Ports>,
}

/// The definition that is installed in the cluster.
#[must_use]
pub fn crd() -> CustomResourceDefinition {
    WorkloadProfile::crd()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Every schema in a schema, with the way to it.
    fn schemas<'s>(schema: &'s Value, path: &str, found: &mut Vec<(String, &'s Value)>) {
        found.push((path.to_owned(), schema));
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            schemas(property, &format!("{path}.{name}"), found);
        }
        for part in ["items", "additionalProperties"] {
            if schema[part].is_object() {
                schemas(&schema[part], &format!("{path}.{part}"), found);
            }
        }
    }

    #[test]
    fn the_schema_is_structural() {
        // The rules of "Specifying a structural schema" in Kubernetes' documentation of custom resources.
        let definition = serde_json::to_value(crd()).unwrap();
        let mut found = Vec::new();
        schemas(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "", &mut found);
        assert!(found.len() > 20, "{found:#?}");
        for (path, schema) in found {
            assert!(schema["type"].is_string(), "no type: {path}: {schema}");
            for forbidden in
                ["$ref", "$defs", "definitions", "uniqueItems", "patternProperties", "oneOf", "anyOf", "const", "additionalItems"]
            {
                assert!(schema.get(forbidden).is_none(), "{forbidden}: {path}: {schema}");
            }
            assert!(schema.get("properties").is_none() || schema.get("additionalProperties").is_none(), "both kinds of properties: {path}");
        }
    }

    #[test]
    fn the_definition_has_the_names_that_people_type() {
        let definition = crd();
        assert_eq!(definition.metadata.name.as_deref(), Some("workloadprofiles.portcullis.dev"));
        assert_eq!(definition.spec.names.short_names.as_deref(), Some(&["wp".to_owned()][..]));
        assert_eq!(definition.spec.scope, "Namespaced");
        let columns: Vec<_> =
            definition.spec.versions[0].additional_printer_columns.iter().flatten().map(|column| column.name.as_str()).collect();
        assert_eq!(columns, ["Mode", "Workload", "Age"]);
    }

    #[test]
    fn the_types_refuse_fields_that_the_kernel_does_not_enforce() {
        assert!(serde_json::from_str::<ContainerRules>(r#"{"name":"a","ulimits":["nofile"]}"#).is_err());
        assert!(serde_json::from_str::<ConnectRule>(r#"{"service":{"name":"db"},"ports":["1/TCP"]}"#).is_err());
    }
}
