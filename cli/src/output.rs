//! Standard output, whose reader may have read enough before it ends, as `head` has.
//!
//! What follows is dropped, and the command goes on to its end: how it went must not depend on who reads, or a gate that fails would pass
//! wherever its report is cut.

use std::io::{self, Write};

/// Writes until nobody reads any more.
#[derive(Debug)]
pub struct Output<W> {
    /// `None` once the reader is gone.
    to: Option<W>,
}

impl<W: Write> Output<W> {
    /// Writes to `to`.
    pub const fn new(to: W) -> Self {
        Self { to: Some(to) }
    }

    /// What came of `work`, or `gone` where nobody reads.
    fn until_closed<R>(&mut self, gone: R, work: impl FnOnce(&mut W) -> io::Result<R>) -> io::Result<R> {
        let Some(to) = &mut self.to else { return Ok(gone) };
        match work(to) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.to = None;
                Ok(gone)
            }
            done => done,
        }
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.until_closed(bytes.len(), |to| to.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.until_closed((), Write::flush)
    }
}
