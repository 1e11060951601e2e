//! The figures of one kernel: how they are judged, and how they look.

use serde::Serialize;
use std::fmt::Write as _;
use thiserror::Error;

use super::{
    Operation, Samples,
    operation::{DEEP, LONG, SHORT},
    percent,
};

/// By how much a cost may grow from the smallest profile to the largest, in percent.
const GROWTH_MAX: f64 = 5.0;
/// By how much a clock that counts instructions may be off, in percent: it counts those of the timer's interrupt too.
const CLOCK_MAX: f64 = 1.0;

/// A figure that is not as it must be.
#[derive(Debug, Error, PartialEq)]
pub enum Check {
    /// The clock does not count instructions.
    #[error("on {kernel}, a loop of two instructions took {found} ns for a thousand times instead of 2000")]
    Clock {
        /// The kernel.
        kernel: String,
        /// What it took, in nanoseconds.
        found: u64,
    },
    /// The cost grows with the rules.
    #[error("on {kernel}, {operation}: {what} grows by {growth:.1} % from {from} rules to {to}, and may by {GROWTH_MAX} %")]
    Growth {
        /// The kernel.
        kernel: String,
        /// The operation.
        operation: &'static str,
        /// Which part of the cost.
        what: &'static str,
        /// Rules of the smallest profile.
        from: u32,
        /// Rules of the profile that costs more.
        to: u32,
        /// By how much, in percent.
        growth: f64,
    },
    /// It cannot be told whether the cost grows.
    #[error("on {kernel}, {operation}: the rounds differ by {spread:.1} %, too much to tell whether what is added grows")]
    Spread {
        /// The kernel.
        kernel: String,
        /// The operation.
        operation: &'static str,
        /// By how much they differ, in percent.
        spread: f64,
    },
}

/// An operation in every setting, in instructions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The operation's name.
    pub operation: &'static str,
    /// Without the enforcer.
    pub baseline: u64,
    /// Added for a process in no container.
    pub outside: i64,
    /// Added under a profile, by its number of rules.
    pub profiles: Vec<(u32, i64)>,
    /// The widest spread of the rounds of any setting, in percent.
    pub spread: f64,
}

/// The figures of one kernel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The kernel's release.
    pub kernel: String,
    /// Nanoseconds that a thousand times two instructions take: 2,000 where the clock counts instructions.
    pub clock: u64,
    /// A row an operation.
    pub rows: Vec<Row>,
}

impl Row {
    /// The row of an operation; `profiles` by their rules, the smallest first.
    #[must_use]
    pub fn new(operation: &Operation, baseline: &Samples, outside: &Samples, profiles: &[(u32, Samples)]) -> Self {
        let added = |samples: &Samples| samples.cost().cast_signed() - baseline.cost().cast_signed();
        let all = [baseline, outside].into_iter().chain(profiles.iter().map(|(_, samples)| samples));
        Self {
            operation: operation.name,
            baseline: baseline.cost(),
            outside: added(outside),
            profiles: profiles.iter().map(|(rules, samples)| (*rules, added(samples))).collect(),
            spread: all.map(Samples::spread).fold(0.0, f64::max),
        }
    }

    /// By how much the cost under each larger profile exceeds that under the smallest: of the whole operation and of what is added, in
    /// percent.
    fn growth(&self) -> impl Iterator<Item = (u32, u32, f64, f64)> + '_ {
        let first = self.profiles.first().copied();
        first.into_iter().flat_map(move |(from, smallest)| {
            let whole = self.baseline.saturating_add_signed(smallest);
            self.profiles.iter().skip(1).map(move |(to, added)| {
                let more = u64::try_from(added - smallest).unwrap_or(0);
                (from, *to, percent(more, whole), percent(more, smallest.unsigned_abs()))
            })
        })
    }

    /// Whether the rounds are near enough to each other to show a growth that is too much.
    fn is_clear(&self) -> bool {
        let smallest = self.profiles.first().map_or(0, |(_, added)| added.unsigned_abs());
        self.spread < GROWTH_MAX * percent(smallest, self.baseline) / 100.0
    }

    fn known(&self) -> Option<&'static Operation> {
        Operation::ALL.iter().find(|operation| operation.name == self.operation)
    }

    fn is_level_wanted(&self) -> bool {
        self.known().is_some_and(|operation| operation.level)
    }

    fn checks(&self, kernel: &str) -> Vec<Check> {
        let mut failed = Vec::new();
        let (kernel, operation, level) = (kernel.to_owned(), self.operation, self.is_level_wanted());
        for (from, to, whole, added) in self.growth() {
            for (what, growth, judged) in [("the whole", whole, true), ("what is added", added, level && self.is_clear())] {
                if judged && growth > GROWTH_MAX {
                    failed.push(Check::Growth { kernel: kernel.clone(), operation, what, from, to, growth });
                }
            }
        }
        // A figure is the cheapest round, which repeats better than rounds do: only a growth that noise could explain is in doubt.
        if level && !self.is_clear() && self.growth().into_iter().any(|(.., added)| added > GROWTH_MAX) {
            failed.push(Check::Spread { kernel, operation, spread: self.spread });
        }
        failed
    }
}

impl Report {
    /// What is not as it must be: the clock, and costs that grow with the number of rules. What is above a limit shows in the table.
    #[must_use]
    pub fn checks(&self) -> Vec<Check> {
        let mut failed = Vec::new();
        if percent(self.clock.abs_diff(2000), 2000) > CLOCK_MAX {
            failed.push(Check::Clock { kernel: self.kernel.clone(), found: self.clock });
        }
        failed.extend(self.rows.iter().flat_map(|row| row.checks(&self.kernel)));
        failed
    }

    /// A table in Markdown. What is above its limit is in bold.
    #[must_use]
    pub fn table(&self) -> String {
        let mut header = vec!["operation".to_owned(), "baseline".to_owned(), "outside".to_owned(), "limit".to_owned()];
        if let Some(row) = self.rows.first() {
            header.extend(row.profiles.iter().map(|(rules, _)| format!("{} rules", grouped(u64::from(*rules)))));
        }
        header.extend(["limit", "growth", "spread"].map(str::to_owned));
        let mut table = String::new();
        let _ = writeln!(table, "| {} |\n|---|{}", header.join(" | "), "--:|".repeat(header.len() - 1));
        for row in &self.rows {
            let limit = row.known().and_then(|operation| operation.limit);
            let outside = limit.map(|limit| limit.outside);
            let inside = limit.map(|limit| limit.inside);
            let mut cells = vec![row.operation.to_owned(), grouped(row.baseline), signed(row.outside, outside), bound(outside)];
            cells.extend(row.profiles.iter().map(|(_, added)| signed(*added, inside)));
            let growth = row.growth().map(|(.., added)| added).fold(0.0, f64::max);
            let growth = if row.is_level_wanted() { format!("{growth:.1} %") } else { "–".to_owned() };
            cells.extend([bound(inside), growth, format!("{:.1} %", row.spread)]);
            let _ = writeln!(table, "| {} |", cells.join(" | "));
        }
        table
    }

    /// What the parts of a judged open cost, from names that differ in one thing: a sentence, empty where they were not measured.
    #[must_use]
    pub fn parts(&self) -> String {
        let added = |operation: Operation| {
            let row = self.rows.iter().find(|row| row.operation == operation.name)?;
            row.profiles.first().map(|(_, added)| *added)
        };
        let (Some(short), Some(long), Some(deep)) = (added(SHORT), added(LONG), added(DEEP)) else { return String::new() };
        let (byte, component) = ((long - short) / 22, (deep - long) / 3);
        let rest = short - 2 * byte - component;
        format!(
            "Of what is added to an open that is judged, {byte} are for each byte of the name, {component} for each component, and {rest} for the rest.\n"
        )
    }
}

fn signed(added: i64, limit: Option<u64>) -> String {
    let sign = if added < 0 { '−' } else { '+' };
    let text = format!("{sign}{}", grouped(added.unsigned_abs()));
    if limit.is_some_and(|limit| u64::try_from(added).is_ok_and(|added| added > limit)) { format!("**{text}**") } else { text }
}

fn bound(limit: Option<u64>) -> String {
    limit.map(|limit| format!("≤ {}", grouped(limit))).unwrap_or_default()
}

/// A number with a comma at every thousand.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(added: [i64; 3]) -> Report {
        let profiles = [10, 500, 10_000].into_iter().zip(added).collect();
        let row = Row { operation: Operation::ALL[0].name, baseline: 5000, outside: 100, profiles, spread: 0.1 };
        Report { kernel: "6.1".to_owned(), clock: 2003, rows: vec![row] }
    }

    #[test]
    fn what_is_added_may_grow_by_five_percent() {
        assert_eq!(report([1000, 1040, 1050]).checks(), []);
        let checks = report([1000, 1040, 1051]).checks();
        assert!(matches!(checks[..], [Check::Growth { what: "what is added", from: 10, to: 10_000, .. }]), "{checks:?}");
        assert_eq!(report([1000, 900, 800]).checks(), [], "less is no growth");
    }

    #[test]
    fn the_whole_operation_is_checked_too() {
        let checks = report([1000, 1000, 1400]).checks();
        assert!(checks.iter().any(|check| matches!(check, Check::Growth { what: "the whole", .. })), "{checks:?}");
    }

    #[test]
    fn rounds_that_differ_too_much_to_tell_are_noticed_where_it_must_be_told() {
        let noisy = |operation: &Operation| {
            let mut report = report([1000, 1100, 1100]);
            report.rows[0].operation = operation.name;
            report.rows[0].spread = 1.1;
            report.checks()
        };
        let level = noisy(&Operation::ALL[0]);
        assert!(matches!(level[..], [Check::Spread { .. }]), "{level:?}");
        let other = Operation::ALL.iter().find(|operation| !operation.level).unwrap();
        assert_eq!(noisy(other), [], "2 % of the whole is within what it may grow by");
    }

    #[test]
    fn parts_come_from_names_that_differ_in_one_thing() {
        let row =
            |operation: Operation, added| Row { operation: operation.name, profiles: vec![(10, added)], ..report([0; 3]).rows[0].clone() };
        let mut report = report([0; 3]);
        assert_eq!(report.parts(), "");
        report.rows = vec![row(SHORT, 1000 + 200 + 2 * 50), row(LONG, 1000 + 200 + 24 * 50), row(DEEP, 1000 + 4 * 200 + 24 * 50)];
        assert!(report.parts().contains("50 are for each byte of the name, 200 for each component, and 1000 for the rest"));
    }

    #[test]
    fn a_clock_that_does_not_count_instructions_is_noticed() {
        let report = Report { clock: 2021, ..report([1000; 3]) };
        assert_eq!(report.checks(), [Check::Clock { kernel: "6.1".to_owned(), found: 2021 }]);
    }

    #[test]
    fn the_table_groups_thousands_and_marks_what_is_above_its_limit() {
        let table = report([1000, 2001, 1000]).table();
        assert!(table.contains("| 5,000 | +100 | ≤ 350 | +1,000 | **+2,001** | +1,000 | ≤ 2,000 | 100.1 % | 0.1 % |"), "{table}");
    }

    #[test]
    fn a_row_is_of_differences() {
        let samples = |each: u64| Samples::parse(&format!("{}\n", each * 10).repeat(9), 10).unwrap();
        let row = Row::new(&Operation::ALL[0], &samples(500), &samples(490), &[(10, samples(900))]);
        assert_eq!((row.baseline, row.outside, row.profiles), (500, -10, vec![(10, 400)]));
    }
}
