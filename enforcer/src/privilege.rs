//! What the agent gives up once it enforces. Loading, attaching and the canary need privileges; feeding maps, reading events and writing
//! profiles need none: what the kernel asks for then is an open descriptor, or the owner of a file.
//!
//! So every capability goes, from every set, the bounding one among them, and `no_new_privs` keeps any program from giving one back.
//! Both are a thread's own: this runs before the agent has a second one, and threads that are made later inherit it.

use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
use std::{fs, io};

/// Gives up every capability, for good.
///
/// # Errors
/// Where another thread runs already, or the kernel refuses: the agent would go on with more than it says.
pub fn drop_all() -> io::Result<()> {
    let threads = fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        return Err(io::Error::other(format!("{threads} threads run already, and each would keep its own capabilities")));
    }
    // From the bounding set first: that takes CAP_SETPCAP.
    for bit in 0..=last_capability()? {
        remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit))?;
    }
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    set_no_new_privs(true)?;
    Ok(())
}

/// The highest capability that this kernel knows.
fn last_capability() -> io::Result<u32> {
    let text = fs::read_to_string("/proc/sys/kernel/cap_last_cap")?;
    text.trim().parse().ok().filter(|last| *last < 64).ok_or_else(|| io::Error::other(format!("cap_last_cap says {text}")))
}
