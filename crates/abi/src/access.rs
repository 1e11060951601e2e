//! What an operation asks of an object and what a profile's rules grant: one bit each, the accept values of a profile's automaton.

/// A set of the bits of this module.
pub type Access = u32;

/// Execute: `bprm_check_security`, for a script and for each interpreter.
pub const EXEC: Access = 1 << 0;
/// Open for reading. Judged only where [`GUARDED`] is among what the rules say of the path.
pub const READ: Access = 1 << 1;
/// Open for writing.
pub const WRITE: Access = 1 << 2;
/// Map as executable: a library, a loader, the program itself.
pub const MAP: Access = 1 << 3;
/// Connect to an address and port, or to the UNIX socket that is bound to a path.
pub const CONNECT: Access = 1 << 4;
/// Make an entry of that name: a file, directory, device, symbolic or hard link, or the new name of a rename.
pub const CREATE: Access = 1 << 5;
/// Remove the entry of that name: unlink, rmdir, or the old name of a rename.
pub const DELETE: Access = 1 << 6;
/// Change mode or owner.
pub const ATTRIBUTES: Access = 1 << 7;
/// Bind to a port.
pub const BIND: Access = 1 << 8;
/// Use what a key of [`crate::token`] names: a socket of a family, a capability, a privilege, an extended attribute, an abstract name.
pub const USE: Access = 1 << 9;
/// Execute under some names: what follows the path, NUL and the name says which (`exec` rules with `as`).
pub const CALLED: Access = 1 << 10;
/// Be executed or mapped as code although it was written since the container's image was made (*drift*).
pub const DRIFT: Access = 1 << 11;
/// Not a permission: the path lies in a tree whose reads are judged.
pub const GUARDED: Access = 1 << 30;

/// What a rule for a file can grant.
pub const FILE: Access = READ | WRITE | MAP | CREATE | DELETE | ATTRIBUTES | CONNECT | DRIFT;
/// What can be done to a file under any of its names: what a further name must not add. Not [`CONNECT`]: a socket keeps the name that it was
/// bound to.
pub const OF_INODE: Access = EXEC | READ | WRITE | MAP | ATTRIBUTES | CALLED | DRIFT;

/// What `asked` still lacks when the rules grant `granted`. Reads outside guarded trees lack nothing.
#[inline(always)]
#[must_use]
pub const fn missing(asked: Access, granted: Access) -> Access {
    let lacking = asked & !granted;
    if granted & GUARDED == 0 { lacking & !READ } else { lacking }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_judged_in_guarded_trees_only() {
        assert_eq!(missing(READ, 0), 0);
        assert_eq!(missing(READ, GUARDED), READ);
        assert_eq!(missing(READ, GUARDED | READ), 0);
    }

    #[test]
    fn opening_for_both_needs_both_in_a_guarded_tree() {
        assert_eq!(missing(READ | WRITE, WRITE), 0);
        assert_eq!(missing(READ | WRITE, GUARDED | WRITE), READ);
        assert_eq!(missing(READ | WRITE, GUARDED), READ | WRITE);
    }

    #[test]
    fn nothing_granted_lacks_all_that_is_not_an_unguarded_read() {
        assert_eq!(missing(EXEC | READ | WRITE | MAP | CONNECT | BIND, 0), EXEC | WRITE | MAP | CONNECT | BIND);
    }
}
