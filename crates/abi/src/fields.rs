//! The fields of kernel structures that the programs read.
//!
//! rustc emits no CO-RE relocations, so each offset is a read-only global of the object, which the loader sets from the running kernel's BTF
//! before the kernel sees the programs. There are no default offsets: a field that the kernel lacks is an error that names it, or, of a feature that
//! a kernel may lack, known to the programs as absent.

/// Calls `$callback!` with one entry a field: the global's name, the structure, and the member's names, the first that the kernel knows
/// being taken (members are renamed now and then). Members of anonymous structures and unions within count as the structure's own.
#[macro_export]
macro_rules! for_each_kernel_field {
    ($callback:ident) => {
        $callback! {
            TASK_STORAGE "task_struct" ["bpf_storage"];
            TASK_FLAGS "task_struct" ["flags"];
            TASK_THREAD_INFO "task_struct" ["thread_info"];
            THREAD_INFO_STATUS "thread_info" ["status"];
            TASK_CRED "task_struct" ["cred"];
            TASK_REAL_CRED "task_struct" ["real_cred"];
            TASK_IO_URING "task_struct" ["io_uring"];
            TASK_CGROUPS "task_struct" ["cgroups"];
            TASK_NSPROXY "task_struct" ["nsproxy"];
            TASK_MM "task_struct" ["mm"];
            TASK_TGID "task_struct" ["tgid"];
            TASK_LEADER "task_struct" ["group_leader"];
            TASK_PARENT "task_struct" ["real_parent"];
            TASK_START "task_struct" ["start_boottime"];
            MM_ARG_START "mm_struct" ["arg_start"];
            MM_ARG_END "mm_struct" ["arg_end"];
            CSS_SET_CGROUP "css_set" ["dfl_cgrp"];
            CGROUP_NODE "cgroup" ["kn"];
            CGROUP_ROOT "cgroup" ["root"];
            CGROUP_ROOT_HIERARCHY "cgroup_root" ["hierarchy_id"];
            NODE_ID "kernfs_node" ["id"];
            NODE_NAME "kernfs_node" ["name"];
            NODE_PARENT "kernfs_node" ["parent", "__parent"];
            NSPROXY_MNT "nsproxy" ["mnt_ns"];
            MNT_NS_COMMON "mnt_namespace" ["ns"];
            NS_INUM "ns_common" ["inum"];
            MNT_NS_SEQ "mnt_namespace" ["seq"];
            MNT_NS_EVENT "mnt_namespace" ["event"];
            BPRM_FILE "linux_binprm" ["file"];
            BPRM_MM "linux_binprm" ["mm"];
            BPRM_ARGUMENTS "linux_binprm" ["p"];
            MM_PGD "mm_struct" ["pgd"];
            FILE_MODE "file" ["f_mode"];
            FILE_FLAGS "file" ["f_flags"];
            FILE_PATH "file" ["f_path"];
            FILE_INODE "file" ["f_inode"];
            INODE_NLINK "inode" ["i_nlink"];
            INODE_NUMBER "inode" ["i_ino"];
            INODE_GENERATION "inode" ["i_generation"];
            PATH_MNT "path" ["mnt"];
            PATH_DENTRY "path" ["dentry"];
            DENTRY_SEQ "dentry" ["d_seq"];
            DENTRY_HASH "dentry" ["d_hash"];
            HASH_PPREV "hlist_bl_node" ["pprev"];
            DENTRY_PARENT "dentry" ["d_parent"];
            DENTRY_NAME "dentry" ["d_name", "__d_name"];
            QSTR_HASH "qstr" ["hash"];
            QSTR_LEN "qstr" ["len"];
            QSTR_NAME "qstr" ["name"];
            VFSMOUNT_ROOT "vfsmount" ["mnt_root"];
            MOUNT_VFSMOUNT "mount" ["mnt"];
            MOUNT_PARENT "mount" ["mnt_parent"];
            MOUNT_POINT "mount" ["mnt_mountpoint"];
            MOUNT_NS "mount" ["mnt_ns"];
            SOCKET_SOCK "socket" ["sk"];
            SOCKET_TYPE "socket" ["type"];
            SOCK_COMMON "sock" ["__sk_common"];
            SOCK_FAMILY "sock_common" ["skc_family"];
            SOCK_PORT "sock_common" ["skc_num"];
            SOCK_PROTOCOL "sock" ["sk_protocol"];
            MESSAGE_NAME "msghdr" ["msg_name"];
            MESSAGE_NAME_LEN "msghdr" ["msg_namelen"];
            MESSAGE_FLAGS "msghdr" ["msg_flags"];
            VMA_FILE "vm_area_struct" ["vm_file"];
            VMA_FLAGS "vm_area_struct" ["vm_flags"];
            VMA_ANONYMOUS "vm_area_struct" ["anon_vma"];
            BACKING_USER_PATH "backing_file" ["user_path"];
            UNIX_ADDRESS "unix_sock" ["addr"];
            UNIX_PATH "unix_sock" ["path"];
            UNIX_PEER "unix_sock" ["peer"];
            UNIX_ADDRESS_LEN "unix_address" ["len"];
            UNIX_ADDRESS_NAME "unix_address" ["name"];
            DENTRY_SUPER "dentry" ["d_sb"];
            SUPER_MOUNTS "super_block" ["s_mounts"];
            MOUNT_OF_SUPER "mount" ["mnt_instance"];
            LIST_NEXT "list_head" ["next"];
            DENTRY_INODE "dentry" ["d_inode"];
            SUPER_MAGIC "super_block" ["s_magic"];
            OVL_INODE_VFS "ovl_inode" ["vfs_inode"];
            OVL_INODE_UPPER "ovl_inode" ["__upperdentry"];
        }
    };
}

/// The offset of a field of [`OPTIONAL`] that the kernel lacks.
pub const ABSENT: u64 = u64::MAX;

/// The globals of fields that a kernel may lack, since it was built without what they are for.
pub const OPTIONAL: &[&str] = &[
    // CONFIG_IO_URING
    "TASK_IO_URING",
    // Since 6.8: before, a file that backs one of overlayfs has the path of that one.
    "BACKING_USER_PATH",
    // Of overlayfs, which is a module of its own mostly.
    "OVL_INODE_VFS",
    "OVL_INODE_UPPER",
    // Newer kernels number namespaces otherwise: there nothing is kept of names.
    "MNT_NS_SEQ",
    "MNT_NS_EVENT",
    // Newer kernels list the mounts of a file system otherwise: there a socket that was bound in another mount namespace has no name.
    "MOUNT_OF_SUPER",
];

/// One entry of [`KERNEL_FIELDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelField {
    /// The object's global that holds the offset in bytes.
    pub global: &'static str,
    /// The kernel's structure.
    pub structure: &'static str,
    /// The member, by each name that kernels have given it, newest last.
    pub members: &'static [&'static str],
}

macro_rules! table {
    ($($global:ident $structure:literal [$($member:literal),+];)+) => {
        /// Every field that the programs read.
        pub const KERNEL_FIELDS: &[KernelField] =
            &[$(KernelField { global: stringify!($global), structure: $structure, members: &[$($member),+] }),+];
    };
}
for_each_kernel_field!(table);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_global_is_named_twice() {
        for (index, field) in KERNEL_FIELDS.iter().enumerate() {
            assert!(KERNEL_FIELDS[index + 1..].iter().all(|other| other.global != field.global), "{}", field.global);
        }
    }
}
