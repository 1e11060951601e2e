//! Ways round an allow-list of names that have worked against others, and do not here.
//!
//! Each is a test of its own; `docs/evasions.md` lists them beside those of other files.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use portcullis_e2e::{Builder, Kernel, enforcer, kernel_tests};

/// What every profile here grants.
macro_rules! rules {
    ($rules:literal) => {
        concat!("    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /bin/true}]\n", $rules)
    };
}

mod identity;
mod network;
mod overlay;
mod paths;
mod programs;

use identity::*;
use network::*;
use overlay::*;
use paths::*;
use programs::*;

kernel_tests!(machine:
    a_long_and_deep_path_is_judged_whole,
    names_that_begin_alike_for_200_bytes_are_told_apart,
    a_rule_for_a_directory_of_more_than_64_characters_holds_all_of_them,
    more_than_20_components_are_judged_whole,
    a_chroot_does_not_rename_files,
    a_symbolic_link_is_judged_by_its_target,
    an_open_file_is_judged_by_its_name,
    what_was_granted_before_is_not_granted_under_another_name,
    what_is_kept_of_a_folder_is_not_granted_under_another_name,
    a_program_that_was_renamed_is_judged_by_its_new_name,
    a_bind_mount_over_a_listed_path_needs_mount,
    a_program_that_may_run_may_not_be_overwritten,
    a_script_needs_its_interpreter_too,
    a_script_given_to_its_interpreter_needs_the_interpreter_and_its_children_are_judged,
    the_dynamic_loader_does_not_run_what_may_not_run,
    a_deleted_program_does_not_run,
    a_descriptor_without_a_path_is_judged_by_the_name_of_its_file,
    a_listed_program_may_not_be_overwritten_on_overlayfs,
    what_is_copied_up_keeps_its_name,
    namespaces_of_its_own_do_not_free_a_task,
    another_cgroup_does_not_free_a_task,
    a_container_in_the_hosts_process_namespace_is_judged,
    a_container_within_a_container_is_judged_as_the_outer_one,
    the_first_moment_of_a_container_is_judged,
    a_container_that_its_profile_does_not_list_may_do_nothing,
    a_child_is_judged_as_its_parent,
    a_container_that_is_gone_leaves_its_place,
    each_exec_session_has_a_number_of_its_own,
    a_flood_of_denials_hides_none_and_frees_nothing,
    a_flood_that_fills_the_ring_is_denied_and_its_losses_are_counted,
    no_transport_of_names_reaches_an_address_that_is_not_listed,
);

fn machine(kernel: Kernel) -> Builder {
    enforcer::loaded_machine(kernel).unwrap_or_else(|error| panic!("{error}"))
}
