//! How many instructions the verifier processes for each kernel program: what was recorded, and what a kernel says now.
//!
//! The verifier refuses a program at [`LIMIT`] instructions processed, and a small change to a program can multiply them. So the figures
//! are kept ([`Recorded::RECORD`]), and a test fails where one moves by more than [`TOLERANCE_PERCENT`]: up, because the change should be a
//! decision; down, because an old high figure would hide the next growth.
//!
//! Pure but for the files of the record.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::record::Recorded;

/// The most instructions that the verifier processes of one program (`BPF_COMPLEXITY_LIMIT_INSNS`, `include/linux/bpf.h`).
pub const LIMIT: u32 = 1_000_000;
/// The most that a program here may take: another kernel may need twice as many.
pub const ROOM: u32 = LIMIT / 2;
/// By how much a figure may differ from the recorded one.
pub const TOLERANCE_PERCENT: u32 = 20;
/// Instructions processed, by program.
pub type Figures = BTreeMap<String, u32>;

/// The figures of every kernel, by its series.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Record(pub BTreeMap<String, Figures>);

impl Recorded for Record {
    const RECORD: &str = "tests/e2e/verifier.json";
    const DOCUMENT: &str = "docs/architecture.md";
    const UPDATE: &str = "UPDATE=1 cargo test -p portcullis-e2e --test verifier";

    /// The figures as Markdown, a line a program.
    fn table(&self) -> String {
        let mut programs: Vec<&String> = self.0.values().flat_map(Figures::keys).collect();
        programs.sort();
        programs.dedup();
        let series: Vec<&str> = self.0.keys().map(String::as_str).collect();
        let mut table = format!("| program | {} |\n|---|{}\n", series.join(" | "), "---:|".repeat(series.len()));
        for program in programs {
            let figures =
                self.0.values().map(|figures| figures.get(program).map_or_else(|| "not there".to_owned(), |figure| grouped(*figure)));
            let _ = writeln!(table, "| `{program}` | {} |", figures.collect::<Vec<_>>().join(" | "));
        }
        table
    }
}

impl Record {
    /// What is wrong with the figures that a kernel says now; nothing where all is well.
    #[must_use]
    pub fn complaints(&self, kernel: &str, now: &Figures) -> Vec<String> {
        let none = Figures::new();
        let recorded = self.0.get(kernel).unwrap_or(&none);
        let gone = recorded.keys().filter(|program| !now.contains_key(*program)).map(|program| format!("{program} is recorded, and gone"));
        let judged = now.iter().filter_map(|(program, now)| judge(program, *now, recorded.get(program).copied()));
        judged.chain(gone).collect()
    }
}

fn judge(program: &str, now: u32, recorded: Option<u32>) -> Option<String> {
    let now_grouped = grouped(now);
    let (at, tolerance) = (u64::from(now) * 100, u64::from(TOLERANCE_PERCENT));
    match recorded.map(|figure| (figure, u64::from(figure))) {
        _ if now > ROOM => Some(format!("{program} takes {now_grouped} of {} instructions: too near the limit", grouped(LIMIT))),
        None => Some(format!("{program} takes {now_grouped} instructions, and is not recorded")),
        Some((figure, wide)) if at > wide * (100 + tolerance) => {
            Some(format!("{program} has grown from {} to {now_grouped}", grouped(figure)))
        }
        Some((figure, wide)) if at < wide * (100 - tolerance) => {
            Some(format!("{program} has shrunk from {} to {now_grouped}, and is still recorded as it was", grouped(figure)))
        }
        Some(_) => None,
    }
}

/// The figures in the log of an enforcer that has loaded its programs.
#[must_use]
pub fn figures(log: &str) -> Figures {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let figure = |line: Value| {
        let instructions = line.get("instructions")?.as_u64()?;
        Some((line.get("program")?.as_str()?.to_owned(), u32::try_from(instructions).ok()?))
    };
    lines.filter_map(figure).collect()
}

/// `1234567` as `1,234,567`.
fn grouped(figure: u32) -> String {
    let digits = figure.to_string();
    let commas = |(index, digit)| [Some(digit), (index % 3 == 0 && index > 0).then_some(',')];
    let reversed: Vec<char> = digits.chars().rev().enumerate().map(commas).flat_map(|[digit, comma]| [comma, digit]).flatten().collect();
    reversed.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(figures: &[(&str, u32)]) -> Figures {
        figures.iter().map(|(program, figure)| ((*program).to_owned(), *figure)).collect()
    }

    fn record(figures: &[(&str, u32)]) -> Record {
        Record([("6.1".to_owned(), of(figures))].into())
    }

    #[test]
    fn a_figure_may_move_by_a_fifth_and_no_more() {
        let record = record(&[("a", 1000)]);
        for fits in [800, 1000, 1200] {
            assert_eq!(record.complaints("6.1", &of(&[("a", fits)])), Vec::<String>::new());
        }
        assert_eq!(record.complaints("6.1", &of(&[("a", 1201)])), ["a has grown from 1,000 to 1,201"]);
        assert_eq!(record.complaints("6.1", &of(&[("a", 799)])), ["a has shrunk from 1,000 to 799, and is still recorded as it was"]);
    }

    #[test]
    fn what_is_new_or_gone_is_said() {
        let complaints = record(&[("old", 5)]).complaints("6.1", &of(&[("new", 1_234_567 / 10)]));
        assert_eq!(complaints, ["new takes 123,456 instructions, and is not recorded", "old is recorded, and gone"]);
        assert_eq!(record(&[("old", 5)]).complaints("6.12", &of(&[("old", 5)])).len(), 1, "of another kernel");
    }

    #[test]
    fn no_record_excuses_a_program_near_the_limit() {
        let complaints = record(&[("a", 500_001)]).complaints("6.1", &of(&[("a", 500_001)]));
        assert_eq!(complaints, ["a takes 500,001 of 1,000,000 instructions: too near the limit"]);
    }

    #[test]
    fn figures_are_read_from_the_log_and_written_as_a_table() {
        let log = "no JSON\n{\"message\":\"program verified and attached\",\"program\":\"a\",\"instructions\":1200}\n{\"message\":\"enforcing\"}\n";
        assert_eq!(figures(log), of(&[("a", 1200)]));
        let record = Record([("6.1".to_owned(), of(&[("a", 999)])), ("6.12".to_owned(), of(&[("b", 12)]))].into());
        assert_eq!(record.table(), "| program | 6.1 | 6.12 |\n|---|---:|---:|\n| `a` | 999 | not there |\n| `b` | not there | 12 |\n");
    }
}
