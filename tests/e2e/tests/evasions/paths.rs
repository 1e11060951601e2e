//! Names: long, deep, by other roots and links, and changed after a grant.

use portcullis_e2e::{
    TestResult, Vm,
    case::{Case, profile},
    enforcer::path_of,
};

pub(super) fn a_long_and_deep_path_is_judged_whole(vm: &Vm) -> TestResult {
    // 300 components, 3,300 bytes: past every buffer and step count of those who cut paths.
    let folder = "/data".to_owned() + &"/0123456789".repeat(300);
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: \"/**/granted\"}]\n";
    let mut case = Case::new(vm, "long", rules)?;
    let script = format!(
        "mkdir -p {root}{folder} && cp /bin/busybox {root}{folder}/granted && cp /bin/busybox {root}{folder}/other",
        root = case.container.rootfs()
    );
    assert!(vm.sh(&script)?.success());
    case.enforce()?;
    assert_eq!(case.attempt(&["exec", &format!("{folder}/other"), "true"])?, "EPERM");
    // busybox does not know an applet of that name, and says so: it ran.
    assert!(case.attempt(&["exec", &format!("{folder}/granted"), "true"])?.is_empty());
    let event = case.enforcer.wait_for_event("other", |event| path_of(event).ends_with("/other"))?;
    assert_eq!(path_of(&event), format!("{folder}/other"));
    case.end()
}

pub(super) fn a_chroot_does_not_rename_files(vm: &Vm) -> TestResult {
    let mut case = Case::new(
        vm,
        "chroot",
        "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: /bin/true}, {path: /jail/attempt}]\n    capabilities: [SYS_CHROOT]\n",
    )?;
    let root = case.container.rootfs();
    assert!(
        vm.sh(&format!("mkdir -p {root}/jail/bin && cp {root}/attempt {root}/jail/attempt && cp /bin/busybox {root}/jail/bin/true"))?
            .success()
    );
    case.enforce()?;
    assert_eq!(case.attempt(&["in-root", "/jail", "exec", "/bin/true"])?, "EPERM");
    case.enforcer.wait_for_event("the name from outside", |event| path_of(event) == "/jail/bin/true")?;
    case.end()
}

pub(super) fn a_symbolic_link_is_judged_by_its_target(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "symlink", rules!("    files: [{path: \"/data/to-*\", access: [create]}]\n"))?;
    case.enforce()?;
    assert_eq!(case.attempt(&["symlink", "/bin/echo", "/data/to-echo"])?, "allowed");
    assert_eq!(case.attempt(&["exec", "/data/to-echo", "x"])?, "EPERM");
    assert_eq!(case.attempt(&["symlink", "/bin/true", "/data/to-true"])?, "allowed");
    assert_eq!(case.attempt(&["exec", "/data/to-true"])?, "");
    case.end()
}

pub(super) fn an_open_file_is_judged_by_its_name(vm: &Vm) -> TestResult {
    let mut case = Case::new(vm, "open", rules!("    guard: []\n"))?;
    case.enforce()?;
    assert_eq!(case.attempt(&["exec-open", "/bin/echo"])?, "EPERM");
    case.enforcer.wait_for_event("its name", |event| path_of(event) == "/bin/echo")?;
    assert_eq!(case.attempt(&["exec", "/proc/self/exe", "read", "/"])?, "allowed", "its own name is granted");
    case.end()
}

/// Opens the file for writing, twice: what the first time leaves behind must be right, too.
fn writes(case: &Case<'_>, path: &str, answer: &str, why: &str) -> TestResult {
    for _ in 0..2 {
        assert_eq!(case.attempt(&["write", path])?, answer, "{why}");
    }
    Ok(())
}

/// Grants are kept with the file; none may outlive what it was granted for.
pub(super) fn what_was_granted_before_is_not_granted_under_another_name(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}]\n    files: [{path: \"/data/dir/**\", access: [write]}]\n";
    let mut case = Case::new(vm, "kept", rules)?;
    let root = case.container.rootfs();
    assert!(
        vm.sh(&format!(
            "mkdir -p {root}/data/dir/deep {root}/mnt && echo x >{root}/data/dir/deep/file && chmod 666 {root}/data/dir/deep/file"
        ))?
        .success()
    );
    case.enforce()?;
    writes(&case, "/data/dir/deep/file", "allowed", "granted")?;
    assert!(vm.sh(&format!("mv {root}/data/dir {root}/data/moved"))?.success());
    writes(&case, "/data/moved/deep/file", "EPERM", "a directory above it was moved")?;
    assert!(vm.sh(&format!("mv {root}/data/moved {root}/data/dir"))?.success());
    writes(&case, "/data/dir/deep/file", "allowed", "and moved back")?;
    assert!(vm.sh(&format!("ln {root}/data/dir/deep/file {root}/data/second"))?.success());
    writes(&case, "/data/second", "EPERM", "a second name")?;
    writes(&case, "/data/dir/deep/file", "allowed", "the first name")?;
    assert!(vm.sh(&format!("rm {root}/data/dir/deep/file"))?.success());
    writes(&case, "/data/second", "EPERM", "the second name, alone")?;
    assert!(vm.sh(&format!("mv {root}/data/second {root}/data/dir/third"))?.success());
    writes(&case, "/data/dir/third", "allowed", "renamed to where it is granted")?;
    let rules = rules.replace("/data/dir/**", "/data/other");
    case.enforcer.apply("kept.yaml", &profile("kept", "enforce", &rules))?;
    writes(&case, "/data/dir/third", "EPERM", "the profile has changed")?;
    case.end()
}

/// Where the table has come to is kept with folders; that may not outlive the folder's name, however it changes.
pub(super) fn what_is_kept_of_a_folder_is_not_granted_under_another_name(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}]\n    files: [{path: \"/data/dir/**\", access: [write]}]\n";
    let mut case = Case::new(vm, "folders", rules)?;
    let root = case.container.rootfs();
    let files = "for folder in dir unlisted shown; do mkdir data/$folder; for file in a b c d; do touch data/$folder/$file; done; done";
    assert!(vm.sh(&format!("cd {root} && {files} && chmod -R a+w data"))?.success());
    // What the node does in the container's mount namespace.
    let pid = case.container.pid()?;
    let mount = |words: &str| -> TestResult {
        vm.command("nsenter").args(["-t", &pid.to_string(), "-m"]).args(words.split(' ')).check()?;
        Ok(())
    };
    case.enforce()?;
    writes(&case, "/data/dir/a", "allowed", "granted")?;
    writes(&case, "/data/dir/b", "allowed", "by what is kept of the folder")?;
    assert!(vm.sh(&format!("mv {root}/data/dir {root}/data/moved"))?.success());
    writes(&case, "/data/moved/c", "EPERM", "the folder was moved")?;
    assert!(vm.sh(&format!("mv {root}/data/moved {root}/data/dir"))?.success());
    writes(&case, "/data/dir/c", "allowed", "and moved back")?;
    mount("/bin/mount --bind /data/unlisted /data/dir")?;
    writes(&case, "/data/dir/a", "allowed", "another folder has the name")?;
    writes(&case, "/data/unlisted/b", "EPERM", "the same folder, by another mount")?;
    mount("/bin/mount -o move /data/dir /data/shown")?;
    writes(&case, "/data/shown/a", "EPERM", "the mount was moved, and has a file of which something was kept")?;
    writes(&case, "/data/shown/c", "EPERM", "and one of which nothing was")?;
    writes(&case, "/data/dir/d", "allowed", "what was below the mount")?;
    mount("/bin/umount /data/shown")?;
    writes(&case, "/data/shown/a", "EPERM", "what was below that one")?;
    // A file that is mounted by itself has the name of its mount, and not that of its folder and itself.
    mount("/bin/mount --bind /data/dir/a /data/unlisted/a")?;
    writes(&case, "/data/unlisted/a", "EPERM", "a listed file, mounted elsewhere")?;
    mount("/bin/mount --bind /data/unlisted/d /data/dir/d")?;
    writes(&case, "/data/dir/d", "allowed", "another file, mounted where it is granted")?;
    writes(&case, "/data/unlisted/d", "EPERM", "the same, by its own name")?;
    case.end()
}

/// Two programs in this folder, of which the rules grant `granted`; busybox does not know an applet of that name, and says so: it ran.
fn told_apart(vm: &Vm, name: &'static str, rules: &'static str, folder: &str) -> TestResult {
    let mut case = Case::new(vm, name, rules)?;
    let root = case.container.rootfs();
    let script = format!("mkdir -p {root}{folder} && cp /bin/busybox {root}{folder}/granted && cp /bin/busybox {root}{folder}/other");
    assert!(vm.sh(&script)?.success());
    case.enforce()?;
    assert_eq!(case.attempt(&["exec", &format!("{folder}/granted"), "true"])?, "");
    assert_eq!(case.attempt(&["exec", &format!("{folder}/other"), "true"])?, "EPERM");
    case.enforcer.wait_for_event("the whole name", |event| path_of(event) == format!("{folder}/other"))?;
    case.end()
}

pub(super) fn names_that_begin_alike_for_200_bytes_are_told_apart(vm: &Vm) -> TestResult {
    // 255 bytes are the longest that one component may have.
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: \"/data/x*x/granted\"}]\n";
    told_apart(vm, "bytes", rules, &format!("/data/{}", "x".repeat(255)))
}

pub(super) fn a_rule_for_a_directory_of_more_than_64_characters_holds_all_of_them(vm: &Vm) -> TestResult {
    let rules = "    exec: [{path: /attempt}, {path: /bin/sleep}]\n    files:\n    - path: \
                 /data/aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg1/**\n      access: [create, write]\n";
    let mut case = Case::new(vm, "directory", rules)?;
    let root = case.container.rootfs();
    let folder = |last| format!("/data/aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg{last}");
    assert!(vm.sh(&format!("mkdir -p {root}{} {root}{}", folder(1), folder(2)))?.success());
    case.enforce()?;
    assert_eq!(case.attempt(&["create", &format!("{}/file", folder(1))])?, "allowed");
    assert_eq!(case.attempt(&["create", &format!("{}/file", folder(2))])?, "EPERM", "it differs in the last character");
    case.end()
}

pub(super) fn more_than_20_components_are_judged_whole(vm: &Vm) -> TestResult {
    // Who cuts the front off takes the second for the first.
    let mut case = Case::new(vm, "components", "    exec: [{path: /attempt}, {path: /bin/sleep}, {path: \"/data/**/granted\"}]\n")?;
    let root = case.container.rootfs();
    let deep = "/d".repeat(40);
    let script = format!("for top in data lib; do mkdir -p {root}/$top{deep} && cp /bin/busybox {root}/$top{deep}/granted; done",);
    assert!(vm.sh(&script)?.success());
    case.enforce()?;
    assert_eq!(case.attempt(&["exec", &format!("/data{deep}/granted"), "true"])?, "");
    assert_eq!(case.attempt(&["exec", &format!("/lib{deep}/granted"), "true"])?, "EPERM");
    case.end()
}

pub(super) fn a_program_that_was_renamed_is_judged_by_its_new_name(vm: &Vm) -> TestResult {
    let mut case =
        Case::new(vm, "renamed", rules!("    files: [{path: \"/bin/*\", access: [delete]}, {path: \"/data/*\", access: [create]}]\n"))?;
    case.enforce()?;
    assert_eq!(case.attempt(&["exec", "/bin/true"])?, "");
    assert_eq!(case.attempt(&["rename", "/bin/true", "/data/true"])?, "allowed");
    assert_eq!(case.attempt(&["exec", "/data/true"])?, "EPERM", "the same file, a moment later");
    // And what takes a listed name must be let in under it.
    assert_eq!(case.attempt(&["rename", "/data/true", "/bin/true"])?, "EPERM");
    case.end()
}

pub(super) fn a_bind_mount_over_a_listed_path_needs_mount(vm: &Vm) -> TestResult {
    let with_admin = |container: portcullis_e2e::runc::ContainerBuilder| container.capabilities(["CAP_SYS_ADMIN"]);
    let mut case = Case::with(vm, "over", rules!("    capabilities: [SYS_ADMIN]\n"), with_admin)?;
    case.enforce()?;
    assert_eq!(case.attempt(&["exec", "/bin/echo", "x"])?, "EPERM");
    assert_eq!(case.attempt(&["bind-mount", "/bin/echo", "/bin/true"])?, "EPERM");
    // Where it is granted, names are what the mounts make them: such a profile gives more than it lists.
    let granted = profile("over", "enforce", rules!("    capabilities: [SYS_ADMIN]\n    privileges: [mount]\n"));
    case.enforcer.apply("over.yaml", &granted)?;
    assert_eq!(case.attempt(&["bind-mount", "/bin/echo", "/bin/true"])?, "allowed");
    // The file of busybox, which does what it is called.
    assert_eq!(case.attempt(&["exec", "/bin/true", "x"])?, "");
    assert_eq!(case.attempt(&["exec", "/bin/echo", "x"])?, "EPERM", "the name it had before is judged as ever");
    case.end()
}
