//! Real applications, from Debian's packages: learned under one load, enforced under another.
//!
//! ```text
//!            start  load   restart  load   │ mode: enforce │  start   load       restart  load   replica  load      attacks
//!  learn     ●──────learn──●────────learn──●               │
//!  enforce                                                 ●──enforce──────────●────────learn──●────────enforce───attack
//! ```
//!
//! * Each is a root of its own on one disk, which `hack/applications` makes, under a layer for each container (overlayfs), as with a
//!   container runtime; its data is a folder that is mounted into it and outlives it. A *replica* is another container of the same profile,
//!   with data of its own.
//! * The loads are shell scripts in `applications/NAME`, run by the guest, in no container. Every answer is compared, and the first that is
//!   wrong ends the script. The load under enforcement has other paths, other data and more clients than the one that was learned, and
//!   does no *kind* of thing that was not done once before: a profile grants what was seen.
//! * Between the two, the enforcer is ended and started: what it was told is in the profile then, and nothing has to be waited for.
//! * The attacks end as denials of the operations that [`Application::attacks`] lists, and the application goes on.

use std::{fmt::Write as _, time::Duration};

use portcullis_api::{
    ContainerRules, Event,
    event::{Action, Object, Operation},
};

use crate::{
    Builder, Error, Kernel, Vm,
    enforcer::{self, Enforcer},
    kernel,
    runc::Container,
};

mod list;
pub mod record;

pub use list::{ALL, NGINX, POSTGRESQL, PYTHON, REDIS_SERVER};

/// The glob of cgroups: the name above the last three is the replica's.
const CONTAINERS: &str = "/replicas/*/*/*/*";
/// What an intruder looks for. It lies in a tree that is guarded by default.
const SECRET: &str = "/run/secrets/token";
/// A load, emulated and beside another machine.
const LOAD_LIMIT: Duration = Duration::from_secs(400);
/// From the signal to the end of an application.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// An application and what is done with it.
pub struct Application {
    /// Its root on the disk, and the name of its profile.
    pub name: &'static str,
    arguments: &'static [&'static str],
    user: u32,
    /// Files of its image: path, contents, mode.
    files: &'static [(&'static str, &'static str, u32)],
    /// Where its data is, and whose that is.
    volume: (&'static str, u32),
    /// The signal that ends it in good order.
    stop: i32,
    learn: &'static str,
    enforce: &'static str,
    attack: &'static str,
    /// What the attacks must be denied: the operation, and a part of the object.
    attacks: &'static [(Operation, &'static str)],
}

/// A machine with the disk and the enforcer.
///
/// # Errors
/// [`Error::Missing`] with the script that makes the disk.
pub fn machine(kernel: Kernel) -> Result<Builder, Error> {
    let disk = kernel::cache().unwrap_or_default().join("applications/current/applications.ext4");
    if !disk.exists() {
        return Err(Error::Missing { path: disk, install: "hack/applications" });
    }
    let mounts = "mkdir -p /images /volumes && mount -t ext4 -o ro /dev/vda /images\n\
                  for image in /images/*; do [ -d $image/dev ] && mount -o bind /dev $image/dev; done";
    Ok(enforcer::machine(kernel)?.disk(disk).memory_mib(1536).script(mounts))
}

impl Application {
    /// Learns and enforces it; the rules that were learned.
    ///
    /// # Errors
    /// What the guest says: a wrong answer of the application most of all.
    ///
    /// # Panics
    /// Where an event tells of a denial that is none of the attacks', or an attack is not denied.
    pub fn prove(&self, vm: &Vm) -> Result<ContainerRules, Box<dyn std::error::Error>> {
        let mut enforcer = Enforcer::start_for(vm, CONTAINERS)?;
        for restarted in [false, true] {
            let run = Run { application: self, vm, replica: false, restarted };
            run.through(self.learn)?;
        }
        enforcer.end()?;
        let (text, rules) = self.learned(vm)?;
        eprintln!("Linux {}: {} rules were learned of {}", vm.kernel(), portcullis_profile::merge::entries(&rules), self.name);
        vm.write_file(&self.file(), text.replace("mode: learn", "mode: enforce").as_bytes(), 0o644)?;
        enforcer = Enforcer::start_for(vm, CONTAINERS)?;
        for (replica, restarted, load) in [(false, false, self.enforce), (false, true, self.learn)] {
            Run { application: self, vm, replica, restarted }.through(load)?;
        }
        let replica = Run { application: self, vm, replica: true, restarted: false };
        let container = replica.start()?;
        replica.load(self.enforce)?;
        let denied = self.denied(&enforcer)?;
        assert!(denied.is_empty(), "legitimate operations of {} were denied:\n{denied}\nby the profile\n{text}", self.name);
        replica.load(self.attack)?;
        for (operation, part) in self.attacks {
            let denies = |event: &Event| self.is_denial(event) && event.operation == *operation && object(event).contains(part);
            enforcer.wait_for_event(&format!("{operation:?} of {part} is denied"), denies)?;
        }
        container.delete()?;
        enforcer.end()?;
        Ok(rules)
    }

    /// The profile's file.
    fn file(&self) -> String {
        format!("{}/test.{}.yaml", enforcer::PROFILES, self.name)
    }

    fn learned(&self, vm: &Vm) -> Result<(String, ContainerRules), Box<dyn std::error::Error>> {
        let text = vm.read_text(&self.file())?;
        let profiles = portcullis_api::load(&self.file(), &text)?;
        let rules = profiles.into_iter().flat_map(|profile| profile.spec.containers).next();
        Ok((text, rules.ok_or("the profile lists no container")?))
    }

    fn is_denial(&self, event: &Event) -> bool {
        event.container.profile == self.name && event.action == Action::Blocked
    }

    /// What was denied so far, a line each.
    fn denied(&self, enforcer: &Enforcer<'_>) -> Result<String, Error> {
        let mut lines = String::new();
        for event in enforcer.events()?.iter().filter(|event| self.is_denial(event)) {
            let _ = writeln!(lines, "{:?} of {} by {}", event.operation, object(event), event.process.executable);
        }
        Ok(lines)
    }
}

/// One life of a container of the application.
struct Run<'a> {
    application: &'a Application,
    vm: &'a Vm,
    replica: bool,
    restarted: bool,
}

impl<'a> Run<'a> {
    fn through(&self, load: &str) -> Result<(), Error> {
        let container = self.start()?;
        self.load(load)?;
        container.kill(self.application.stop)?;
        container.wait_until_stopped(STOP_LIMIT)?;
        container.delete()
    }

    fn name(&self) -> String {
        format!("{}{}", self.application.name, if self.replica { "-replica" } else { "" })
    }

    fn volume(&self) -> String {
        format!("/volumes/{}", self.name())
    }

    fn start(&self) -> Result<Container<'a>, Error> {
        let (Application { name, arguments, user, files, volume: (inside, owner), .. }, volume) = (self.application, self.volume());
        let prepare = format!("mkdir -p {volume} && chown {owner}:{owner} {volume} && chmod 700 {volume}");
        self.vm.command("sh").args(["-c", &prepare]).check()?;
        let replica = if self.replica { "two" } else { "one" };
        let container = Container::builder(&self.name())
            .cgroup(&format!("/replicas/{replica}/test/{name}/main"))
            .image(&format!("/images/{name}"))
            .args(arguments.iter().copied())
            .user(*user)
            .bind(&volume, inside)
            .file(SECRET, "the token", 0o644);
        files.iter().fold(container, |container, (path, contents, mode)| container.file(path, *contents, *mode)).run(self.vm)
    }

    fn load(&self, script: &str) -> Result<(), Error> {
        let text = format!("{}\n{script}", include_str!("../applications/prelude.sh"));
        let (container, volume) = (self.name(), self.volume());
        let variables = [("container", container.as_str()), ("volume", &volume), ("replica", if self.replica { "1" } else { "" })];
        let command = self.vm.command("sh").args(["-c", &text]).timeout(LOAD_LIMIT);
        let command = variables.into_iter().fold(command, |command, (name, value)| command.env(name, value));
        let command = if self.restarted { command.env("restarted", "1") } else { command };
        command.check().map(drop).inspect_err(|_| {
            let log = self.vm.sh(&format!("cat /run/bundles/{container}/log; runc state {container}; tail -n 20 /events.jsonl"));
            eprintln!("{container} said: {}", log.map(|output| output.text()).unwrap_or_default());
        })
    }
}

/// What the event is about, as text.
fn object(event: &Event) -> String {
    match &event.object {
        Object::File { path, .. } => path.clone(),
        Object::Endpoint { .. } | Object::Token(_) => serde_json::to_string(&event.object).unwrap_or_default(),
    }
}
