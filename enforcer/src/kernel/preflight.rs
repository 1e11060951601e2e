//! Whether this kernel can enforce, asked before anything is loaded. `Lsm::attach` succeeds on a kernel whose active list of LSMs lacks
//! `bpf`, and nothing is ever called: a node like that would look protected. So each thing is looked for by name, and what is missing is one
//! error that says how to have it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};
use thiserror::Error;

/// Where to look. The defaults are the kernel's own places; tests have others.
#[derive(Clone, Debug)]
pub struct Host {
    /// The list of active LSMs (`Documentation/admin-guide/LSM/index.rst`).
    pub lsm_list: PathBuf,
    /// The kernel's type information.
    pub btf: PathBuf,
    /// Where cgroup v2 is mounted.
    pub cgroup_root: PathBuf,
    /// Where bpffs is mounted.
    pub bpffs: PathBuf,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            lsm_list: "/sys/kernel/security/lsm".into(),
            btf: "/sys/kernel/btf/vmlinux".into(),
            cgroup_root: "/sys/fs/cgroup".into(),
            bpffs: "/sys/fs/bpf".into(),
        }
    }
}

/// Why this kernel cannot enforce.
#[derive(Debug, Error)]
pub enum PreflightError {
    /// The list of LSMs cannot be read.
    #[error(
        "cannot read the list of active LSMs at {path}: {source}: mount securityfs there (mount -t securityfs securityfs /sys/kernel/security)"
    )]
    NoLsmList {
        /// Where it was looked for.
        path: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
    /// `bpf` is not among the active LSMs.
    #[error(
        "BPF-LSM is not active: the kernel runs with lsm={active}: boot it with lsm={active},bpf on its command line (on Debian: add that to \
         GRUB_CMDLINE_LINUX in /etc/default/grub, run update-grub, reboot)"
    )]
    NoBpfLsm {
        /// The active list.
        active: String,
    },
    /// There is no BTF.
    #[error("the kernel has no type information at {path}: it needs CONFIG_DEBUG_INFO_BTF=y, which the kernels of Debian 12 and 13 have")]
    NoBtf {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The cgroup hierarchy is not v2.
    #[error(
        "{path} is not a cgroup v2 hierarchy: containers are told apart by their v2 cgroup: boot with systemd.unified_cgroup_hierarchy=1, or \
         mount it (mount -t cgroup2 cgroup2 {path})"
    )]
    NoCgroup2 {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is no bpffs.
    #[error("{path} is not a bpffs, in which programs and maps outlive the agent: mount it (mount -t bpf bpf {path})")]
    NoBpffs {
        /// Where it was looked for.
        path: PathBuf,
    },
}

/// Superblock magic of bpffs (`BPF_FS_MAGIC`, `include/uapi/linux/magic.h`).
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;

/// Looks for everything that enforcement needs.
///
/// # Errors
/// The first thing that is missing.
pub fn check(host: &Host) -> Result<(), PreflightError> {
    let active = fs::read_to_string(&host.lsm_list).map_err(|source| PreflightError::NoLsmList { path: host.lsm_list.clone(), source })?;
    let active = active.trim();
    if !active.split(',').any(|name| name == "bpf") {
        return Err(PreflightError::NoBpfLsm { active: active.to_owned() });
    }
    if !host.btf.is_file() {
        return Err(PreflightError::NoBtf { path: host.btf.clone() });
    }
    if !host.cgroup_root.join("cgroup.controllers").is_file() {
        return Err(PreflightError::NoCgroup2 { path: host.cgroup_root.clone() });
    }
    if !is_bpffs(&host.bpffs) {
        return Err(PreflightError::NoBpffs { path: host.bpffs.clone() });
    }
    Ok(())
}

fn is_bpffs(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|stat| stat.f_type == BPF_FS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(lsm: Option<&str>) -> (tempfile::TempDir, Host) {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let host = Host { lsm_list: at("lsm"), btf: at("vmlinux"), cgroup_root: at("cgroup"), bpffs: at("bpf") };
        if let Some(lsm) = lsm {
            fs::write(&host.lsm_list, lsm).unwrap();
        }
        (dir, host)
    }

    #[test]
    fn names_securityfs_where_the_list_cannot_be_read() {
        let (_dir, host) = host(None);
        assert!(check(&host).unwrap_err().to_string().contains("mount -t securityfs"));
    }

    #[test]
    fn says_which_command_line_would_activate_bpf() {
        let (_dir, host) = host(Some("lockdown,capability,apparmor\n"));
        assert!(check(&host).unwrap_err().to_string().contains("boot it with lsm=lockdown,capability,apparmor,bpf"));
    }

    #[test]
    fn does_not_take_a_longer_name_for_bpf() {
        let (_dir, host) = host(Some("capability,bpfx"));
        assert!(matches!(check(&host), Err(PreflightError::NoBpfLsm { .. })));
    }

    #[test]
    fn names_each_thing_that_is_missing_in_turn() {
        let (_dir, host) = host(Some("capability,bpf"));
        assert!(matches!(check(&host), Err(PreflightError::NoBtf { .. })));
        fs::write(&host.btf, "").unwrap();
        assert!(matches!(check(&host), Err(PreflightError::NoCgroup2 { .. })));
        fs::create_dir(&host.cgroup_root).unwrap();
        fs::write(host.cgroup_root.join("cgroup.controllers"), "").unwrap();
        assert!(matches!(check(&host), Err(PreflightError::NoBpffs { .. })));
    }
}
