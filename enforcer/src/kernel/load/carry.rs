//! From programs of another layout to this one's, while workloads run: neither the states of tasks nor what is known of containers is lost.
//!
//! ```text
//!  1. maps aside: profiles with their tables, names and pods as they are
//!  2. attach what follows cgroups and forks                    from here on, what is new is known to both
//!  3. copy containers, then the states of tasks, until none is left without
//!  4. attach what judges                                       both judge, and both must allow
//!  5. copy the states that the old programs gave meanwhile
//!  6. put maps and links in place; the caller detaches the old ones
//! ```
//!
//! Whatever fails before 6 leaves the old ones in force, and what was made aside is removed.

use aya::{
    Btf, Ebpf,
    maps::{MapData, RingBuf},
    programs::{Program, ProgramError},
};
use portcullis_abi::CARRY;
use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use super::{LoadError, Loaded, attach, load_object, object_hash, recorder};
use crate::kernel::{
    maps::{self, Maps},
    pins::{Other, Pins},
    tables::grace_period,
};

/// The program that gives tasks the states that they have in the other layout's map.
const PROGRAM: &str = "carry_tasks";
/// What follows cgroups and forks, and judges nothing.
const FOLLOWERS: &[&str] = &["cgroup_mkdir", "cgroup_rmdir", "task_alloc"];
/// How often the tasks are gone through at most. A pass misses only what was forked by a task that it had not come to yet.
const PASSES: u32 = 100;

/// Attaches this agent's programs beside those of another layout, over maps that say the same; and the events that nobody has read there.
///
/// # Errors
/// [`LoadError`]; what was in force still is, and nothing else.
pub(super) fn over(pins: &Pins, types: &btf_rs::Btf, table_chunks: u32, other: &Other) -> Result<(Loaded, RingBuf<MapData>), LoadError> {
    if other.carry() != Some(CARRY) {
        return Err(LoadError::Foreign(other.root().to_owned()));
    }
    let carried = attach_beside(pins, types, table_chunks, other);
    if carried.is_err() {
        pins.abandon()?;
    }
    Ok((carried?, maps::events(&other.maps())?))
}

fn attach_beside(pins: &Pins, types: &btf_rs::Btf, table_chunks: u32, other: &Other) -> Result<Loaded, LoadError> {
    let from = Maps::open(&other.maps())?;
    let dir = pins.new_maps()?;
    let mut ebpf = load_object(types, &dir, table_chunks.max(from.chunks()), Some(&other.maps().join("TASKS")))?;
    maps::initialise(&dir)?;
    let mut to = Maps::open(&dir)?;
    to.copy_profiles(&from)?;

    let links = pins.new_links()?;
    let mut verified = attach(&mut ebpf, types, &links, |name| FOLLOWERS.contains(&name))?;
    copy_containers(&from, &mut to)?;
    load_iterator(&mut ebpf)?;
    carry_tasks(&mut ebpf)?;
    verified.extend(attach(&mut ebpf, types, &links, |name| !FOLLOWERS.contains(&name))?);
    verified.push(recorder::pin(&mut ebpf, &links)?);
    carry_tasks(&mut ebpf)?;

    pins.complete_maps()?;
    pins.complete_links(&object_hash())?;
    Ok(Loaded::Carried(verified))
}

/// Gives every container a slot here, with its life and losses, and every cgroup below it the same. What is made meanwhile is known already.
fn copy_containers(from: &Maps, to: &mut Maps) -> Result<(), LoadError> {
    let cgroups = from.cgroups()?;
    let mut slots = BTreeMap::new();
    for &(cgroup, slot) in &cgroups {
        let container = from.container(slot)?;
        if container.cgroup != cgroup || to.armed(cgroup).is_some() {
            continue;
        }
        let taken = to.take_slot(container, from.life(slot)?, from.lost(slot)?)?.ok_or(LoadError::NoSlot)?;
        slots.insert(slot, taken);
    }
    for (cgroup, slot) in &cgroups {
        if let (Some(&taken), None) = (slots.get(slot), to.armed(*cgroup)) {
            to.arm_below(*cgroup, taken)?;
        }
    }
    // What went while it was copied: its end may have come before its entry. After the grace period, every program that might still remove
    // the entry itself has ended.
    let gone: Vec<_> = cgroups.into_iter().filter(|(cgroup, _)| from.armed(*cgroup).is_none()).collect();
    if gone.is_empty() {
        return Ok(());
    }
    grace_period();
    for (cgroup, slot) in gone {
        let Some(taken) = slots.get(&slot).filter(|taken| to.armed(cgroup) == Some(**taken)) else { continue };
        if to.container(*taken)?.cgroup == cgroup {
            to.give_slot(*taken, cgroup)?;
        } else {
            to.disarm(cgroup)?;
        }
    }
    Ok(())
}

fn iterator(ebpf: &mut Ebpf) -> Result<&mut aya::programs::Iter, LoadError> {
    match ebpf.program_mut(PROGRAM) {
        Some(Program::Iter(program)) => Ok(program),
        Some(_) => Err(refused(ProgramError::UnexpectedProgramType)),
        None => Err(refused(ProgramError::NotLoaded)),
    }
}

fn load_iterator(ebpf: &mut Ebpf) -> Result<(), LoadError> {
    let btf = Btf::from_sys_fs()?;
    iterator(ebpf)?.load("task", &btf).map_err(refused)
}

/// Goes through all tasks until every one that has a state in the other layout's map has one in ours.
fn carry_tasks(ebpf: &mut Ebpf) -> Result<(), LoadError> {
    for _ in 0..PASSES {
        let program = iterator(ebpf)?;
        let link = program.attach().and_then(|id| program.take_link(id)).map_err(refused)?;
        let mut file = link.into_file().map_err(|error| LoadError::Carry { source: io::Error::other(error) })?;
        let mut carried = Vec::new();
        file.read_to_end(&mut carried).map_err(|source| LoadError::Carry { source })?;
        if carried.is_empty() {
            return Ok(());
        }
    }
    Err(LoadError::Restless)
}

fn refused(source: ProgramError) -> LoadError {
    LoadError::Program { program: PROGRAM, source }
}
