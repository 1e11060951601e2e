//! Executable memory that holds other bytes than a file does.

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mmap_anonymous, mprotect};
use std::{ffi::c_void, fs, io, ptr};

const LENGTH: usize = 4096;

/// What came of it; `None` where the words are not about memory.
pub(crate) fn attempt(words: &[&str]) -> Option<io::Result<()>> {
    Some(match *words {
        ["map-memory"] => anonymous(ProtFlags::READ | ProtFlags::EXEC, MapFlags::PRIVATE).map(drop),
        ["map-shared-memory"] => anonymous(ProtFlags::READ | ProtFlags::EXEC, MapFlags::SHARED).map(drop),
        ["protect-memory"] => anonymous(ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE).and_then(change_and_protect),
        ["map-writable", path] => of_file(path, ProtFlags::READ | ProtFlags::WRITE | ProtFlags::EXEC).map(drop),
        ["protect-changed", path] => of_file(path, ProtFlags::READ | ProtFlags::WRITE).and_then(change_and_protect),
        _ => return None,
    })
}

fn anonymous(protection: ProtFlags, flags: MapFlags) -> io::Result<*mut c_void> {
    // SAFETY: a new mapping at an address of the kernel's choice; nothing refers to it.
    Ok(unsafe { mmap_anonymous(ptr::null_mut(), LENGTH, protection, flags) }?)
}

fn of_file(path: &str, protection: ProtFlags) -> io::Result<*mut c_void> {
    let file = fs::File::open(path)?;
    // SAFETY: as above.
    Ok(unsafe { mmap(ptr::null_mut(), LENGTH, protection, MapFlags::PRIVATE, &file, 0) }?)
}

fn change_and_protect(memory: *mut c_void) -> io::Result<()> {
    // SAFETY: the caller's mapping, writable and as long.
    unsafe {
        memory.cast::<u8>().write_volatile(0xc3);
        mprotect(memory, LENGTH, MprotectFlags::READ | MprotectFlags::EXEC)?;
    }
    Ok(())
}
