//! Addresses of the kernel's variables, from `/proc/kallsyms`. There are no defaults: what is not shown is 0, which turns one thing off.

/// The globals of the object that take an address, each with the variable.
const VARIABLES: [(&str, &str); 5] = [
    ("RENAME_LOCK", "rename_lock"),
    ("MOUNT_LOCK", "mount_lock"),
    ("PAGE_OFFSET_BASE", "page_offset_base"),
    // The next two are not there where the kernel was built for page tables of one depth, or without encrypted memory.
    ("PGDIR_SHIFT", "pgdir_shift"),
    ("PHYSICAL_MASK", "physical_mask"),
];

/// The address for each global, as of now.
pub(super) fn addresses() -> [(&'static str, u64); 5] {
    let found = find(&std::fs::read_to_string("/proc/kallsyms").unwrap_or_default());
    let is_hidden = |wanted: &str| found.iter().any(|(global, address)| *global == wanted && *address == 0);
    if is_hidden("RENAME_LOCK") || is_hidden("MOUNT_LOCK") {
        tracing::warn!("/proc/kallsyms does not show rename_lock and mount_lock: each open costs a walk");
    }
    if is_hidden("PAGE_OFFSET_BASE") {
        tracing::warn!(
            "/proc/kallsyms does not show page_offset_base: names of programs cannot be read, and exec rules with `as` grant nothing"
        );
    }
    found
}

/// The addresses of [`VARIABLES`] in one pass, since the list is long. 0 where one is not there, or hidden.
fn find(symbols: &str) -> [(&'static str, u64); 5] {
    let mut found = VARIABLES.map(|(global, _)| (global, 0));
    for line in symbols.lines() {
        let mut words = line.split_whitespace();
        // What is only read once the kernel has booted lies among its constants.
        let (Some(address), Some("d" | "D" | "b" | "B" | "r" | "R"), Some(symbol), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        if let Some(at) = VARIABLES.iter().position(|(_, variable)| *variable == symbol)
            && let (Some((_, kept)), Ok(address)) = (found.get_mut(at), u64::from_str_radix(address, 16))
        {
            *kept = address.max(*kept);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_address_of_a_variable_and_no_other() {
        let symbols = "ffffffff81000000 T mount_lock\nffffffff82a00040 D mount_lock\nffffffffc0000000 d mount_lock_x\t[module]\n\
                       ffffffff82400000 R page_offset_base\n";
        let address_of =
            |symbols: &str, wanted: &str| find(symbols).iter().find(|(global, _)| *global == wanted).map(|(_, address)| *address);
        assert_eq!(address_of(symbols, "MOUNT_LOCK"), Some(0xffff_ffff_82a0_0040));
        assert_eq!(address_of(symbols, "PAGE_OFFSET_BASE"), Some(0xffff_ffff_8240_0000));
        assert_eq!(address_of(symbols, "RENAME_LOCK"), Some(0));
        assert_eq!(address_of("0000000000000000 D rename_lock\n", "RENAME_LOCK"), Some(0), "hidden");
    }
}
