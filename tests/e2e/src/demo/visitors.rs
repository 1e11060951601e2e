//! Normal traffic, counted: it must be served whatever the attacker does and whatever is done about him.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    Attempt,
    table::{Cell, Of},
};
use crate::{Error, process::Process};

/// For a few visits, under software emulation and beside other machines.
const SOON: Duration = Duration::from_secs(60);

const NORMAL: Of = Of { step: "visitors browse and buy", gate: "every gate", denial: None };

/// The program that visits, again and again.
pub(super) struct Visitors<'vm> {
    process: Process<'vm>,
}

/// Visits so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) served: usize,
    failed: Vec<String>,
}

impl<'vm> Visitors<'vm> {
    pub(super) fn new(process: Process<'vm>) -> Self {
        Self { process }
    }

    pub(super) fn count(&mut self) -> Result<Count, Error> {
        let output = self.process.output()?;
        if output.status.is_some() {
            return Err(Error::Command { what: "the visitors".to_owned(), output: Box::new(output.clone()) });
        }
        Ok(Count::of(&output.text()))
    }

    /// Waits until so many more visits have ended, well or not.
    pub(super) fn wait_for_more(&mut self, visits: usize) -> Result<(), Error> {
        let wanted = self.count()?.ended() + visits;
        let deadline = Instant::now() + SOON;
        while self.count()?.ended() < wanted {
            if Instant::now() > deadline {
                return Err(Error::TimedOut { what: format!("wait for {visits} visits"), limit: SOON, output: None });
            }
            // The guest's output is pushed to us; this only bounds how often we look.
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Count {
    fn of(output: &str) -> Self {
        let failed = output.lines().filter(|line| line.starts_with("failed ")).map(str::to_owned).collect();
        Self { served: output.lines().filter(|line| line.starts_with("served ")).count(), failed }
    }

    fn ended(&self) -> usize {
        self.served + self.failed.len()
    }

    /// Those that have ended since.
    pub(super) fn since(&self, before: &Self) -> Self {
        let failed = self.failed.iter().skip(before.failed.len()).cloned().collect();
        Self { served: self.served.saturating_sub(before.served), failed }
    }

    /// What the table says of them.
    pub(super) fn cell(&self) -> Cell {
        let attempt = match self.failed.first() {
            None if self.served > 0 => Attempt::Succeeded,
            None => Attempt::Unclear("nobody came".to_owned()),
            Some(first) => Attempt::Unclear(format!("{} of {} visits {first}", self.failed.len(), self.ended())),
        };
        Cell { of: NORMAL, attempt, reported: None, allowed_by: None, remark: Some(format!("{} visits", self.served)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_visitor_who_was_not_served_is_one_too_many() {
        let before = Count::of("served GET /\nfailed GET /: 500 early\n");
        let after = Count::of("served GET /\nfailed GET /: 500 early\nserved GET /\n");
        assert_eq!(after.since(&before).cell().attempt, Attempt::Succeeded);
        let worse = Count::of("served GET /\nfailed GET /: 500 early\nserved GET /\nfailed POST /cart: 500 late\n");
        assert_eq!(worse.since(&before).cell().attempt, Attempt::Unclear("1 of 2 visits failed POST /cart: 500 late".to_owned()));
    }

    #[test]
    fn no_visitors_prove_nothing() {
        let count = Count::of("served GET /\n");
        assert!(matches!(count.since(&count).cell().attempt, Attempt::Unclear(_)));
    }
}
