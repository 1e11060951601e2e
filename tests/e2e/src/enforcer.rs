//! The enforcer in the guest: started, given profiles, its events read.
//!
//! Containers are cgroups `/portcullis/NAMESPACE/PROFILE/CONTAINER`. Profiles are files in [`PROFILES`], events lines of [`EVENTS`].

mod told;

use portcullis_api::{Event, event};
use std::time::{Duration, Instant};

use crate::{Builder, Error, Kernel, Vm, cargo, mutation, process::Process};
use told::Told;

/// The folder of profiles.
pub const PROFILES: &str = "/profiles";
/// The file of events.
pub const EVENTS: &str = "/events.jsonl";
/// The glob of cgroups.
pub const CONTAINERS: &str = "/portcullis/*/*/*";
/// The folder that tells of pods, where the enforcer is started with it.
pub const PODS: &str = "/pods";
/// The agent of another layout.
pub const OTHER_LAYOUT: &str = "portcullis-enforcer-other-layout";
/// What the agent logs when what the files say is what the kernel does.
pub const IN_FORCE: &str = "profiles in force";
/// How long loading may take: the verifier runs under software emulation.
const START: Duration = Duration::from_secs(300);
const DYNAMIC_LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
const SIGTERM: i32 = 15;
/// How long a change or an event may take to arrive.
const SOON: Duration = Duration::from_secs(60);

/// A machine with the enforcer and `portcullis-attempt`, which attempts operations.
///
/// # Errors
/// Where a program cannot be built.
pub fn machine(kernel: Kernel) -> Result<Builder, Error> {
    Ok(Vm::builder(kernel)
        .binary(cargo::static_binary("portcullis-enforcer", "portcullis-enforcer")?)
        .binary(cargo::static_binary("portcullis-e2e", "portcullis-attempt")?))
}

/// The same, with the enforcer's programs attached already, and what some tests want beside: so there is one kind of such machines, whose
/// programs are verified once.
///
/// # Errors
/// Where a program cannot be built.
pub fn loaded_machine(kernel: Kernel) -> Result<Builder, Error> {
    Ok(machine(kernel)?.module("sctp").file(DYNAMIC_LOADER, "/ld.so").prepared(|vm| {
        // It is told to end at once after it said that it enforces.
        Enforcer::enforcing(vm, || Enforcer::spawn(vm))?.end()
    }))
}

/// The enforcer, running or not: enforcement is the kernel's.
pub struct Enforcer<'vm> {
    vm: &'vm Vm,
    process: Process<'vm>,
    told: Told,
}

impl<'vm> Enforcer<'vm> {
    /// Starts it and waits until it says that it enforces.
    ///
    /// # Errors
    /// What the guest says; where it does not enforce, what it logged.
    pub fn start(vm: &'vm Vm) -> Result<Self, Error> {
        Self::start_for(vm, CONTAINERS)
    }

    /// The same, for the containers that this glob of cgroups names.
    ///
    /// # Errors
    /// As [`Enforcer::start`].
    pub fn start_for(vm: &'vm Vm, containers: &str) -> Result<Self, Error> {
        let enforcer = Self::enforcing(vm, || Self::spawn_for(vm, containers))?;
        if let Ok(program) = std::env::var(mutation::LEAVE_OUT) {
            leave_out(vm, &program)?;
        }
        Ok(enforcer)
    }

    /// Spawns it and waits until it says that it enforces.
    fn enforcing(vm: &'vm Vm, spawn: impl FnOnce() -> Result<Process<'vm>, Error>) -> Result<Self, Error> {
        let told = Told::from_now_on(vm)?;
        let mut process = spawn()?;
        process.wait_for_line("\"enforcing\"", START)?;
        Ok(Self { vm, process, told })
    }

    /// Starts it and waits for nothing.
    ///
    /// # Errors
    /// What the guest says.
    pub fn spawn(vm: &'vm Vm) -> Result<Process<'vm>, Error> {
        Self::spawn_for(vm, CONTAINERS)
    }

    fn spawn_for(vm: &'vm Vm, containers: &str) -> Result<Process<'vm>, Error> {
        Self::spawn_with(vm, ["--containers", containers, "--events", EVENTS])
    }

    /// Starts the agent of another layout, a build for tests alone, and waits until it says that it enforces.
    ///
    /// # Errors
    /// As [`Enforcer::start`].
    pub fn start_other_layout(vm: &'vm Vm) -> Result<Self, Error> {
        Self::enforcing(vm, || Self::spawn_other_layout(vm))
    }

    /// Starts the agent of another layout and waits for nothing.
    ///
    /// # Errors
    /// What the guest says.
    pub fn spawn_other_layout(vm: &'vm Vm) -> Result<Process<'vm>, Error> {
        Self::spawn_program(vm, OTHER_LAYOUT, ["--containers", CONTAINERS, "--events", EVENTS])
    }

    /// Starts it with these arguments beside the folder of profiles, and waits until it says that it enforces.
    ///
    /// # Errors
    /// As [`Enforcer::start`].
    pub fn start_with<const N: usize>(vm: &'vm Vm, arguments: [&str; N]) -> Result<Self, Error> {
        Self::enforcing(vm, || Self::spawn_with(vm, arguments))
    }

    /// Starts it with these arguments beside the folder of profiles, and waits for nothing.
    ///
    /// # Errors
    /// What the guest says.
    pub fn spawn_with<const N: usize>(vm: &'vm Vm, arguments: [&str; N]) -> Result<Process<'vm>, Error> {
        Self::spawn_program(vm, "portcullis-enforcer", arguments)
    }

    fn spawn_program<const N: usize>(vm: &'vm Vm, program: &str, arguments: [&str; N]) -> Result<Process<'vm>, Error> {
        let run = ["run", "--standalone", "--profiles", PROFILES];
        vm.command(program).args(run.into_iter().chain(arguments)).spawn()
    }

    /// Writes a pod's file and waits until what it says is so: the pod armed, or a container bound.
    ///
    /// # Errors
    /// Where it is not so soon.
    pub fn tell_of_pod(&mut self, file: &str, yaml: &str, done: &str) -> Result<(), Error> {
        let seen = self.process.output()?.stderr.len();
        self.vm.write_file(&format!("{PODS}/{file}"), yaml.as_bytes(), 0o644)?;
        self.wait_for_log(seen, done)
    }

    /// What `portcullis-enforcer status` says.
    ///
    /// # Errors
    /// What the guest says.
    pub fn status(&self) -> Result<serde_json::Value, Error> {
        status(self.vm)
    }

    /// Leaves it running when this value goes, for the tests that follow on the same machine.
    pub fn detach(self) {
        self.process.detach();
    }

    /// Its pid in the guest.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its process, to wait for or to look at.
    pub fn process(&mut self) -> &mut Process<'vm> {
        &mut self.process
    }

    /// Ends it in good order: it has written all that it was told then.
    ///
    /// # Errors
    /// Where it does not end soon, or not with success.
    pub fn end(self) -> Result<(), Error> {
        self.process.signal(SIGTERM)?;
        let output = self.process.wait(SOON)?;
        if output.success() { Ok(()) } else { Err(Error::Command { what: "end the enforcer".to_owned(), output: Box::new(output) }) }
    }

    /// Only its process, to wait for its end.
    #[must_use]
    pub fn into_process(self) -> Process<'vm> {
        self.process
    }

    /// The machine.
    #[must_use]
    pub fn vm(&self) -> &'vm Vm {
        self.vm
    }

    /// Writes a profile's file and waits until it is in force.
    ///
    /// # Errors
    /// Where it is not in force soon.
    pub fn apply(&mut self, file: &str, yaml: &str) -> Result<(), Error> {
        let seen = self.process.output()?.stderr.len();
        self.vm.write_file(&format!("{PROFILES}/{file}"), yaml.as_bytes(), 0o644)?;
        // What is learned meanwhile is put in force, too, and is not what was asked for.
        let mode = yaml.split("mode: ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
        let applied = format!("\"mode\":\"{}{}\"", mode.get(..1).unwrap_or_default().to_uppercase(), mode.get(1..).unwrap_or_default());
        self.wait_for_log_that(seen, &format!("{applied} {IN_FORCE}"), SOON, |new| {
            new.split_once(&applied).is_some_and(|(_, rest)| rest.contains(IN_FORCE))
        })
    }

    /// Waits until the log says so, after its first `seen` bytes.
    ///
    /// # Errors
    /// [`Error::TimedOut`] with the log.
    pub fn wait_for_log(&mut self, seen: usize, part: &str) -> Result<(), Error> {
        self.wait_for_log_within(seen, part, SOON)
    }

    /// The same, of what takes longer.
    ///
    /// # Errors
    /// As [`Enforcer::wait_for_log`].
    pub fn wait_for_log_within(&mut self, seen: usize, part: &str, limit: Duration) -> Result<(), Error> {
        self.wait_for_log_that(seen, part, limit, |new| new.contains(part))
    }

    fn wait_for_log_that(&mut self, seen: usize, what: &str, limit: Duration, says_so: impl Fn(&str) -> bool) -> Result<(), Error> {
        let deadline = Instant::now() + limit;
        loop {
            let log = self.process.output()?.error_text();
            if log.get(seen..).is_some_and(&says_so) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::Guest { what: format!("wait for {what:?} in the enforcer's log"), message: log });
            }
            // The guest's output is pushed to us; this only bounds how often we look.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a file of the guest, as a profile that is being learned, says what is wanted; its text.
    ///
    /// # Errors
    /// Where it does not say so soon: what it says instead.
    pub fn wait_for_file(&self, path: &str, wanted: impl Fn(&str) -> bool) -> Result<String, Error> {
        let deadline = Instant::now() + SOON;
        loop {
            let text = self.vm.read_text(path)?;
            if wanted(&text) {
                return Ok(text);
            }
            if Instant::now() > deadline {
                return Err(Error::Guest { what: format!("wait for what {path} says"), message: text });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Every event since it was started.
    ///
    /// # Errors
    /// Where a line is no event.
    pub fn events(&self) -> Result<Vec<Event>, Error> {
        self.told.events(self.vm)
    }

    /// Waits for an event.
    ///
    /// # Errors
    /// Where none comes soon: every event that came, instead.
    pub fn wait_for_event(&self, what: &str, wanted: impl Fn(&Event) -> bool) -> Result<Event, Error> {
        let deadline = Instant::now() + SOON;
        loop {
            let events = self.events()?;
            if let Some(event) = events.iter().find(|event| wanted(event)) {
                return Ok(event.clone());
            }
            if Instant::now() > deadline {
                let told: Vec<String> =
                    events.iter().map(|event| format!("{:?} {:?} {:?}", event.action, event.operation, event.object)).collect();
                return Err(Error::Guest {
                    what: format!("wait for an event: {what}"),
                    message: format!("there were:\n{}", told.join("\n")),
                });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Detaches one program, for [`mutation`]: its pin is the only reference to its link. Others are taken over by the agents that follow.
fn leave_out(vm: &Vm, program: &str) -> Result<(), Error> {
    let script = format!(
        "cd /sys/fs/bpf/portcullis/*/links-* && if [ -f {program} ]; then rm {program} && mkdir {program}; else [ -d {program} ]; fi"
    );
    vm.command("sh").args(["-c", &script]).check()?;
    eprintln!("{} {program}", mutation::LEFT_OUT);
    Ok(())
}

/// What `portcullis-enforcer status` says, whether or not an agent runs.
///
/// # Errors
/// What the guest says.
pub fn status(vm: &Vm) -> Result<serde_json::Value, Error> {
    let text = vm.command("portcullis-enforcer").args(["status", "-o", "json"]).check()?;
    serde_json::from_str(&text).map_err(|error| Error::Guest { what: "read the status".to_owned(), message: format!("{error}: {text}") })
}

/// The path of the event's object, empty for what is no file.
#[must_use]
pub fn path_of(event: &Event) -> &str {
    match &event.object {
        event::Object::File { path, .. } => path,
        event::Object::Endpoint { .. } | event::Object::Token(_) => "",
    }
}
