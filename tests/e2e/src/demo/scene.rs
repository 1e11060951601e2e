//! The machine and who is in it: the shop's container, its visitors, and the servers that the shop or the attacker reaches.
//!
//! The guest has a loopback device and no other, which bears every address of the story; so what is allowed truly arrives.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use super::{Failure, admission::Authority, visitors::Visitors};
use crate::{
    Builder, Error, Kernel, Vm, cargo,
    enforcer::{Enforcer, PROFILES},
    process::{Output, Process},
    runc::Container,
};

/// The file that the enforcer makes for the workload.
pub(super) const PROFILE: &str = "shop.deployment-web.yaml";
/// The container's cgroup: namespace, profile, container.
const CGROUP: &str = "/portcullis/shop/deployment-web/web";
/// The shop's program in its container.
pub(super) const SHOP: &str = "/usr/bin/shop";
/// Where visitors and attackers reach the shop.
const SHOP_ADDRESS: &str = "127.0.0.1:8080";
/// The service that the shop needs.
const DATABASE: &str = "10.96.0.20:5432";
/// The cloud's metadata service: its address is the same with every large provider.
pub(super) const METADATA: &str = "169.254.169.254:80";
/// The attacker's own server; the address is one of those for documentation (RFC 5737).
pub(super) const ATTACKER: &str = "203.0.113.7:443";

/// What the metadata service gives away.
pub(super) const CREDENTIALS: &str = "AccessKeyId ASIADEMO SecretAccessKey demo";
/// What the attacker's server says when it has what was sent.
pub(super) const THANKS: &str = "thank you";
/// The service account token, as if the API server had signed it.
pub(super) const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6c2hvcDp3ZWIifQ.";
/// Where the kubelet mounts it. Below there it is a link to a link, as the kubelet makes them.
pub(super) const TOKEN_FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A program of the scene begins, under software emulation.
const START: Duration = Duration::from_secs(30);

/// The machine with every program and address of the story.
pub(super) fn machine(kernel: Kernel, authority: &Authority) -> Result<Builder, Failure> {
    let mut builder = Vm::builder(kernel)
        .binary(cargo::static_binary("portcullis-enforcer", "portcullis-enforcer")?)
        .binary(cargo::static_binary("portcullis-webhook", "portcullis-webhook")?)
        .binary(cargo::static_binary("portcullis-e2e", "portcullis-world")?);
    for address in [DATABASE, METADATA, ATTACKER] {
        let (address, _port) = address.split_once(':').unwrap_or((address, ""));
        builder = builder.script(&format!("ip address add {address}/32 dev lo"));
    }
    let folder = "..2026_01_01_00_00_00.123456789";
    let token = format!("mkdir -p /token/{folder}; printf %s {TOKEN} >/token/{folder}/token");
    let links = format!("ln -s {folder} /token/..data; ln -s ..data/token /token/token");
    Ok(authority.install(builder).script(&token).script(&links))
}

/// The machine while the story is played.
pub(super) struct Scene<'vm> {
    pub(super) vm: &'vm Vm,
    pub(super) enforcer: Enforcer<'vm>,
    pub(super) visitors: Visitors<'vm>,
    servers: Process<'vm>,
}

impl<'vm> Scene<'vm> {
    /// The enforcer first, then the servers, the shop, and its visitors.
    pub(super) fn open(vm: &'vm Vm) -> Result<Self, Failure> {
        let enforcer = Enforcer::start(vm)?;
        let answers = [("database", DATABASE, "7 teapot 19.90"), ("metadata", METADATA, CREDENTIALS), ("attacker", ATTACKER, THANKS)];
        let answers = answers.map(|(name, address, answer)| format!("{name}={address}={answer}"));
        let mut servers = vm.command("portcullis-world").arg("serve").args(answers).spawn()?;
        servers.wait_for_line("ready", START)?;
        open_shop(vm)?;
        let visitors = Visitors::new(vm.command("portcullis-world").args(["visit", SHOP_ADDRESS]).spawn()?);
        Ok(Self { vm, enforcer, visitors, servers })
    }

    /// Sets the profile's mode as a person would, in its file, and waits until it is in force.
    pub(super) fn switch(&mut self, mode: &str) -> Result<(), Error> {
        let seen = self.enforcer.process().output()?.stderr.len();
        let edit = format!(r"s/^\(  mode:\) .*/\1 {mode}/");
        self.vm.command("sed").args(["-i", &edit, &format!("{PROFILES}/{PROFILE}")]).check()?;
        let mut logged = mode.to_owned();
        logged.get_mut(..1).map(str::make_ascii_uppercase);
        self.enforcer.wait_for_log(seen, &format!("\"mode\":\"{logged}\""))
    }

    /// Sends the shop an object, as the attacker does, and gives the shop's answer.
    pub(super) fn send(&self, object: &str) -> Result<Output, Error> {
        self.vm.command("portcullis-world").args(["post", SHOP_ADDRESS]).input(object).run()
    }

    /// How often the server of that name was told something.
    pub(super) fn told(&mut self, server: &str) -> Result<usize, Error> {
        let told = format!("{server} was told: ");
        Ok(self.servers.output()?.text().lines().filter(|line| line.starts_with(&told)).count())
    }
}

/// Runs the container and waits until it serves.
fn open_shop(vm: &Vm) -> Result<(), Failure> {
    let program = fs::read(cargo::static_binary("portcullis-e2e", "portcullis-web")?);
    let program = program.map_err(|source| Failure::Io { doing: "read portcullis-web", source })?;
    // It is not deleted with this value: it is the machine's.
    let container = Container::builder("web")
        .cgroup(CGROUP)
        .file(SHOP, program, 0o755)
        .file("/srv/shop/index.html", "<h1>Welcome</h1>\n", 0o644)
        .file("/var/log/shop/.keep", "", 0o644)
        .bind("/token", TOKEN_FOLDER)
        .args([SHOP, SHOP_ADDRESS, DATABASE])
        .run(vm)?;
    let deadline = Instant::now() + START;
    while !container.output()?.contains("listening") {
        if Instant::now() > deadline {
            return Err(Error::Guest { what: "wait for the shop".to_owned(), message: container.output()? }.into());
        }
        thread::sleep(Duration::from_millis(50)); // its log is a file of the guest, which tells nobody
    }
    Ok(())
}
