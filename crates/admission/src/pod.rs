//! The parts of a pod that a Pod Security check may look at, read from raw JSON once, typed, borrowed.
//!
//! Every field that any check of any version reads is read here, so whether a pod is [`Malformed`] does not depend on the standard it is judged by.
//! A [`Pod`] also knows where in the submitted object it sits (`spec.template` of a Deployment), so that findings name the author's own fields.
//!
//! What the API server would have filled in before an admission webhook sees the object is filled in here too, where a verdict depends on it: a volume
//! without a source is an `emptyDir`. `hostPort`s of host-network pods are not: the defaulting is the Pod's alone, not its template's, and such a pod
//! violates `hostNamespaces` anyway.

use serde_json::{Map, Value};

use crate::field::{Cursor, FieldPath, Malformed};

mod container;

pub use container::{Capabilities, Container, ContainerList, HandlerHost, HostPort};

/// The value of `spec.os.name` that marks a Windows pod; exactly this spelling.
const WINDOWS: &str = "windows";

/// A pod, or the template of one.
#[derive(Debug)]
pub struct Pod<'d> {
    root: FieldPath,
    /// `metadata.annotations`, in the order of their keys.
    pub annotations: Vec<(&'d str, &'d str)>,
    /// `spec.hostNetwork`; unset is false.
    pub host_network: bool,
    /// `spec.hostPID`; unset is false.
    pub host_pid: bool,
    /// `spec.hostIPC`; unset is false.
    pub host_ipc: bool,
    /// `spec.hostUsers`; false asks for a user namespace of the pod's own.
    pub host_users: Option<bool>,
    /// `spec.os.name`.
    pub os: Option<&'d str>,
    /// `spec.runtimeClassName`.
    pub runtime_class: Option<&'d str>,
    /// `spec.securityContext.sysctls`, in order.
    pub sysctls: Vec<Sysctl<'d>>,
    /// What `spec.securityContext` shares with the containers' own.
    pub security: SecurityContext<'d>,
    /// `spec.volumes`.
    pub volumes: Vec<Volume<'d>>,
    /// Init containers, then containers, then ephemeral containers: the order in which Pod Security Admission visits and names them.
    pub containers: Vec<Container<'d>>,
}

/// What a security context has in a pod as well as in a container.
#[derive(Debug, Default)]
pub struct SecurityContext<'d> {
    /// `appArmorProfile.type`: empty where there is a profile without one, absent where there is none.
    pub app_armor: Option<&'d str>,
    /// `seccompProfile.type`, likewise.
    pub seccomp: Option<&'d str>,
    /// `seLinuxOptions`.
    pub se_linux: Option<SeLinuxOptions<'d>>,
    /// `windowsOptions.hostProcess`.
    pub windows_host_process: Option<bool>,
    /// `runAsNonRoot`.
    pub run_as_non_root: Option<bool>,
    /// `runAsUser`.
    pub run_as_user: Option<i64>,
}

/// The parts of `seLinuxOptions` that a check restricts; unset is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeLinuxOptions<'d> {
    /// `type`.
    pub kind: &'d str,
    /// `user`.
    pub user: &'d str,
    /// `role`.
    pub role: &'d str,
}

/// One of `spec.securityContext.sysctls`; unset is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sysctl<'d> {
    /// `name`, as spelt: slashes are not dots.
    pub name: &'d str,
    /// `value`.
    pub value: &'d str,
}

/// One of `spec.volumes`.
#[derive(Debug)]
pub struct Volume<'d> {
    /// `name`.
    pub name: &'d str,
    /// The keys of its sources. A valid volume has one; one that the object left out is `emptyDir`.
    pub sources: Vec<&'d str>,
    /// Its `hostPath`.
    pub host_path: Option<&'d Map<String, Value>>,
}

/// Who set a field of a security context.
#[derive(Debug, Clone, Copy)]
pub enum Setter<'p, 'd> {
    /// `spec.securityContext`.
    Pod,
    /// A container's `securityContext`.
    Container(&'p Container<'d>),
}

impl<'d> Pod<'d> {
    /// Reads a pod from `object`, where it sits at `root` (the path whose children are `metadata` and `spec`; empty for a Pod).
    ///
    /// # Errors
    /// A field that some check reads has a type that it cannot have.
    pub fn read(pod: Option<&'d Value>, root: &FieldPath) -> Result<Self, Malformed> {
        let cursor = Cursor::new(pod, root);
        let metadata = cursor.field("metadata")?;
        let annotations = metadata.field("annotations")?.string_map()?;
        let spec = cursor.field("spec")?;
        let security = spec.field("securityContext")?;
        let mut containers = Vec::new();
        for list in ContainerList::ALL {
            for (index, container) in spec.field(list.field())?.list()?.enumerate() {
                containers.push(Container::read(container, list, index)?);
            }
        }
        Ok(Self {
            annotations,
            host_network: spec.field("hostNetwork")?.boolean()?.unwrap_or(false),
            host_pid: spec.field("hostPID")?.boolean()?.unwrap_or(false),
            host_ipc: spec.field("hostIPC")?.boolean()?.unwrap_or(false),
            host_users: spec.field("hostUsers")?.boolean()?,
            os: spec.field("os")?.field("name")?.string()?,
            runtime_class: spec.field("runtimeClassName")?.string()?,
            sysctls: security.field("sysctls")?.list()?.map(Sysctl::read).collect::<Result<_, _>>()?,
            security: SecurityContext::read(security)?,
            volumes: spec.field("volumes")?.list()?.map(Volume::read).collect::<Result<_, _>>()?,
            containers,
            root: root.clone(),
        })
    }

    /// Whether the pod says that it runs on Windows.
    pub fn is_windows(&self) -> bool {
        self.os == Some(WINDOWS)
    }

    /// Whether the pod asks for a user namespace of its own, in which its root is nobody outside.
    pub fn has_user_namespace(&self) -> bool {
        self.host_users == Some(false)
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&'d str> {
        let found = self.annotations.binary_search_by_key(&key, |(key, _)| key).ok()?;
        self.annotations.get(found).map(|(_, value)| *value)
    }

    /// The containers of one list, in order.
    pub fn in_list(&self, list: ContainerList) -> impl Iterator<Item = &Container<'d>> {
        self.containers.iter().filter(move |container| container.list == list)
    }

    /// The path of an annotation.
    pub fn annotation_path(&self, key: &str) -> FieldPath {
        self.root.clone().fields(&["metadata", "annotations"]).key(key)
    }

    /// The path of a field of `spec`.
    pub fn spec_path(&self, field: &'static str) -> FieldPath {
        self.root.clone().field("spec").field(field)
    }

    /// The path of a container.
    pub fn container_path(&self, container: &Container<'_>) -> FieldPath {
        self.spec_path(container.list.field()).index(container.index)
    }

    /// The path of a security context.
    pub fn security_path(&self, setter: Setter<'_, '_>) -> FieldPath {
        match setter {
            Setter::Pod => self.spec_path("securityContext"),
            Setter::Container(container) => self.container_path(container).field("securityContext"),
        }
    }

    /// The pod's security context, then each container's.
    pub fn security_contexts(&self) -> impl Iterator<Item = (Setter<'_, 'd>, &SecurityContext<'d>)> {
        let containers = self.containers.iter().map(|container| (Setter::Container(container), &container.security));
        std::iter::once((Setter::Pod, &self.security)).chain(containers)
    }
}

impl<'d> Sysctl<'d> {
    fn read(sysctl: Cursor<'d, '_>) -> Result<Self, Malformed> {
        Ok(Self { name: sysctl.field("name")?.string()?.unwrap_or_default(), value: sysctl.field("value")?.string()?.unwrap_or_default() })
    }
}

impl<'d> SecurityContext<'d> {
    fn read(security: Cursor<'d, '_>) -> Result<Self, Malformed> {
        Ok(Self {
            app_armor: read_profile_type(security.field("appArmorProfile")?)?,
            seccomp: read_profile_type(security.field("seccompProfile")?)?,
            se_linux: SeLinuxOptions::read(security.field("seLinuxOptions")?)?,
            windows_host_process: security.field("windowsOptions")?.field("hostProcess")?.boolean()?,
            run_as_non_root: security.field("runAsNonRoot")?.boolean()?,
            run_as_user: security.field("runAsUser")?.integer()?,
        })
    }
}

fn read_profile_type<'d>(profile: Cursor<'d, '_>) -> Result<Option<&'d str>, Malformed> {
    match profile.object()? {
        None => Ok(None),
        Some(_) => Ok(Some(profile.field("type")?.string()?.unwrap_or_default())),
    }
}

impl<'d> SeLinuxOptions<'d> {
    fn read(options: Cursor<'d, '_>) -> Result<Option<Self>, Malformed> {
        if options.object()?.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            kind: options.field("type")?.string()?.unwrap_or_default(),
            user: options.field("user")?.string()?.unwrap_or_default(),
            role: options.field("role")?.string()?.unwrap_or_default(),
        }))
    }
}

impl<'d> Volume<'d> {
    fn read(volume: Cursor<'d, '_>) -> Result<Self, Malformed> {
        let mut sources: Vec<&str> = volume.object()?.map(source_keys).unwrap_or_default();
        if sources.is_empty() {
            sources.push("emptyDir");
        }
        Ok(Self { name: volume.field("name")?.string()?.unwrap_or_default(), sources, host_path: volume.field("hostPath")?.object()? })
    }
}

/// Whatever a volume has beside its name is a source, known to us or not.
fn source_keys(volume: &Map<String, Value>) -> Vec<&str> {
    volume.iter().filter(|(key, value)| *key != "name" && !value.is_null()).map(|(key, _)| key.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn visits_init_containers_then_containers_then_ephemeral_containers() {
        let pod = json!({"spec": {
            "ephemeralContainers": [{"name": "e"}], "containers": [{"name": "c"}, {"name": "d"}], "initContainers": [{"name": "i"}]}});
        let pod = Pod::read(Some(&pod), &FieldPath::default()).unwrap();
        assert_eq!(pod.containers.iter().map(|container| container.name).collect::<Vec<_>>(), ["i", "c", "d", "e"]);
        let paths: Vec<String> = pod.containers.iter().map(|container| pod.container_path(container).to_string()).collect();
        assert_eq!(paths, ["spec.initContainers[0]", "spec.containers[0]", "spec.containers[1]", "spec.ephemeralContainers[0]"]);
    }

    #[test]
    fn takes_a_volume_without_a_source_for_an_empty_dir() {
        let pod = json!({"spec": {"volumes": [{"name": "a"}, {"name": "b", "nfs": null}, {"name": "c", "future": {}}]}});
        let pod = Pod::read(Some(&pod), &FieldPath::default()).unwrap();
        let sources: Vec<&[&str]> = pod.volumes.iter().map(|volume| volume.sources.as_slice()).collect();
        assert_eq!(sources, [&["emptyDir"][..], &["emptyDir"], &["future"]]);
    }

    #[test]
    fn refuses_values_of_the_wrong_type_wherever_a_check_looks() {
        for (pod, expected) in [
            (json!({"spec": {"containers": {}}}), "spec.containers: must be a list, is an object"),
            (json!({"spec": {"containers": ["a"]}}), "spec.containers[0]: must be an object, is a string"),
            (json!({"spec": {"hostPID": "true"}}), "spec.hostPID: must be a boolean, is a string"),
            (json!({"spec": []}), "spec: must be an object, is a list"),
            (json!([]), ": must be an object, is a list"),
            (json!({"metadata": {"annotations": {"a": 1}}}), "metadata.annotations[a]: must be a string, is a number"),
            (json!({"spec": {"volumes": [{"name": "v", "hostPath": "/"}]}}), "spec.volumes[0].hostPath: must be an object, is a string"),
            (
                json!({"spec": {"securityContext": {"seccompProfile": "Unconfined"}}}),
                "spec.securityContext.seccompProfile: must be an object, is a string",
            ),
            (
                json!({"spec": {"initContainers": [{"securityContext": {"privileged": "yes"}}]}}),
                "spec.initContainers[0].securityContext.privileged: must be a boolean, is a string",
            ),
            (
                json!({"spec": {"containers": [{"ports": [{"hostPort": "80"}]}]}}),
                "spec.containers[0].ports[0].hostPort: must be an integer, is a string",
            ),
            (
                json!({"spec": {"containers": [{"securityContext": {"capabilities": {"add": "ALL"}}}]}}),
                "spec.containers[0].securityContext.capabilities.add: must be a list, is a string",
            ),
        ] {
            let error = Pod::read(Some(&pod), &FieldPath::default()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
