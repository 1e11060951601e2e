//! What operations cost, and what is added to them: figures of the kernel side, in instructions.
//!
//! ```text
//!  portcullis-load ── a line a round ──► Samples ── cheapest ──► Row: an operation in every setting ──► Report: a kernel's rows
//!                                                                                                      │ check
//!                                              docs/performance.md ◄── document ◄── table (Markdown) ◄─┴─► JSON
//! ```
//!
//! In a machine that counts instructions ([`crate::Builder::icount`]) a nanosecond is an instruction, so the unit of every
//! figure here is instructions per operation. Nothing here runs anything: `benches/kernel` does.

mod operation;
mod report;

pub use operation::{Limit, Operation};
pub use report::{Check, Report, Row};

use thiserror::Error;

/// How many rounds are measured, after one that is not.
pub const ROUNDS: u32 = 9;

/// Why the output of `portcullis-load` is no measurement.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SamplesError {
    /// A line is no number.
    #[error("the load said {0:?} instead of nanoseconds")]
    NotANumber(String),
    /// There are too few lines, or too many.
    #[error("the load told {0} rounds instead of {ROUNDS}")]
    Rounds(usize),
    /// The rounds were of no operations.
    #[error("no operations were measured")]
    Nothing,
}

/// The rounds of one operation in one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    /// Nanoseconds, sorted.
    rounds: Vec<u64>,
    /// Operations in a round, not 0.
    count: u64,
}

impl Samples {
    /// Reads what `portcullis-load` wrote; `count` is what it was given.
    ///
    /// # Errors
    /// [`SamplesError`].
    pub fn parse(text: &str, count: u32) -> Result<Self, SamplesError> {
        let number = |line: &str| line.parse().map_err(|_| SamplesError::NotANumber(line.to_owned()));
        let mut rounds = text.lines().map(number).collect::<Result<Vec<u64>, _>>()?;
        if rounds.len() != ROUNDS as usize {
            return Err(SamplesError::Rounds(rounds.len()));
        }
        if count == 0 {
            return Err(SamplesError::Nothing);
        }
        rounds.sort_unstable();
        Ok(Self { rounds, count: u64::from(count) })
    }

    /// The cost of one operation: the cheapest round's, rounded. Nothing but the guest's other work (timers, freeing in batches) makes
    /// rounds differ, and it only adds.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.of_cheapest(1)
    }

    /// The cost of a thousand operations, for those that cost next to nothing.
    #[must_use]
    pub fn of_a_thousand(&self) -> u64 {
        self.of_cheapest(1000)
    }

    fn of_cheapest(&self, operations: u64) -> u64 {
        let round = self.rounds.first().copied().unwrap_or_default();
        (round * operations + self.count / 2) / self.count
    }

    /// How far the median round is above the cheapest, in percent of that: whether the figure repeats.
    #[must_use]
    pub fn spread(&self) -> f64 {
        let (cheapest, median) = (self.rounds.first().copied().unwrap_or_default(), self.rounds.get(self.rounds.len() / 2).copied());
        percent(median.unwrap_or_default() - cheapest, cheapest)
    }
}

/// `part` in percent of `whole`; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "figures are far below 2^52")]
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_is_the_cheapest_round_divided_by_its_operations() {
        let samples = Samples::parse("5000\n5100\n4996\n9000\n5004\n5500\n5200\n5150\n5245", 10).unwrap();
        assert_eq!((samples.cost(), samples.of_a_thousand()), (500, 499_600));
        assert!((samples.spread() - 3.08).abs() < 0.01, "{}", samples.spread());
    }

    #[test]
    fn what_is_no_measurement_is_refused() {
        assert_eq!(Samples::parse("1\n2\n3\n4\nfive", 1), Err(SamplesError::NotANumber("five".to_owned())));
        assert_eq!(Samples::parse("1\n2", 1), Err(SamplesError::Rounds(2)));
        assert_eq!(Samples::parse(&"1\n".repeat(9), 0), Err(SamplesError::Nothing));
    }
}
