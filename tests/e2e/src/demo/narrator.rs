//! Progress as it happens: chapters with the time since the beginning, and lines under them.

use std::{io::Write, time::Instant};

use super::{Failure, table::Cell};

pub(super) struct Narrator<'w> {
    out: &'w mut dyn Write,
    begun: Instant,
}

impl<'w> Narrator<'w> {
    pub(super) fn new(out: &'w mut dyn Write) -> Self {
        Self { out, begun: Instant::now() }
    }

    pub(super) fn chapter(&mut self, title: &str) -> Result<(), Failure> {
        let time = self.begun.elapsed().as_secs_f32();
        self.tell(&format!("\n[{time:5.1} s] {title}"))
    }

    pub(super) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.tell(&format!("  {text}"))
    }

    /// A file's text, line by line.
    pub(super) fn quote(&mut self, text: &str) -> Result<(), Failure> {
        text.lines().try_for_each(|line| self.tell(&format!("    | {line}")))
    }

    /// What came of a step.
    pub(super) fn cell(&mut self, cell: &Cell) -> Result<(), Failure> {
        self.line(&format!("{:<42} {cell}", cell.of.step))?;
        if let Some(remark) = &cell.remark
            && cell.of.denial.is_some()
        {
            remark.lines().try_for_each(|line| self.tell(&format!("      {line}")))?;
        }
        Ok(())
    }

    fn tell(&mut self, line: &str) -> Result<(), Failure> {
        let told = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
        told.map_err(|source| Failure::Io { doing: "write", source })
    }
}
