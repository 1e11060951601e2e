//! The operations that are measured, and what may be added to them.

/// What may be added to an operation, in instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// For a process in no container.
    pub outside: u64,
    /// For a process under a profile of 500 rules that allows it.
    pub inside: u64,
}

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// What it is called in tables.
    pub name: &'static str,
    /// What `portcullis-load` calls it, without its count.
    pub load: &'static str,
    /// How often it is repeated in a round.
    pub count: u32,
    /// What may be added, where there is a limit.
    pub limit: Option<Limit>,
    /// Whether what is added must be shown not to grow with the rules. It cannot be where the kernel's own work varies by more than that: the
    /// freeing of sockets and of address spaces comes in batches.
    pub level: bool,
}

impl Operation {
    /// All of them, in the order in which they are measured.
    ///
    /// Those with a limit are of files three directories deep; `/etc/ssl/private/**` is guarded where a profile names no trees. Paths that are
    /// opened for reading have equal lengths, so that their rows compare.
    pub const ALL: &'static [Self] = &[
        open("open to read, guarded, first", "first read /etc/ssl/private", 2000).within(FIRST),
        open("open to read, guarded, repeated", "open read /etc/ssl/private/000000", 4000).within(REPEATED),
        open("open to read, not guarded", "open read /opt/app/modules/000000", 4000).within(REPEATED),
        open("open to write, repeated", "open write /var/log/app/error.log", 4000).within(REPEATED),
        SHORT,
        LONG,
        DEEP,
        Self { level: false, ..open("vfork + exec + wait", "exec /bin/busybox true", 200).within(EXEC) },
        Self { level: false, ..open("UDP socket + connect + close", "connect 127.0.0.1:9", 5000).within(CONNECT) },
    ];

    const fn within(self, limit: Limit) -> Self {
        Self { limit: Some(limit), ..self }
    }
}

const fn open(name: &'static str, load: &'static str, count: u32) -> Operation {
    Operation { name, load, count, limit: None, level: true }
}

/// A short name: with [`LONG`] it tells what a byte costs.
pub(super) const SHORT: Operation = Operation { level: false, ..open("open to write, 1 component of 2 bytes", "open write /a", 2000) };
/// A long name: with [`DEEP`] it tells what a component costs.
pub(super) const LONG: Operation =
    Operation { level: false, ..open("open to write, 1 component of 24 bytes", "open write /bbbbbbbbbbbbbbbbbbbbbbb", 2000) };
/// A name that is as long and has more components.
pub(super) const DEEP: Operation =
    Operation { level: false, ..open("open to write, 4 components of 24 bytes", "open write /ccccc/ccccc/ccccc/ccccc", 2000) };

const FIRST: Limit = Limit { outside: 350, inside: 2000 };
const REPEATED: Limit = Limit { outside: 350, inside: 650 };
const EXEC: Limit = Limit { outside: 1500, inside: 8000 };
const CONNECT: Limit = Limit { outside: 350, inside: 1200 };

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_api::guard::default_patterns;

    #[test]
    fn the_guarded_files_are_guarded_and_the_others_are_not() {
        let guards = default_patterns().unwrap();
        for operation in Operation::ALL.iter().filter(|operation| operation.load.contains("read ")) {
            let path = operation.load.split(' ').next_back().unwrap();
            let file = if operation.load.starts_with("first") { format!("{path}/000000") } else { path.to_owned() };
            let guarded = guards.iter().any(|guard| guard.pattern().matches(file.as_bytes()));
            assert_eq!(guarded, !operation.name.contains("not guarded"), "{}", operation.name);
            assert_eq!((file.matches('/').count(), file.len()), (4, "/etc/ssl/private/000000".len()), "{file}");
        }
    }

    #[test]
    fn the_names_that_tell_what_parts_cost_have_the_lengths_that_they_say() {
        for (operation, components, bytes) in [(SHORT, 1, 2), (LONG, 1, 24), (DEEP, 4, 24)] {
            let path = operation.load.split(' ').next_back().unwrap();
            assert_eq!((path.matches('/').count(), path.len()), (components, bytes), "{path}");
            assert!(operation.name.contains(&format!("{components} component")) && operation.name.contains(&format!(" {bytes} bytes")));
        }
    }
}
