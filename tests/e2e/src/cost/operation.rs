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
    /// What may be added.
    pub limit: Limit,
}

impl Operation {
    /// All of them, in the order in which they are measured.
    ///
    /// Every path is three directories deep; `/etc/ssl/private/**` is guarded where a profile names no trees. Paths that are opened for reading have equal lengths, so that their rows compare.
    pub const ALL: &'static [Self] = &[
        Self { name: "open to read, guarded, first", load: "first read /etc/ssl/private", count: 400, limit: FIRST },
        Self { name: "open to read, guarded, repeated", load: "open read /etc/ssl/private/000000", count: 2000, limit: REPEATED },
        Self { name: "open to read, not guarded", load: "open read /opt/app/modules/000000", count: 2000, limit: REPEATED },
        Self { name: "open to write, repeated", load: "open write /var/log/app/error.log", count: 2000, limit: REPEATED },
        Self { name: "vfork + exec + wait", load: "exec /bin/busybox true", count: 100, limit: EXEC },
        Self { name: "UDP socket + connect + close", load: "connect 127.0.0.1:9", count: 1000, limit: CONNECT },
    ];
}

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
}
