//! What a machine is made of, before it boots.

use std::{
    fs::File,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{cargo, error::Error, guest, image::Image, kernel::Kernel, qemu, snapshot::Snapshot, vm::Vm};

/// Two kernels at once, two processors, software emulation, and other builds beside: booting takes 3 s, and may take many times that.
const BOOT_LIMIT: Duration = Duration::from_secs(240);

const MEMORY_MIB: u32 = 1024;

/// The active security modules, in order. `bpf` is what Portcullis needs; the others are those that cannot be left out.
const LSM: &str = "lockdown,capability,bpf";

/// What is done once after a boot.
type Preparation = fn(&Vm) -> Result<(), Error>;

/// A machine to be. Made by [`Vm::builder`].
#[derive(Debug, Clone)]
pub struct Builder {
    kernel: Kernel,
    files: Vec<(PathBuf, String)>,
    binaries: Vec<(PathBuf, String)>,
    contents: Vec<(String, Vec<u8>)>,
    modules: Vec<String>,
    append: Vec<String>,
    lsm: String,
    script: String,
    memory_mib: u32,
    disk: Option<PathBuf>,
    icount: bool,
    limit: Duration,
    prepare: Option<Preparation>,
}

impl Builder {
    pub(crate) fn new(kernel: Kernel) -> Self {
        Self {
            kernel,
            files: Vec::new(),
            binaries: Vec::new(),
            contents: Vec::new(),
            modules: Vec::new(),
            append: Vec::new(),
            lsm: LSM.to_owned(),
            script: String::new(),
            memory_mib: MEMORY_MIB,
            disk: None,
            icount: false,
            limit: BOOT_LIMIT,
            prepare: None,
        }
    }

    /// Copies a file of the host, with its permission bits.
    #[must_use]
    pub fn file(mut self, host: impl AsRef<Path>, guest: &str) -> Self {
        self.files.push((host.as_ref().to_owned(), guest.to_owned()));
        self
    }

    /// Copies a program of the host to the guest's `/bin`, and the shared libraries that it needs to where they are on the host.
    /// It takes the place of a busybox applet of the same name.
    #[must_use]
    pub fn binary(mut self, host: impl AsRef<Path>) -> Self {
        let host = host.as_ref().to_owned();
        let name = host.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.binaries.push((host, format!("/bin/{name}")));
        self
    }

    /// Makes a file with these contents, mode 0644.
    #[must_use]
    pub fn contents(mut self, guest: &str, contents: impl Into<Vec<u8>>) -> Self {
        self.contents.push((guest.to_owned(), contents.into()));
        self
    }

    /// A shell script to run before the machine counts as booted, with everything mounted. If a command in it fails, so does
    /// the boot. Further scripts run after it, as one.
    #[must_use]
    pub fn script(mut self, text: &str) -> Self {
        self.script.push_str(text);
        self.script.push('\n');
        self
    }

    /// Loads a module of the kernel at boot, and those that it needs.
    #[must_use]
    pub fn module(mut self, name: &str) -> Self {
        self.modules.push(name.to_owned());
        self
    }

    /// Adds words to the kernel's command line.
    #[must_use]
    pub fn append(mut self, words: &str) -> Self {
        self.append.push(words.to_owned());
        self
    }

    /// The active security modules, as in the kernel's `lsm=`; without `bpf` the kernel takes LSM programs and ignores them.
    #[must_use]
    pub fn lsm(mut self, modules: &str) -> Self {
        modules.clone_into(&mut self.lsm);
        self
    }

    /// Mounts every cgroup controller in a version 1 hierarchy of its own, and no version 2.
    #[must_use]
    pub fn cgroups_v1(self) -> Self {
        self.append(guest::CGROUPS_V1_ARGUMENT)
    }

    /// The guest's memory; its files take part of it. 1,024 if not given.
    #[must_use]
    pub fn memory_mib(mut self, memory_mib: u32) -> Self {
        self.memory_mib = memory_mib;
        self
    }

    /// Attaches an image of a file system as a disk, `/dev/vda`, that can only be read.
    #[must_use]
    pub fn disk(mut self, image: impl AsRef<Path>) -> Self {
        self.disk = Some(image.as_ref().to_owned());
        self.module("virtio_blk")
    }

    /// Makes the guest's clock count instructions, one a nanosecond, on one processor: what is measured repeats.
    ///
    /// Time in which nothing runs is skipped, so `sleep 10` returns at once. It is wise before measuring: kernels have work
    /// of their own in the first seconds, which costs as much as a small benchmark.
    #[must_use]
    pub fn icount(mut self, icount: bool) -> Self {
        self.icount = icount;
        self
    }

    /// How long the boot may take.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// What is done once it has booted, by the first machine of its kind: the others go on from there. It must leave nothing under way.
    /// Not for machines with a disk: what is on that is not looked at.
    #[must_use]
    pub fn prepared(mut self, prepare: Preparation) -> Self {
        self.prepare = Some(prepare);
        self
    }

    /// Boots, and returns once the machine takes commands.
    ///
    /// # Errors
    /// [`Error::Missing`] where the emulator or the kernel is not there; [`Error::Boot`] and [`Error::Gone`] with the console.
    pub fn boot(self) -> Result<Vm, Error> {
        let agent = cargo::static_binary("portcullis-e2e", "portcullis-guest")?;
        let mut image = Image::new(&agent)?;
        image.modules(&self.kernel.modules(&self.modules)?);
        for (host, guest) in &self.files {
            image.file(host, guest, None);
        }
        for (host, guest) in &self.binaries {
            image.binary(host, guest)?;
        }
        for (guest, contents) in &self.contents {
            image.bytes(guest, contents.clone(), 0o644);
        }
        if !self.script.is_empty() {
            image.bytes(guest::BOOT_SCRIPT, format!("set -eu\n{}", self.script).into_bytes(), 0o644);
        }
        let archive = Arc::new(image.write()?);
        match self.prepare {
            Some(prepare) => self.resume_or_prepare(&archive, prepare),
            None => self.boot_from(&archive, None),
        }
    }

    /// Goes on from where the first machine of this kind was, or is that machine.
    fn resume_or_prepare(&self, archive: &Arc<File>, prepare: Preparation) -> Result<Vm, Error> {
        let named = |files: &[(PathBuf, String)]| files.iter().map(|(_, guest)| guest.clone()).collect::<Vec<_>>();
        let kind = (named(&self.files), named(&self.binaries), &self.modules, self.command_line(), self.memory_mib);
        let snapshot = Snapshot::of(self.kernel, &kind, archive)?;
        if let Some(state) = snapshot.saved() {
            let (emulator, port) = self.start(archive, None, Some(state))?;
            if let Ok(vm) = Vm::resume(self.kernel, emulator, port) {
                return Ok(vm);
            }
        }
        let folder = tempfile::tempdir().map_err(|source| Error::Io { doing: "make a folder for the monitor".to_owned(), source })?;
        let monitor = folder.path().join("monitor");
        let vm = self.boot_from(archive, Some(&monitor))?;
        prepare(&vm)?;
        snapshot.save(&monitor)?;
        Ok(vm)
    }

    fn boot_from(&self, archive: &Arc<File>, monitor: Option<&Path>) -> Result<Vm, Error> {
        let (emulator, port) = self.start(archive, monitor, None)?;
        Vm::connect(self.kernel, emulator, port, self.limit)
    }

    fn start(&self, archive: &Arc<File>, monitor: Option<&Path>, resume: Option<File>) -> Result<(qemu::Emulator, UnixStream), Error> {
        qemu::Emulator::start(qemu::Options {
            kernel: self.kernel.image()?,
            archive: Arc::clone(archive),
            command_line: self.command_line(),
            memory_mib: self.memory_mib,
            disk: self.disk.clone(),
            icount: self.icount,
            monitor: monitor.map(Path::to_owned),
            resume,
        })
    }

    /// A panic ends the emulator at once (`panic=-1` restarts, `-no-reboot` ends), and what the kernel survives with damage is a panic.
    /// `no_timer_check`: on a busy host the emulated timer may be late for the kernel's test of it, which panics. What is measured is the kernel
    /// as people run it; elsewhere it goes without what only costs an emulator time: measures against side channels, and memory cleared twice.
    fn command_line(&self) -> String {
        let mut line = format!("console=ttyS0 quiet panic=-1 oops=panic no_timer_check lsm={}", self.lsm);
        let faster = (!self.icount).then_some("mitigations=off init_on_alloc=0");
        for words in faster.into_iter().chain(self.append.iter().map(String::as_str)) {
            line.push(' ');
            line.push_str(words);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_reach_the_command_line_of_the_kernel() {
        let builder = Builder::new(Kernel::V6_1).lsm("capability").cgroups_v1().append("quiet2");
        assert!(
            builder.command_line().ends_with(" lsm=capability mitigations=off init_on_alloc=0 portcullis.cgroups=v1 quiet2"),
            "{}",
            builder.command_line()
        );
        assert!(!builder.icount(true).command_line().contains("mitigations"), "costs are measured as they are");
    }
}
