//! A container under a profile, and a program in it that attempts what it is told: what most tests of enforcement are made of.

use std::{cell::RefCell, time::Duration};

use portcullis_api::{Event, event::Action};

use crate::{
    Vm,
    enforcer::Enforcer,
    process::Process,
    runc::{Container, ContainerBuilder},
    testing::TestResult,
};

/// What `portcullis-attempt` needs in every profile: to be executed by `runc exec`.
const ATTEMPT: &str = "/attempt";
/// For an attempt, emulated and beside other machines.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(120);
/// The folder of the guest with the image of layered containers: busybox and two libraries.
const IMAGE: &str = "/layer";

/// A profile of namespace `test` with one container, `main`, whose rules are given as YAML below its name.
#[must_use]
pub fn profile(name: &str, mode: &str, rules: &str) -> String {
    format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: WorkloadProfile\nmetadata: {{namespace: test, name: {name}}}\nspec:\n  \
         workload: {{apiVersion: v1, kind: Pod, name: {name}}}\n  mode: {mode}\n  containers:\n  - name: main\n{rules}"
    )
}

/// A container under a profile, in a machine where the enforcer runs.
pub struct Case<'vm> {
    name: &'static str,
    /// The enforcer.
    pub enforcer: Enforcer<'vm>,
    /// The container.
    pub container: Container<'vm>,
    /// The rules of the profile.
    pub rules: &'static str,
    session: RefCell<Session<'vm>>,
}

/// An exec session of the container in which each attempt is a process of its own: a `runc exec` for each takes most of a test's time.
#[derive(Default)]
struct Session<'vm> {
    process: Option<Process<'vm>>,
    attempts: u32,
}

impl<'vm> Case<'vm> {
    /// A container with a few files, under a profile in mode `audit` with these rules, which must grant `/attempt` and `/bin/sleep`.
    ///
    /// # Errors
    /// What the guest says.
    pub fn new(vm: &'vm Vm, name: &'static str, rules: &'static str) -> Result<Self, Box<dyn std::error::Error>> {
        Self::with(vm, name, rules, |container| container)
    }

    /// The same, of a container that `change` changes.
    ///
    /// # Errors
    /// What the guest says.
    pub fn with(
        vm: &'vm Vm,
        name: &'static str,
        rules: &'static str,
        change: impl FnOnce(ContainerBuilder) -> ContainerBuilder,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let mut enforcer = Enforcer::start(vm)?;
        enforcer.apply(&format!("{name}.yaml"), &profile(name, "audit", rules))?;
        let attempt = vm.read_file("/bin/portcullis-attempt")?;
        let container = change(Container::builder(name))
            .cgroup(&format!("/portcullis/test/{name}/main"))
            .file(ATTEMPT, attempt, 0o755)
            .file("/data/file", "x", 0o666)
            .file("/data/other", "x", 0o666)
            .file("/secret/token", "x", 0o644)
            .file("/lib/some.so", vec![0; 4096], 0o755)
            .file("/lib/other.so", vec![0; 4096], 0o755)
            .run(vm)?;
        Ok(Self { name, enforcer, container, rules, session: RefCell::default() })
    }

    /// The same, on a root as container runtimes make it: an image that is only read, under a layer that is written (overlayfs).
    ///
    /// # Errors
    /// What the guest says.
    pub fn layered(vm: &'vm Vm, name: &'static str, rules: &'static str) -> Result<Self, Box<dyn std::error::Error>> {
        Self::layered_with(vm, name, rules, |container| container)
    }

    /// The same, of a container that `change` changes.
    ///
    /// # Errors
    /// What the guest says.
    pub fn layered_with(
        vm: &'vm Vm,
        name: &'static str,
        rules: &'static str,
        change: impl FnOnce(ContainerBuilder) -> ContainerBuilder,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        // What a container had that is gone.
        let container = Container::builder("layer").file("/bin/program", "#!/bin/sleep\n", 0o777).create(vm)?;
        let copy = format!("rm -rf {IMAGE} && cp -a {} {IMAGE}", container.rootfs());
        vm.command("sh").args(["-c", &copy]).check()?;
        container.delete()?;
        vm.command("mkdir").args(["-p", &format!("{IMAGE}/lib")]).check()?;
        for library in ["some.so", "other.so"] {
            vm.write_file(&format!("{IMAGE}/lib/{library}"), &[0; 4096], 0o755)?;
        }
        Self::with(vm, name, rules, |container| change(container.image(IMAGE)))
    }

    /// What `portcullis-attempt` says of the operation, inside the container.
    ///
    /// # Errors
    /// What the guest says.
    pub fn attempt(&self, words: &[&str]) -> Result<String, Box<dyn std::error::Error>> {
        let mut session = self.session.borrow_mut();
        session.attempts += 1;
        let mark = format!(" of attempt {}.", session.attempts);
        let process = match &mut session.process {
            Some(process) => process,
            none => none.insert(self.container.exec([ATTEMPT, "attempts"]).spawn()?),
        };
        process.write(format!("{}\n", serde_json::to_string(words)?).as_bytes())?;
        let line = process.wait_for_line(&mark, ATTEMPT_LIMIT)?;
        Ok(serde_json::from_str(line.strip_suffix(&mark).unwrap_or_default())?)
    }

    /// Puts the profile into `enforce`.
    ///
    /// # Errors
    /// Where it is not in force soon.
    pub fn enforce(&mut self) -> TestResult {
        Ok(self.enforcer.apply(&format!("{}.yaml", self.name), &profile(self.name, "enforce", self.rules))?)
    }

    /// What is listed is allowed in both modes and not told; what is not is allowed and told in `audit`, denied and told in `enforce`.
    ///
    /// # Errors
    /// What the guest says.
    ///
    /// # Panics
    /// Where it is not so.
    pub fn check(&mut self, listed: &[&str], unlisted: &[&str], is_unlisted: impl Fn(&Event) -> bool) -> TestResult {
        for (mode, answer, action) in [("audit", "allowed", Action::WouldBlock), ("enforce", "EPERM", Action::Blocked)] {
            if mode == "enforce" {
                self.enforce()?;
            }
            assert_eq!(self.attempt(listed)?, "allowed", "{listed:?} in {mode}");
            assert_eq!(self.attempt(unlisted)?, answer, "{unlisted:?} in {mode}");
            let ours = |event: &Event| event.container.profile == self.name && event.action == action;
            let event = self.enforcer.wait_for_event(&format!("{action:?}"), |event| ours(event) && is_unlisted(event))?;
            assert_eq!(event.process.executable, ATTEMPT);
            assert!(event.process.session.is_some(), "runc exec is an exec session");
            assert!(event.process.arguments.iter().any(|argument| unlisted.contains(&argument.as_str())), "{:?}", event.process.arguments);
        }
        Ok(())
    }

    /// Deletes the container.
    ///
    /// # Errors
    /// What runc says.
    pub fn end(self) -> TestResult {
        self.container.delete()?;
        Ok(())
    }
}
