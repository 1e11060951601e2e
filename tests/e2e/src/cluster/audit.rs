//! The API server's audit log, followed as it is written: each line an event, in JSON.

use std::{
    fs::File,
    io::{BufRead, BufReader, Seek, SeekFrom},
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::inotify,
};
use serde_json::Value;

use super::{ClusterError, cannot};

/// How long an event may take to be written once its request was answered.
const LIMIT: Duration = Duration::from_secs(20);

/// A reader of the log, from the place where it was when the reader was made.
#[derive(Debug)]
pub struct AuditLog {
    file: BufReader<File>,
    /// What was read of a line that is not complete yet.
    line: Vec<u8>,
    changes: rustix::fd::OwnedFd,
}

impl AuditLog {
    pub(super) fn follow(path: &Path) -> Result<Self, ClusterError> {
        let failed = |error: rustix::io::Errno| cannot("watch the audit log")(error.into());
        let changes = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).map_err(failed)?;
        inotify::add_watch(&changes, path, inotify::WatchFlags::MODIFY).map_err(failed)?;
        let mut file = File::open(path).map_err(cannot("open the audit log"))?;
        file.seek(SeekFrom::End(0)).map_err(cannot("read the audit log"))?;
        Ok(Self { file: BufReader::new(file), line: Vec::new(), changes })
    }

    /// The next event that `is_meant`; those before it are passed over.
    ///
    /// # Errors
    /// It does not come in time, or the log cannot be read.
    pub fn wait_for(&mut self, mut is_meant: impl FnMut(&Value) -> bool) -> Result<Value, ClusterError> {
        let end = Instant::now() + LIMIT;
        loop {
            while let Some(event) = self.next()? {
                if is_meant(&event) {
                    return Ok(event);
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ClusterError::NoEvent(LIMIT));
            }
            self.wait(left)?;
        }
    }

    /// The next event that is there.
    fn next(&mut self) -> Result<Option<Value>, ClusterError> {
        loop {
            self.file.read_until(b'\n', &mut self.line).map_err(cannot("read the audit log"))?;
            if !self.line.ends_with(b"\n") {
                return Ok(None);
            }
            let event = serde_json::from_slice(&self.line).ok();
            self.line.clear();
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// Until more was written.
    fn wait(&mut self, limit: Duration) -> Result<(), ClusterError> {
        let failed = |error: rustix::io::Errno| cannot("wait for the audit log")(error.into());
        let mut fds = [PollFd::new(&self.changes, PollFlags::IN)];
        let limit = limit.try_into().map_err(|_| ClusterError::NoEvent(limit))?;
        poll(&mut fds, Some(&limit)).map_err(failed)?;
        // What exactly was written does not matter; it is read from the file.
        let mut buffer = [0_u8; 4096];
        while rustix::io::read(&self.changes, &mut buffer).is_ok_and(|read| read > 0) {}
        Ok(())
    }
}
