//! Places and words on which the image's maker (on the host) and the agent (in the guest) agree.

/// Modules to load at boot, one file name a line, each after those that it needs.
pub const MODULES_ORDER: &str = "/modules/order";

/// The folder that holds them; gone once they are loaded.
pub const MODULES_FOLDER: &str = "/modules";

/// A shell script that runs before the agent serves; the boot fails where it does.
pub const BOOT_SCRIPT: &str = "/boot.sh";

/// On the kernel's command line: mount cgroup version 1 only.
pub const CGROUPS_V1_ARGUMENT: &str = "portcullis.cgroups=v1";

/// Where the guest's programs are.
pub const PATH: &str = "/bin";

/// A user of the guest who is not root, and the id of this user and of its group.
pub const USER: (&str, u32) = ("user", 1000);
