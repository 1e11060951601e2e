//! Tables as bytes, for what is stored beside a profile or handed to another process.
//!
//! ```text
//!   offset   bytes    what
//!   0        8        magic, "PORTCTBL"
//!   8        4        version, 1
//!   12       4        number of slots
//!   16       4        number of states
//!   20       8 × n    the slots
//!   20+8n    32       SHA-256 of all bytes before it
//! ```
//!
//! All numbers are little-endian. The digest finds accidents. It stops nobody who writes it anew: therefore the structure is checked
//! as well, and bytes that pass both can at worst accept other paths, never lead a walk astray. Who may write
//! the bytes is for whoever stores them to decide.

use sha2::{Digest, Sha256};

use crate::table::{StructureError, Table};

const MAGIC: [u8; 8] = *b"PORTCTBL";
const VERSION: u32 = 1;
const DIGEST_BYTES: usize = 32;

/// Why bytes are no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The bytes do not begin as a table does.
    #[error("not a table: it does not begin with the magic bytes")]
    Magic,
    /// The version is none that this release reads.
    #[error("a table of version {found}, and this release reads version {VERSION}: compile the profile again")]
    Version {
        /// The version that the bytes name.
        found: u32,
    },
    /// There are fewer or more bytes than the table says that it has.
    #[error("a table of {found} bytes, where its head makes it {expected}")]
    Length {
        /// How many bytes there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// The digest is not that of the bytes.
    #[error("the table was altered: its digest does not fit")]
    Digest,
    /// The head's number of states is not that of the slots.
    #[error("{found} states, where the table's head says {expected}")]
    States {
        /// How many states the slots have.
        found: usize,
        /// How many the head says.
        expected: usize,
    },
    /// The slots are none that a walk could not leave.
    #[error(transparent)]
    Structure(#[from] StructureError),
}

impl Table {
    /// The table as bytes. Equal tables give equal bytes.
    #[expect(clippy::cast_possible_truncation, reason = "a table has at most 2^30 slots, and no more states than slots")]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + 8 * self.slots().len() + DIGEST_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(self.slots().len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.states() as u32).to_le_bytes());
        for slot in self.slots() {
            bytes.extend_from_slice(&slot.to_le_bytes());
        }
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        bytes
    }

    /// Reads what [`Table::to_bytes`] wrote.
    ///
    /// # Errors
    /// Where the bytes were cut, extended or altered, are of another version, or hold slots that a walk could leave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(WireError::Magic)?;
        if *magic != MAGIC {
            return Err(WireError::Magic);
        }
        let cut = || WireError::Length { found: bytes.len(), expected: HEAD_BYTES + DIGEST_BYTES };
        let (version, rest) = number(rest).ok_or_else(cut)?;
        if version != VERSION {
            return Err(WireError::Version { found: version });
        }
        let (slot_count, rest) = number(rest).ok_or_else(cut)?;
        let (states, rest) = number(rest).ok_or_else(cut)?;

        let slot_bytes = (slot_count as usize).saturating_mul(8);
        let expected = slot_bytes.saturating_add(HEAD_BYTES + DIGEST_BYTES);
        let wrong = WireError::Length { found: bytes.len(), expected };
        if bytes.len() != expected {
            return Err(wrong);
        }
        let Some((slots, digest)) = rest.split_at_checked(slot_bytes) else { return Err(wrong) };
        let Some(signed) = bytes.get(..HEAD_BYTES + slot_bytes) else { return Err(wrong) };
        if Sha256::digest(signed).as_slice() != digest {
            return Err(WireError::Digest);
        }
        let (slots, _) = slots.as_chunks::<8>();
        let table = Self::from_slots(slots.iter().map(|slot| u64::from_le_bytes(*slot)).collect())?;
        if table.states() != states as usize {
            return Err(WireError::States { found: table.states(), expected: states as usize });
        }
        Ok(table)
    }
}

/// The bytes before the slots.
const HEAD_BYTES: usize = 20;

/// The number that the bytes begin with, and the bytes behind it.
fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*number), rest))
}
