//! OCI containers in the guest, made of busybox and run by runc, as a node's container runtime would.
//!
//! A container has a root file system of its own, whose `/bin` holds busybox once for each applet, as hard links: what the
//! kernel sees as `/bin/cat` is a file of that name, not a link to another one. It has mount, process, IPC and host name
//! namespaces and a cgroup; it shares the network of the guest, whose loopback device is all there is.
//!
//! Beware of busybox's shell: a command without a slash that is an applet (`cat`) it runs *without an exec*. Where the exec is what
//! a test is about, write `/bin/cat`.
//!
//! ```no_run
//! # use portcullis_e2e::{Vm, Error, runc::Container};
//! # fn attack(vm: &Vm) -> Result<(), Error> {
//! let web = Container::builder("web").cgroup("/kubepods/pod1/web").args(["sleep", "1000"]).run(vm)?;
//! assert_eq!(web.exec(["cat", "/proc/1/comm"]).check()?, "sleep");
//! web.delete()
//! # }
//! ```

use std::time::Duration;

use serde_json::{Value, json};

use crate::{error::Error, process::Command, vm::Vm};

/// Bundles of containers, one folder each.
const BUNDLES: &str = "/run/bundles";

/// The capabilities that Docker and containerd give by default.
const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Every capability there is.
pub const ALL_CAPABILITIES: [&str; 41] = [
    "CAP_AUDIT_CONTROL",
    "CAP_AUDIT_READ",
    "CAP_AUDIT_WRITE",
    "CAP_BLOCK_SUSPEND",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_KILL",
    "CAP_LEASE",
    "CAP_LINUX_IMMUTABLE",
    "CAP_MAC_ADMIN",
    "CAP_MAC_OVERRIDE",
    "CAP_MKNOD",
    "CAP_NET_ADMIN",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_RAW",
    "CAP_PERFMON",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYSLOG",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_CHROOT",
    "CAP_SYS_MODULE",
    "CAP_SYS_NICE",
    "CAP_SYS_PACCT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_WAKE_ALARM",
];

/// A container to be.
#[derive(Debug, Clone)]
#[must_use]
pub struct ContainerBuilder {
    id: String,
    cgroup: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    files: Vec<(String, Vec<u8>, u32)>,
    mounts: Vec<Value>,
    capabilities: Vec<String>,
    user: u32,
    host_pid: bool,
    image: Option<String>,
    seccomp: Option<Value>,
    no_new_privileges: bool,
}

impl ContainerBuilder {
    /// The cgroup, as a path below `/sys/fs/cgroup`; `/NAME` if not given. runc makes what is missing of it.
    pub fn cgroup(mut self, path: &str) -> Self {
        path.clone_into(&mut self.cgroup);
        self
    }

    /// The container's program and its arguments; `sleep 100000` if not given.
    pub fn args<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A file of the container's image. Folders are made.
    pub fn file(mut self, path: &str, contents: impl Into<Vec<u8>>, mode: u32) -> Self {
        self.files.push((path.to_owned(), contents.into(), mode));
        self
    }

    /// Binds a file or folder of the guest into the container.
    pub fn bind(mut self, guest: &str, inside: &str) -> Self {
        self.mounts.push(json!({ "destination": inside, "type": "bind", "source": guest, "options": ["rbind", "rw"] }));
        self
    }

    /// The capabilities, in the kernel's names; containerd's default ones if not given.
    pub fn capabilities<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.capabilities = names.into_iter().map(Into::into).collect();
        self
    }

    /// The user, and the group of the same number; root if not given.
    pub fn user(mut self, id: u32) -> Self {
        self.user = id;
        self
    }

    /// Has this folder of the guest as its image, under a layer of its own (overlayfs); an image of busybox if not given.
    pub fn image(mut self, folder: &str) -> Self {
        self.image = Some(folder.to_owned());
        self
    }

    /// Shares the guest's process namespace, as a pod with `hostPID`.
    pub fn host_pid(mut self) -> Self {
        self.host_pid = true;
        self
    }

    /// Has this seccomp profile.
    pub fn seccomp(mut self, profile: Value) -> Self {
        self.seccomp = Some(profile);
        self
    }

    /// May not gain privileges by executing a program, as a pod with `allowPrivilegeEscalation: false`.
    pub fn no_new_privileges(mut self) -> Self {
        self.no_new_privileges = true;
        self
    }

    /// Makes the bundle and creates the container: its cgroup exists and runc's own process waits in it; the program has
    /// not been started.
    ///
    /// # Errors
    /// [`Error::Command`] with what runc said.
    pub fn create(self, vm: &Vm) -> Result<Container<'_>, Error> {
        let container = Container { vm, id: self.id.clone(), cgroup: self.cgroup.clone() };
        let bundle = container.bundle();
        // `--install` without `-s` makes hard links; the copy gives this image a file of its own.
        let busybox = format!(
            "rm -rf {bundle} && mkdir -p {bundle}/rootfs && cd {bundle}/rootfs && mkdir bin dev etc proc root run sys tmp \
             && chmod 1777 tmp && cp /bin/busybox bin/busybox && bin/busybox --install {bundle}/rootfs/bin"
        );
        let layers = |lower: &str| {
            format!(
                "mount -t overlay -o lowerdir={bundle}/layer:{lower},upperdir={bundle}/upper,workdir={bundle}/work \
                 overlay {bundle}/rootfs"
            )
        };
        // A layer of the image has its files before it is mounted.
        let (prepare, folder) = if self.image.is_some() {
            (format!("rm -rf {bundle} && mkdir -p {bundle}/rootfs {bundle}/upper {bundle}/work {bundle}/layer"), "layer")
        } else {
            (busybox, "rootfs")
        };
        vm.command("sh").args(["-c", &prepare]).check()?;
        for (path, contents, mode) in &self.files {
            let path = format!("{bundle}/{folder}/{}", path.trim_start_matches('/'));
            if let Some((folder, _)) = path.rsplit_once('/') {
                vm.command("mkdir").args(["-p", folder]).check()?;
            }
            vm.write_file(&path, contents, *mode)?;
        }
        if let Some(image) = &self.image {
            vm.command("sh").args(["-c", &layers(image)]).check()?;
        }
        vm.write_file(&format!("{bundle}/config.json"), self.config().to_string().as_bytes(), 0o644)?;
        // The container inherits runc's outputs: in a pipe they would keep this command from ending.
        let (id, log) = (&self.id, container.log());
        let create = format!("runc create --bundle {bundle} {id} >{log} 2>&1 </dev/null || {{ cat {log} >&2; exit 1; }}");
        vm.command("sh").args(["-c", &create]).check()?;
        Ok(container)
    }

    /// Creates the container and starts its program.
    ///
    /// # Errors
    /// As [`ContainerBuilder::create`].
    pub fn run(self, vm: &Vm) -> Result<Container<'_>, Error> {
        let container = self.create(vm)?;
        container.start()?;
        Ok(container)
    }

    /// The `config.json` that the bundle of such a container has: for a runtime within another container.
    #[must_use]
    pub fn configuration(&self) -> String {
        self.config().to_string()
    }

    /// The OCI runtime specification's `config.json`.
    fn config(&self) -> Value {
        let environment = [("PATH", "/bin"), ("HOME", "/root")].map(|(name, value)| format!("{name}={value}"));
        let environment: Vec<String> =
            environment.into_iter().chain(self.environment.iter().map(|(name, value)| format!("{name}={value}"))).collect();
        let mut mounts = vec![
            json!({ "destination": "/proc", "type": "proc", "source": "proc" }),
            json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] }),
            json!({ "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"] }),
            json!({ "destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "nodev", "mode=1777"] }),
            json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "nodev", "ro"] }),
        ];
        mounts.extend(self.mounts.iter().cloned());
        let namespaces = ["mount", "ipc", "uts"].into_iter().chain((!self.host_pid).then_some("pid"));
        let capabilities = &self.capabilities;
        let mut config = json!({
            "ociVersion": "1.0.2",
            "hostname": self.id,
            "process": {
                "terminal": false,
                "user": { "uid": self.user, "gid": self.user },
                "args": self.arguments,
                "env": environment,
                "cwd": "/",
                "noNewPrivileges": self.no_new_privileges,
                "capabilities": { "bounding": capabilities, "effective": capabilities, "permitted": capabilities },
            },
            "root": { "path": "rootfs", "readonly": false },
            "mounts": mounts,
            "linux": {
                "cgroupsPath": self.cgroup,
                "namespaces": namespaces.map(|kind| json!({ "type": kind })).collect::<Vec<_>>(),
                "resources": { "devices": [{ "allow": true, "access": "rwm" }] },
            },
        });
        if let (Some(profile), Some(linux)) = (&self.seccomp, config.pointer_mut("/linux").and_then(Value::as_object_mut)) {
            linux.insert("seccomp".to_owned(), profile.clone());
        }
        config
    }
}

/// A container in the guest. It is not deleted with this value: the machine ends soon enough.
pub struct Container<'vm> {
    vm: &'vm Vm,
    id: String,
    cgroup: String,
}

impl<'vm> Container<'vm> {
    /// A container to be; `id` is its name and its host name.
    pub fn builder(id: &str) -> ContainerBuilder {
        ContainerBuilder {
            id: id.to_owned(),
            cgroup: format!("/{id}"),
            arguments: ["sleep", "100000"].map(str::to_owned).to_vec(),
            environment: Vec::new(),
            files: Vec::new(),
            mounts: Vec::new(),
            capabilities: CAPABILITIES.map(str::to_owned).to_vec(),
            user: 0,
            host_pid: false,
            image: None,
            seccomp: None,
            no_new_privileges: false,
        }
    }

    /// Starts the program of a created container.
    ///
    /// # Errors
    /// [`Error::Command`] with what runc said, for one where the program could not be executed.
    pub fn start(&self) -> Result<(), Error> {
        self.vm.command("runc").args(["start", &self.id]).check().map(drop)
    }

    /// A further program in the container, to run or spawn. It comes from outside, as with `kubectl exec`.
    pub fn exec<S: Into<String>>(&self, arguments: impl IntoIterator<Item = S>) -> Command<'vm> {
        self.vm.command("runc").args(["exec", &self.id]).args(arguments)
    }

    /// Sends a signal to the container's first process.
    ///
    /// # Errors
    /// [`Error::Command`] with what runc said.
    pub fn kill(&self, signal: i32) -> Result<(), Error> {
        self.vm.command("runc").args(["kill", &self.id, &signal.to_string()]).check().map(drop)
    }

    /// The state that runc reports, by the names of the runtime specification: `created`, `running`, `stopped`.
    ///
    /// # Errors
    /// [`Error::Command`] where there is no such container.
    pub fn status(&self) -> Result<String, Error> {
        Ok(self.state()?.get("status").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// The container's first process, by its number in the guest.
    ///
    /// # Errors
    /// As [`Container::status`].
    pub fn pid(&self) -> Result<u32, Error> {
        let state = self.state()?;
        let pid = state.get("pid").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok());
        pid.ok_or_else(|| Error::Guest { what: format!("runc state {}", self.id), message: format!("no pid in {state}") })
    }

    /// Waits until the container has stopped.
    ///
    /// # Errors
    /// [`Error::TimedOut`], [`Error::Command`].
    pub fn wait_until_stopped(&self, limit: Duration) -> Result<(), Error> {
        // runc has no `wait`, and the container is no child of anything here that could be waited for.
        let script = format!("until runc state {} | grep -q '\"status\": \"stopped\"'; do usleep 20000; done", self.id);
        self.vm.command("sh").args(["-c", &script]).timeout(limit).check().map(drop)
    }

    /// What the container's program has written to both its outputs.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn output(&self) -> Result<String, Error> {
        self.vm.read_text(&self.log())
    }

    /// Kills what runs in the container and deletes it, its cgroup and its bundle.
    ///
    /// # Errors
    /// [`Error::Command`] with what runc said.
    pub fn delete(self) -> Result<(), Error> {
        self.vm.command("runc").args(["delete", "--force", &self.id]).check()?;
        let bundle = self.bundle();
        let remove = format!("umount {bundle}/rootfs 2>/dev/null; rm -rf {bundle}");
        self.vm.command("sh").args(["-c", &remove]).check().map(drop)
    }

    /// The folder of its cgroup.
    #[must_use]
    pub fn cgroup_folder(&self) -> String {
        format!("/sys/fs/cgroup{}", self.cgroup)
    }

    /// Its root file system, as a path of the guest.
    #[must_use]
    pub fn rootfs(&self) -> String {
        format!("{}/rootfs", self.bundle())
    }

    fn bundle(&self) -> String {
        format!("{BUNDLES}/{}", self.id)
    }

    fn log(&self) -> String {
        format!("{}/log", self.bundle())
    }

    fn state(&self) -> Result<Value, Error> {
        let text = self.vm.command("runc").args(["state", &self.id]).check()?;
        let what = format!("runc state {}", self.id);
        serde_json::from_str(&text).map_err(|error| Error::Guest { what, message: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_with_host_pid_has_no_process_namespace() {
        let kinds = |builder: ContainerBuilder| builder.config()["linux"]["namespaces"].to_string();
        assert!(kinds(Container::builder("a")).contains("\"pid\""));
        assert!(!kinds(Container::builder("a").host_pid()).contains("\"pid\""));
        assert!(!kinds(Container::builder("a")).contains("network"));
    }

    #[test]
    fn the_cgroup_and_the_program_are_in_the_configuration() {
        let config = Container::builder("web").cgroup("/kubepods/pod1/web").args(["httpd", "-f"]).env("A", "b").config();
        assert_eq!(config["linux"]["cgroupsPath"], "/kubepods/pod1/web");
        assert_eq!(config["process"]["args"], json!(["httpd", "-f"]));
        assert_eq!(config["process"]["env"][2], "A=b");
    }
}
