//! Which tests are to fail without which program.

/// What is claimed of a program.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// The program, named after its hook.
    pub program: &'static str,
    /// The tests that fail without it, as `FILE::TEST`.
    pub tests: &'static [&'static str],
}

macro_rules! claims {
    ($($program:literal: $($test:literal),+;)+) => {
        /// Every program, in the order in which they are attached.
        pub const CLAIMS: &[Claim] = &[$(Claim { program: $program, tests: &[$($test),+] }),+];
    };
}

claims! {
    "cgroup_mkdir": "enforcement::judges_the_first_exec_of_a_container", "evasions::the_first_moment_of_a_container_is_judged";
    "cgroup_rmdir": "evasions::a_container_that_is_gone_leaves_its_place";
    "task_alloc": "evasions::a_child_is_judged_as_its_parent", "evasions::each_exec_session_has_a_number_of_its_own";
    "bprm_check_security": "drift::a_program_that_was_written_does_not_run", "names::a_program_of_many_runs_by_the_names_that_are_listed", "enforcement::allows_and_denies_exec", "evasions::a_script_needs_its_interpreter_too";
    "mmap_file": "drift::a_library_that_was_written_is_not_mapped", "privileges::executable_memory_is_made_where_that_is_listed", "enforcement::allows_and_denies_executable_mappings", "evasions::the_dynamic_loader_does_not_run_what_may_not_run";
    "file_open": "enforcement::allows_and_denies_opening_for_writing", "enforcement::allows_and_denies_reading_in_guarded_trees";
    "file_mprotect": "drift::a_library_that_was_written_is_not_mapped", "privileges::memory_is_made_executable_where_that_is_listed", "files::a_mapping_that_becomes_executable_later_needs_map";
    "path_mknod": "files::making_entries_needs_create";
    "path_mkdir": "files::making_entries_needs_create";
    "path_symlink": "files::making_entries_needs_create";
    "path_unlink": "files::removing_entries_needs_delete";
    "path_rmdir": "files::removing_entries_needs_delete";
    "path_rename": "files::renaming_needs_delete_of_the_old_and_create_of_the_new_name";
    "path_link": "files::a_further_name_gives_no_more_than_the_first";
    "path_truncate": "files::cutting_a_file_needs_write";
    "file_truncate": "files::cutting_a_file_needs_write";
    "path_chmod": "files::changing_attributes_needs_attributes";
    "path_chown": "files::changing_attributes_needs_attributes";
    "socket_connect": "enforcement::allows_and_denies_connecting", "evasions::no_transport_of_names_reaches_an_address_that_is_not_listed";
    "socket_sendmsg": "files::a_message_without_a_connection_needs_connect";
    "socket_bind": "unix::an_abstract_name_needs_to_be_listed", "ports::a_port_needs_bind_whatever_the_address";
    "socket_listen": "ports::each_listener_passes_one_check";
    "socket_create": "capabilities::sockets_are_made_where_they_are_listed";
    "unix_stream_connect": "unix::a_socket_of_a_path_needs_connect", "unix::a_socket_that_was_bound_outside_has_the_name_of_its_mount";
    "unix_may_send": "unix::a_datagram_needs_connect_once";
    "capable": "capabilities::a_capability_is_used_where_it_is_listed", "capabilities::ids_are_set_where_that_is_listed";
    "ptrace_access_check": "privileges::other_processes_are_traced_where_that_is_listed";
    "ptrace_traceme": "privileges::other_processes_are_traced_where_that_is_listed";
    "task_kill": "protection::signals_stay_within_the_container";
    "sb_mount": "privileges::mounts_are_made_where_that_is_listed", "evasions::a_bind_mount_over_a_listed_path_needs_mount";
    "sb_remount": "privileges::mounts_are_made_where_that_is_listed";
    "move_mount": "privileges::mounts_are_made_where_that_is_listed";
    "sb_umount": "privileges::mounts_are_removed_where_that_is_listed";
    "sb_pivotroot": "privileges::the_root_is_moved_where_that_is_listed";
    "userns_create": "privileges::user_namespaces_are_made_where_that_is_listed";
    "bpf": "privileges::bpf_and_perf_are_used_where_they_are_listed";
    "perf_event_open": "privileges::bpf_and_perf_are_used_where_they_are_listed";
    "kernel_load_data": "privileges::kernels_are_changed_where_that_is_listed";
    "kernel_read_file": "privileges::kernels_are_changed_where_that_is_listed";
    "key_alloc": "privileges::keys_are_used_where_that_is_listed";
    "key_permission": "privileges::keys_are_used_where_that_is_listed";
    "inode_init_security_anon": "privileges::rings_are_made_where_they_are_listed";
    "inode_setxattr": "privileges::attributes_are_changed_where_they_are_listed";
    "inode_removexattr": "privileges::attributes_are_changed_where_they_are_listed";
    "inode_set_acl": "privileges::attributes_are_changed_where_they_are_listed";
    "inode_remove_acl": "privileges::attributes_are_changed_where_they_are_listed";
}
