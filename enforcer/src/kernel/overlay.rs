//! The types of overlayfs, which tell what of a container was written since its image was made. It is a module of its own in most kernels, and
//! its types are there once it is loaded.

use btf_rs::Btf;
use rustix::mount::{FsOpenFlags, fsopen};
use std::path::Path;

/// Where its types are once it is loaded, as a module.
const MODULE: &str = "/sys/kernel/btf/overlay";

/// Its types, where it is a module. One that is not loaded yet is asked for, as a container runtime would by its first mount.
pub(super) fn types(base: &Btf) -> Option<Btf> {
    if base.resolve_ids_by_name("ovl_inode").is_ok_and(|ids| !ids.is_empty()) {
        return None;
    }
    if !Path::new(MODULE).exists() {
        // The kernel loads the module that a file system is in; what is opened here is closed at once.
        let _ = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC);
    }
    let types = Btf::from_split_file(MODULE, base);
    if let Err(error) = &types {
        tracing::warn!(path = MODULE, %error, "no types of overlayfs: what was written since an image was made is not told apart");
    }
    types.ok()
}
