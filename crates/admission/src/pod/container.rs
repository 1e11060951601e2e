//! The parts of a container that a check may look at; the same for init, regular and ephemeral ones.

use super::SecurityContext;
use crate::field::{Cursor, Malformed};

/// Which list of the pod's spec a container is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerList {
    /// `initContainers`, sidecars among them.
    Init,
    /// `containers`.
    Regular,
    /// `ephemeralContainers`.
    Ephemeral,
}

impl ContainerList {
    /// In the order in which they are visited.
    pub const ALL: [Self; 3] = [Self::Init, Self::Regular, Self::Ephemeral];

    /// The field of the pod's spec.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Regular => "containers",
            Self::Ephemeral => "ephemeralContainers",
        }
    }
}

/// A container of any of the three lists.
#[derive(Debug)]
pub struct Container<'d> {
    /// The list it is in.
    pub list: ContainerList,
    /// Its place in the list.
    pub index: usize,
    /// `name`.
    pub name: &'d str,
    /// `image`.
    pub image: &'d str,
    /// What its `securityContext` shares with the pod's.
    pub security: SecurityContext<'d>,
    /// `securityContext.privileged`.
    pub privileged: Option<bool>,
    /// `securityContext.allowPrivilegeEscalation`.
    pub allow_privilege_escalation: Option<bool>,
    /// `securityContext.procMount`.
    pub proc_mount: Option<&'d str>,
    /// `securityContext.capabilities`.
    pub capabilities: Capabilities<'d>,
    /// The `ports` that have a `hostPort` other than 0.
    pub host_ports: Vec<HostPort>,
    /// The probes and lifecycle handlers that name a host.
    pub handler_hosts: Vec<HandlerHost<'d>>,
}

/// `capabilities`, in the order given.
#[derive(Debug, Default)]
pub struct Capabilities<'d> {
    /// `add`.
    pub add: Vec<&'d str>,
    /// `drop`.
    pub drop: Vec<&'d str>,
}

/// A port of the node that a container asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostPort {
    /// The index in `ports`.
    pub index: usize,
    /// `hostPort`, as given: not checked to be a port.
    pub port: i64,
}

/// A host that the kubelet is asked to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandlerHost<'d> {
    /// The fields from the container down to the handler's action, such as `livenessProbe`, `httpGet`.
    pub handler: [&'static str; 2],
    /// The field above those two, if any: `lifecycle`.
    pub within: Option<&'static str>,
    /// `host`, never empty.
    pub host: &'d str,
}

const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];
const LIFECYCLE_HOOKS: [&str; 2] = ["postStart", "preStop"];
/// The actions that have a `host`; `exec` and `grpc` have none.
const ACTIONS: [&str; 2] = ["httpGet", "tcpSocket"];

impl<'d> Container<'d> {
    pub(super) fn read(container: Cursor<'d, '_>, list: ContainerList, index: usize) -> Result<Self, Malformed> {
        let security = container.field("securityContext")?;
        let capabilities = security.field("capabilities")?;
        Ok(Self {
            list,
            index,
            name: container.field("name")?.string()?.unwrap_or_default(),
            image: container.field("image")?.string()?.unwrap_or_default(),
            security: SecurityContext::read(security)?,
            privileged: security.field("privileged")?.boolean()?,
            allow_privilege_escalation: security.field("allowPrivilegeEscalation")?.boolean()?,
            proc_mount: security.field("procMount")?.string()?,
            capabilities: Capabilities { add: capabilities.field("add")?.strings()?, drop: capabilities.field("drop")?.strings()? },
            host_ports: read_host_ports(container.field("ports")?)?,
            handler_hosts: read_handler_hosts(container)?,
        })
    }
}

fn read_host_ports(ports: Cursor<'_, '_>) -> Result<Vec<HostPort>, Malformed> {
    let mut found = Vec::new();
    for (index, port) in ports.list()?.enumerate() {
        match port.field("hostPort")?.integer()? {
            None | Some(0) => {}
            Some(port) => found.push(HostPort { index, port }),
        }
    }
    Ok(found)
}

fn read_handler_hosts<'d>(container: Cursor<'d, '_>) -> Result<Vec<HandlerHost<'d>>, Malformed> {
    let mut found = Vec::new();
    for probe in PROBES {
        read_action_hosts(container.field(probe)?, probe, None, &mut found)?;
    }
    let lifecycle = container.field("lifecycle")?;
    for hook in LIFECYCLE_HOOKS {
        read_action_hosts(lifecycle.field(hook)?, hook, Some("lifecycle"), &mut found)?;
    }
    Ok(found)
}

fn read_action_hosts<'d>(
    handler: Cursor<'d, '_>,
    name: &'static str,
    within: Option<&'static str>,
    found: &mut Vec<HandlerHost<'d>>,
) -> Result<(), Malformed> {
    for action in ACTIONS {
        match handler.field(action)?.field("host")?.string()? {
            None | Some("") => {}
            Some(host) => found.push(HandlerHost { handler: [name, action], within, host }),
        }
    }
    Ok(())
}
