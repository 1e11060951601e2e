//! From the embedded object to programs that are attached and pinned, without a moment in which nothing is.
//!
//! * Nothing pinned: maps are made in a folder aside and initialised, programs attached, then both put in place.
//! * Pinned by this very object: the agent opens the maps and loads nothing.
//! * Pinned by another object of the same layout: the new programs are attached over the same maps, then the old ones detached. In between
//!   both judge, and both must allow.
//! * Pinned by an object of another layout: as [`carry`] says, if what it has can be carried over; otherwise it stays as it is.

mod carry;
mod error;
mod recorder;

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{MapData, RingBuf},
    programs::{Program, ProgramError, links::FdLink},
};
use sha2::{Digest, Sha256};
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    fields, maps, overlay,
    pins::{Other, Pins},
    symbols,
};

pub use error::LoadError;
pub use recorder::Recorder;

/// The kernel programs, aligned as the ELF parser wants them.
static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("PORTCULLIS_EBPF_OBJECT"));

/// What a program is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// An LSM hook.
    Lsm,
    /// An LSM hook that older kernels lack, because another hook of theirs does its work.
    LsmIfThere,
    /// An LSM hook that older kernels lack, where they do not judge the privilege of that name.
    LsmOrUnjudged(&'static str),
    /// A tracepoint with BTF.
    Tracepoint,
}

impl Hook {
    /// Whether a kernel may lack it.
    #[must_use]
    pub const fn is_optional(self) -> bool {
        matches!(self, Self::LsmIfThere | Self::LsmOrUnjudged(_))
    }
}

/// The programs, each named after its hook, in the order in which they are attached: what follows tasks and cgroups before what judges them.
pub const PROGRAMS: &[(&str, Hook)] = &[
    ("cgroup_mkdir", Hook::Tracepoint),
    ("cgroup_rmdir", Hook::Tracepoint),
    ("task_alloc", Hook::Lsm),
    ("bprm_check_security", Hook::Lsm),
    ("mmap_file", Hook::Lsm),
    ("file_open", Hook::Lsm),
    ("file_mprotect", Hook::Lsm),
    ("path_mknod", Hook::Lsm),
    ("path_mkdir", Hook::Lsm),
    ("path_symlink", Hook::Lsm),
    ("path_unlink", Hook::Lsm),
    ("path_rmdir", Hook::Lsm),
    ("path_rename", Hook::Lsm),
    ("path_link", Hook::Lsm),
    ("path_truncate", Hook::Lsm),
    // Since 6.2 for `ftruncate` and `O_TRUNC`, for which `path_truncate` is called before.
    ("file_truncate", Hook::LsmIfThere),
    ("path_chmod", Hook::Lsm),
    ("path_chown", Hook::Lsm),
    ("socket_connect", Hook::Lsm),
    ("socket_sendmsg", Hook::Lsm),
    ("socket_bind", Hook::Lsm),
    ("socket_listen", Hook::Lsm),
    ("socket_create", Hook::Lsm),
    ("unix_stream_connect", Hook::Lsm),
    ("unix_may_send", Hook::Lsm),
    ("capable", Hook::Lsm),
    ("ptrace_access_check", Hook::Lsm),
    ("ptrace_traceme", Hook::Lsm),
    ("task_kill", Hook::Lsm),
    ("sb_mount", Hook::Lsm),
    ("sb_remount", Hook::Lsm),
    ("move_mount", Hook::Lsm),
    ("sb_umount", Hook::Lsm),
    ("sb_pivotroot", Hook::Lsm),
    // Since 6.1.
    ("userns_create", Hook::LsmOrUnjudged("user-namespace")),
    ("bpf", Hook::Lsm),
    ("perf_event_open", Hook::Lsm),
    ("kernel_load_data", Hook::Lsm),
    ("kernel_read_file", Hook::Lsm),
    ("key_alloc", Hook::Lsm),
    ("key_permission", Hook::Lsm),
    ("inode_init_security_anon", Hook::Lsm),
    ("inode_setxattr", Hook::Lsm),
    ("inode_removexattr", Hook::Lsm),
    // Since 6.2 for access control lists, for which the two above are called before.
    ("inode_set_acl", Hook::LsmIfThere),
    ("inode_remove_acl", Hook::LsmIfThere),
];

/// What loading came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// Programs were loaded: how many instructions the verifier processed for each.
    Fresh(Verified),
    /// They were loaded, and what was attached had another layout.
    Carried(Verified),
    /// They were attached already.
    TakenOver,
}

impl Loaded {
    /// How many instructions the verifier processed for each program that was loaded.
    #[must_use]
    pub fn verified(&self) -> &[(&'static str, u32)] {
        match self {
            Self::Fresh(verified) | Self::Carried(verified) => verified,
            Self::TakenOver => &[],
        }
    }
}

/// How many instructions the verifier processed for each program.
pub type Verified = Vec<(&'static str, u32)>;

/// Names the object this agent carries.
#[must_use]
pub fn object_hash() -> String {
    use std::fmt::Write as _;
    Sha256::digest(OBJECT).iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Makes sure that this agent's programs are attached and pinned, and its maps exist; and what nobody has read of another layout's events.
///
/// `btf` is where the kernel's types are, which are read where something has to be loaded: that takes long. `table_chunks` is the capacity for all
/// tables together, for maps that do not exist yet.
///
/// # Errors
/// [`LoadError`]; whatever was attached before still is.
pub fn ensure(pins: &Pins, btf: &Path, table_chunks: u32) -> Result<(Loaded, Option<RingBuf<MapData>>), LoadError> {
    // Where both are complete, an agent was killed before it could detach the old ones.
    let carried = match pins.others()?.into_iter().find(Other::is_complete) {
        Some(other) if !pins.is_complete() => Some(carry::over(pins, &read_types(btf)?, table_chunks, &other)?),
        _ => None,
    };
    let (loaded, unread) = match carried {
        Some((loaded, unread)) => (loaded, Some(unread)),
        None => (ensure_own(pins, btf, table_chunks)?, None),
    };
    pins.remove(pins.others()?)?;
    Ok((loaded, unread))
}

/// The same, where nothing of another layout is in force.
fn ensure_own(pins: &Pins, btf: &Path, table_chunks: u32) -> Result<Loaded, LoadError> {
    let hash = object_hash();
    let fresh_maps = !pins.maps().exists();
    let needed = PROGRAMS.iter().filter(|(_, hook)| matches!(hook, Hook::Lsm | Hook::Tracepoint));
    if !fresh_maps && needed.map(|(program, _)| *program).chain([recorder::PROGRAM]).all(|program| pins.links(&hash).join(program).exists())
    {
        return Ok(Loaded::TakenOver);
    }
    let types = &read_types(btf)?;
    let maps = if fresh_maps { pins.new_maps()? } else { pins.maps() };
    let mut ebpf = load_object(types, &maps, table_chunks, None)?;
    if fresh_maps {
        maps::initialise(&maps)?;
    }
    let links = pins.new_links()?;
    let mut verified = attach(&mut ebpf, types, &links, |_| true)?;
    verified.push(recorder::pin(&mut ebpf, &links)?);
    if fresh_maps {
        pins.complete_maps()?;
    }
    pins.complete_links(&hash)?;
    Ok(Loaded::Fresh(verified))
}

fn read_types(btf: &Path) -> Result<btf_rs::Btf, LoadError> {
    Ok(btf_rs::Btf::from_file(btf).map_err(fields::FieldError::Btf)?)
}

/// Makes the object's maps, or opens those that are pinned in `maps`. `old_tasks` is where states of tasks come from.
fn load_object(types: &btf_rs::Btf, maps: &Path, table_chunks: u32, old_tasks: Option<&Path>) -> Result<Ebpf, LoadError> {
    let overlay = overlay::types(types);
    let offsets = fields::offsets(types, overlay.as_ref())?;
    let host = host_mount_namespace()?;
    let seed = hash_seed();
    let (addresses, backing) = (symbols::addresses(), fields::backing_mode(types));
    let mut loader = EbpfLoader::new();
    // aya does not know task storage; the programs do.
    loader.allow_unsupported_maps();
    for (global, value) in offsets.iter().chain(&addresses) {
        loader.override_global(global, value, true);
    }
    loader.override_global("HOST_MOUNT_NAMESPACE", &host, true);
    loader.override_global("HASH_SEED", &seed, true);
    loader.override_global("BACKING_MODE", &backing, true);
    loader.map_max_entries("TABLES", table_chunks);
    for name in maps::NAMES {
        loader.map_pin_path(name, maps.join(name));
    }
    if let Some(old_tasks) = old_tasks {
        loader.map_pin_path("OLD_TASKS", old_tasks);
    }
    Ok(loader.load(OBJECT)?)
}

/// Loads, attaches and pins those programs that are `chosen`, in the order of [`PROGRAMS`].
fn attach(ebpf: &mut Ebpf, types: &btf_rs::Btf, links: &Path, chosen: impl Fn(&str) -> bool) -> Result<Verified, LoadError> {
    let btf = Btf::from_sys_fs()?;
    let mut verified = Vec::new();
    for &(name, hook) in PROGRAMS.iter().filter(|(name, _)| chosen(name)) {
        if hook.is_optional() && !is_there(types, name) {
            continue;
        }
        let refused = |source| LoadError::Program { program: name, source };
        let program = ebpf.program_mut(name).ok_or(LoadError::Program { program: name, source: ProgramError::NotLoaded })?;
        let (link, info) = match (hook, program) {
            (Hook::Lsm | Hook::LsmIfThere | Hook::LsmOrUnjudged(_), Program::Lsm(program)) => {
                program.load(name, &btf).map_err(refused)?;
                let id = program.attach().map_err(refused)?;
                (program.take_link(id).map_err(refused).map(FdLink::from)?, program.info())
            }
            (Hook::Tracepoint, Program::BtfTracePoint(program)) => {
                program.load(name, &btf).map_err(refused)?;
                let id = program.attach().map_err(refused)?;
                (program.take_link(id).map_err(refused).map(FdLink::from)?, program.info())
            }
            (_, other) => {
                let source = ProgramError::UnexpectedProgramType;
                tracing::error!(program = name, found = ?other.prog_type(), "the object and the agent disagree about a program");
                return Err(refused(source));
            }
        };
        link.pin(links.join(name)).map_err(|source| LoadError::Link { program: name, source })?;
        verified.push((name, info.map_err(refused)?.verified_instruction_count().unwrap_or_default()));
    }
    Ok(verified)
}

/// Whether the kernel has that LSM hook.
pub(crate) fn is_there(types: &btf_rs::Btf, hook: &str) -> bool {
    types.resolve_ids_by_name(&format!("bpf_lsm_{hook}")).is_ok_and(|ids| !ids.is_empty())
}

/// The inode number of the mount namespace of pid 1, which a container's tasks leave on their way in.
fn host_mount_namespace() -> Result<u64, LoadError> {
    let path = PathBuf::from("/proc/1/ns/mnt");
    match std::fs::metadata(&path) {
        Ok(metadata) => Ok(metadata.ino()),
        Err(source) => Err(LoadError::HostNamespace { path, source }),
    }
}

fn hash_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
