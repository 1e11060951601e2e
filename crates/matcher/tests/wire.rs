//! What `from_bytes` and `from_slots` must refuse: accidents, and slots made up by someone who knows the digest.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use portcullis_matcher::{Builder, INFO_OFFSET, Pattern, State, StructureError, Table, WireError, step};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const HEAD_BYTES: usize = 20;
const DIGEST_BYTES: usize = 32;

fn table() -> Table {
    let mut builder = Builder::new(|a, b| a | b);
    for (text, accept) in [("/bin/sh", 1), ("/etc/**", 2), ("/tmp/[a-f]*.py", 4)] {
        builder.add(&Pattern::parse(text).unwrap(), accept).unwrap();
    }
    builder.build().unwrap()
}

/// The bytes with a digest that fits.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len().saturating_sub(DIGEST_BYTES));
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    bytes
}

/// No byte, on no state that can be reached, leads to a look outside of the table.
fn assert_closed(table: &Table) {
    let len = u32::try_from(table.slots().len()).unwrap();
    let mut seen = vec![State::START];
    let mut place = 0;
    while place < seen.len() {
        let state = seen[place];
        place += 1;
        if state == State::DEAD {
            continue;
        }
        assert!((state.raw() >> 1) + INFO_OFFSET < len, "{state:?} looks outside");
        for byte in 0..=255 {
            let next = step(table, state, byte);
            if !seen.contains(&next) {
                seen.push(next);
            }
        }
    }
}

#[test]
fn reads_back_what_it_wrote() {
    let table = table();
    let read = Table::from_bytes(&table.to_bytes()).unwrap();
    assert_eq!(read, table);
    assert_eq!(read.states(), table.states());
    assert_closed(&read);
}

#[test]
fn refuses_a_table_with_any_byte_changed() {
    let bytes = table().to_bytes();
    for place in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[place] ^= flip;
            assert!(Table::from_bytes(&changed).is_err(), "byte {place} ^ {flip:#x}");
        }
    }
}

#[test]
fn refuses_a_table_cut_or_extended_anywhere() {
    let bytes = table().to_bytes();
    for len in 0..bytes.len() {
        assert!(Table::from_bytes(&bytes[..len]).is_err(), "{len} bytes");
        assert!(Table::from_bytes(&sealed(bytes[..len].to_vec())).is_err(), "{len} bytes, sealed");
    }
    let extended = [bytes.as_slice(), &[0; 8]].concat();
    assert_eq!(Table::from_bytes(&extended), Err(WireError::Length { found: bytes.len() + 8, expected: bytes.len() }));
}

#[test]
fn names_what_is_wrong_with_the_head() {
    let bytes = table().to_bytes();
    let with = |place: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[place] = value;
        Table::from_bytes(&sealed(bytes)).unwrap_err()
    };
    assert_eq!(Table::from_bytes(b""), Err(WireError::Magic));
    assert_eq!(with(0, b'p'), WireError::Magic);
    assert_eq!(with(8, 2), WireError::Version { found: 2 });
    assert!(matches!(with(15, 0xff), WireError::Length { .. }));
    let states = table().states();
    let wrong = u8::try_from(states).unwrap() + 1;
    assert_eq!(with(16, wrong), WireError::States { found: states, expected: states + 1 });
    let mut unsealed = bytes.clone();
    unsealed[HEAD_BYTES] ^= 1;
    assert_eq!(Table::from_bytes(&unsealed), Err(WireError::Digest));
}

#[test]
fn refuses_slots_that_a_walk_could_leave() {
    let good = table().slots().to_vec();
    let refuses = |place: usize, slot: u64| {
        let mut slots = good.clone();
        slots[place] = slot;
        let mut bytes = table().to_bytes();
        bytes[HEAD_BYTES + 8 * place..][..8].copy_from_slice(&slot.to_le_bytes());
        let error = Table::from_slots(slots).unwrap_err();
        assert_eq!(Table::from_bytes(&sealed(bytes)), Err(WireError::Structure(error)));
        error
    };
    let info = INFO_OFFSET as usize;
    let slash = usize::from(b'/');
    let start_on_slash = good[slash];
    assert_eq!(start_on_slash & 0xffff_ffff, 1, "the start's transition on a slash");

    assert_eq!(refuses(info, 0), StructureError::NoStart);
    // Beyond the end; a number with the top bit; no such state; a state without the information slot that it claims.
    for target in [0x7fff_fffe_u32, 0xffff_ffff, 0x8000_0001, 2 * 9999, start_on_slash_target(&good) ^ 1] {
        assert_eq!(refuses(slash, u64::from(target) << 32 | 1), StructureError::Dangling { index: slash, target });
        assert_eq!(refuses(info, u64::from(target) << 32 | 0x8000_0000), StructureError::Dangling { index: info, target });
    }
    // A transition of a state whose row cannot reach here, of one that has no information slot, of the dead state.
    assert_eq!(refuses(info + 1, 1), StructureError::Stray { index: info + 1 });
    assert_eq!(refuses(1, 3), StructureError::Stray { index: 1 });
    assert_eq!(refuses(1, 1 << 32), StructureError::Stray { index: 1 });
    // An information slot in front of every place that one could have.
    assert_eq!(refuses(5, 0x8000_0001), StructureError::Stray { index: 5 });
}

fn start_on_slash_target(slots: &[u64]) -> u32 {
    u32::try_from(slots[usize::from(b'/')] >> 32).unwrap()
}

#[test]
fn refuses_a_table_whose_last_rows_were_cut_off() {
    let good = table().slots().to_vec();
    for len in 0..good.len() {
        assert!(Table::from_slots(good[..len].to_vec()).is_err(), "{len} slots");
    }
    let mut padded = good.clone();
    padded.resize(good.len() + 100, 0);
    assert_closed(&Table::from_slots(padded).unwrap());
}

proptest! {
    #[test]
    fn never_panics_on_bytes_of_any_kind(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let head = [b"PORTCTBL\x01\0\0\0".as_slice(), &bytes].concat();
        prop_assert!(Table::from_bytes(&bytes).is_err());
        prop_assert!(Table::from_bytes(&sealed(head)).is_err());
    }

    #[test]
    fn whatever_slots_are_let_through_keep_every_walk_inside(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_u32..0x900, 0_u32..0x900, any::<bool>()), 1..4),
    ) {
        let mut slots = table().slots().to_vec();
        for (place, check, next, info) in changes {
            let place = place.index(slots.len());
            slots[place] = u64::from(next) << 32 | u64::from(check) | u64::from(info) << 31;
        }
        if let Ok(table) = Table::from_slots(slots) {
            assert_closed(&table);
        }
    }
}
