//! A wall clock that is set while a process runs, and no other process' clock: by libfaketime, which stands between a program and its C library. What
//! passes between two looks at the monotonic clock stays true, as it does where a system's clock is set.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Scene;

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// The clock of one process.
pub(crate) struct Clock {
    file: PathBuf,
}

impl Clock {
    /// A clock of this name that is right.
    pub(crate) fn new(scene: &Scene, name: &str) -> Self {
        assert!(Path::new(LIBRARY).exists(), "{LIBRARY} is missing: run hack/prerequisites");
        let clock = Self { file: scene.folder().join(name) };
        clock.set_ahead(Duration::ZERO);
        clock
    }

    /// Sets it so far ahead of the true time.
    pub(crate) fn set_ahead(&self, by: Duration) {
        let partial = self.file.with_extension("partial");
        fs::write(&partial, format!("+{}\n", by.as_secs())).unwrap();
        fs::rename(&partial, &self.file).unwrap();
    }

    /// What makes a process go by it.
    pub(crate) fn environment(&self) -> [(&'static str, &Path); 5] {
        [
            ("LD_PRELOAD", Path::new(LIBRARY)),
            ("FAKETIME_TIMESTAMP_FILE", &self.file),
            ("FAKETIME_NO_CACHE", Path::new("1")),
            ("FAKETIME_DONT_FAKE_MONOTONIC", Path::new("1")),
            ("DONT_FAKE_MONOTONIC", Path::new("1")),
        ]
    }
}
