//! Any bytes are refused or are a table that no walk leaves, whoever computed the digest.
//!
//! `cargo +nightly fuzz run table_from_bytes`, in `crates/matcher`. The first byte of the input says whether the digest is made to fit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_matcher::{INFO_OFFSET, State, Table, step};
use sha2::{Digest, Sha256};

fuzz_target!(|input: &[u8]| {
    let Some((mode, bytes)) = input.split_first() else { return };
    let table = if mode % 4 == 0 {
        Table::from_bytes(bytes).ok()
    } else {
        // The slots that the input names, in a table of enough slots, with a head and a digest that fit.
        let mut slots = vec![0_u64; 600];
        slots[INFO_OFFSET as usize] = 0x8000_0000;
        for change in bytes.chunks_exact(10) {
            let place = usize::from(change[0]) | usize::from(change[1]) << 8;
            let slot = change[2..].iter().rev().fold(0, |slot, byte| slot << 8 | u64::from(*byte));
            let len = slots.len();
            slots[place % len] = slot;
        }
        Table::from_slots(slots).ok()
    };
    let Some(table) = table else { return };
    assert_eq!(Table::from_bytes(&table.to_bytes()), Ok(table.clone()));

    let mut forged = table.to_bytes();
    let sealed = forged.len() - 32;
    let place = bytes.iter().fold(0, |place: usize, byte| place.wrapping_mul(31).wrapping_add(usize::from(*byte))) % sealed;
    forged[place] ^= mode | 1;
    let digest = Sha256::digest(&forged[..sealed]);
    forged[sealed..].copy_from_slice(&digest);
    for table in [Some(table), Table::from_bytes(&forged).ok()].into_iter().flatten() {
        assert_closed(&table);
    }
});

/// No byte, on no state that can be reached, leads to a look outside of the table.
fn assert_closed(table: &Table) {
    let mut seen = vec![false; 2 * table.slots().len()];
    let mut open = vec![State::START];
    while let Some(state) = open.pop() {
        if state == State::DEAD || std::mem::replace(&mut seen[state.raw() as usize], true) {
            continue;
        }
        assert!(((state.raw() >> 1) + INFO_OFFSET) < table.slots().len() as u32, "{state:?} looks outside");
        open.extend((0..=255).map(|byte| step(table, state, byte)));
    }
}
