//! Who acts: containers, and the state that stays with each of their tasks.
//!
//! A container is a cgroup (v2) and everything below it; its tasks are found by what they descend from and not by where they are now, so a
//! task that moves itself to another cgroup keeps its profile.

/// How much of a task's executable path is kept with the task, in bytes.
pub const EXECUTABLE_MAX: usize = 256;

/// One entry of the `CONTAINERS` array, at the container's slot. Written by the program at `cgroup_mkdir` and by user space, which may
/// change [`Container::profile`] at any time; each field is one aligned word, so neither side sees half a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Container {
    /// Identity of the container's cgroup (the inode number that `stat` shows), or 0 where the slot is free.
    pub cgroup: u64,
    /// Index into the `PROFILES` array.
    pub profile: u32,
    #[doc(hidden)]
    pub padding: u32,
}

impl Container {
    /// The value's size in bytes.
    pub const SIZE: usize = size_of::<Self>();

    /// A container that is judged by the profile with that index.
    #[must_use]
    pub const fn new(cgroup: u64, profile: u32) -> Self {
        Self { cgroup, profile, padding: 0 }
    }

    /// The bytes that lie in the map.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        (u128::from(self.cgroup) | u128::from(self.profile) << 64).to_le_bytes()
    }

    /// The value that the bytes of the map hold.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        let word = u128::from_le_bytes(bytes);
        #[expect(clippy::cast_possible_truncation, reason = "the fields are taken apart")]
        Self::new(word as u64, (word >> 64) as u32)
    }
}

/// What the kernel keeps of a container's life, beside [`Container`], which user space may rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct ContainerLife {
    /// Tasks that began before this time (nanoseconds of `CLOCK_BOOTTIME`) were in the container when it was first seen, and are its
    /// workload. 0 for a container that was armed before any task could be in it.
    pub adopt_before: u64,
    /// How many programs have been started in the container's own mount namespace by tasks from outside: the first is the container's own,
    /// each later one an exec session of that number.
    pub entries: u64,
}

impl ContainerLife {
    /// The value's size in bytes.
    pub const SIZE: usize = size_of::<Self>();

    /// The bytes that lie in the map.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        (u128::from(self.adopt_before) | u128::from(self.entries) << 64).to_le_bytes()
    }

    /// The value that the bytes of the map hold.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        let word = u128::from_le_bytes(bytes);
        #[expect(clippy::cast_possible_truncation, reason = "the fields are taken apart")]
        let fields = Self { adopt_before: word as u64, entries: (word >> 64) as u64 };
        fields
    }
}

/// What the kernel keeps with each task of a container's workload (task storage): made at the first exec or at fork, gone with the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TaskState {
    /// The container's cgroup, as in [`Container::cgroup`]: a slot whose cgroup differs belongs to another container by now.
    pub cgroup: u64,
    /// The container's slot.
    pub slot: u32,
    /// 0 for the container's own tasks, or the number of the exec session from which the task descends.
    pub session: u32,
    /// The container's profile when the state was made: what judges the task once the slot is another container's.
    pub profile: u32,
    /// How many bytes of `executable` count.
    pub executable_len: u32,
    /// The path of the task's executable when it was executed, its first bytes where it is longer.
    pub executable: [u8; EXECUTABLE_MAX],
}

const _: () = {
    assert!(size_of::<Container>() == 16);
    assert!(size_of::<ContainerLife>() == 16);
    assert!(size_of::<TaskState>() == 24 + EXECUTABLE_MAX);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_round_trip_and_lie_as_the_struct_does() {
        let container = Container::new(0x0102_0304_0506_0708, 0x0a0b_0c0d);
        let bytes = container.to_bytes();
        assert_eq!(bytes, [8, 7, 6, 5, 4, 3, 2, 1, 0x0d, 0x0c, 0x0b, 0x0a, 0, 0, 0, 0]);
        assert_eq!(Container::from_bytes(bytes), container);
    }

    #[test]
    fn lives_lie_as_the_struct_does() {
        let life = ContainerLife { adopt_before: 1, entries: 2 };
        assert_eq!(life.to_bytes(), [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(ContainerLife::from_bytes(life.to_bytes()), life);
    }
}
