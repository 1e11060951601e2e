//! The table at the end: a row for each step, what came of it in both modes, and whether that is as it should be.
//!
//! | | in `audit` | in `enforce` |
//! |---|---|---|
//! | a step of the attack | succeeds, reported as would-block | denied in its gate's way, reported as blocked; the same rule, or the same checks, named in both |
//! | normal traffic | succeeds, not reported | the same |

use portcullis_api::event::Action;
use serde_json::{Value, json};
use std::fmt;

use super::attack::{Attempt, Denial};

/// What a cell or a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Of {
    /// What is attempted.
    pub step: &'static str,
    /// What judges it.
    pub gate: &'static str,
    /// How the gate denies it in `enforce`; `None` where it must not.
    pub denial: Option<Denial>,
}

/// What came of a step in one mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The step.
    pub of: Of,
    /// For the one who attempted it.
    pub attempt: Attempt,
    /// As what it was reported, if it was.
    pub reported: Option<Action>,
    /// The rule that would have allowed it, or the checks that it violates.
    pub allowed_by: Option<String>,
    /// What else was seen, for whoever watches; lines.
    pub remark: Option<String>,
}

/// What came of a step in both modes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// In `audit`.
    pub audit: Cell,
    /// In `enforce`.
    pub enforce: Cell,
}

/// Everything that came of the demonstration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The kernel's series.
    pub kernel: &'static str,
    /// The attack's steps in their order, then the normal traffic.
    pub rows: Vec<Row>,
    /// Reports that belong to no step.
    pub strays: Vec<String>,
}

impl Row {
    /// Whether both cells are what the module's table says.
    #[must_use]
    pub fn is_as_it_should_be(&self) -> bool {
        let (audit, enforce) = (&self.audit, &self.enforce);
        if audit.of != enforce.of || audit.attempt != Attempt::Succeeded {
            return false;
        }
        match audit.of.denial {
            Some(denial) => {
                enforce.attempt == Attempt::Denied(denial)
                    && (audit.reported, enforce.reported) == (Some(Action::WouldBlock), Some(Action::Blocked))
                    && audit.allowed_by.is_some()
                    && audit.allowed_by == enforce.allowed_by
            }
            None => enforce.attempt == Attempt::Succeeded && audit.reported.is_none() && enforce.reported.is_none(),
        }
    }

    fn cells(&self) -> [String; 5] {
        let of = self.audit.of;
        let rule = self.enforce.allowed_by.as_ref().or(self.audit.allowed_by.as_ref());
        let verdict = if self.is_as_it_should_be() { "" } else { "WRONG: " };
        let rule = format!("{verdict}{}", rule.map_or("", String::as_str));
        [of.step.to_owned(), of.gate.to_owned(), self.audit.to_string(), self.enforce.to_string(), rule]
    }

    fn to_json(&self) -> Value {
        json!({
            "step": self.audit.of.step,
            "gate": self.audit.of.gate,
            "audit": self.audit.to_json(),
            "enforce": self.enforce.to_json(),
            "asItShouldBe": self.is_as_it_should_be(),
        })
    }
}

impl Table {
    /// Whether every row is, and nothing was reported beside.
    #[must_use]
    pub fn is_as_it_should_be(&self) -> bool {
        !self.rows.is_empty() && self.strays.is_empty() && self.rows.iter().all(Row::is_as_it_should_be)
    }

    /// The table for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "kernel": self.kernel,
            "rows": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "strays": self.strays,
            "asItShouldBe": self.is_as_it_should_be(),
        })
    }
}

impl Cell {
    fn to_json(&self) -> Value {
        json!({ "result": self.attempt.to_string(), "reported": self.reported, "allowedBy": self.allowed_by, "remark": self.remark })
    }
}

/// As in `EPERM, blocked`; for normal traffic with what else was seen.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reported = match self.reported {
            Some(Action::Blocked) => ", blocked",
            Some(Action::WouldBlock) => ", would-block",
            Some(Action::Observed) => ", observed",
            None if self.of.denial.is_some() => ", not reported",
            None => "",
        };
        write!(f, "{}{reported}", self.attempt)?;
        match &self.remark {
            Some(remark) if self.of.denial.is_none() => write!(f, ", {remark}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded => f.write_str("succeeds"),
            Self::Denied(Denial::Eperm) => f.write_str("EPERM"),
            Self::Denied(Denial::Forbidden) => f.write_str("403"),
            Self::Unclear(what) => write!(f, "unclear: {}", what.replace('\n', " ")),
        }
    }
}

/// The table for people: columns as wide as they must be, the verdict under them.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["step", "gate", "audit", "enforce", "what would have allowed it"].map(str::to_owned);
        let lines: Vec<[String; 5]> = std::iter::once(head).chain(self.rows.iter().map(Row::cells)).collect();
        let mut widths = [0; 5];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = cell.chars().count().max(*width);
            }
        }
        for line in &lines {
            let cells: Vec<String> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        for stray in &self.strays {
            writeln!(f, "reported, and no step of the attack: {stray}")?;
        }
        let wrong = self.rows.iter().filter(|row| !row.is_as_it_should_be()).count() + self.strays.len();
        match wrong {
            0 => write!(f, "\nLinux {}: every step is as it should be.", self.kernel),
            wrong => write!(f, "\nLinux {}: {wrong} of the above not as it should be.", self.kernel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(denial: Option<Denial>, attempt: Attempt, reported: Option<Action>) -> Cell {
        let of = Of { step: "a shell is spawned", gate: "exec", denial };
        let allowed_by = denial.map(|_| "exec /bin/sh".to_owned());
        Cell { of, attempt, reported, allowed_by, remark: None }
    }

    fn attack() -> Row {
        let denial = Some(Denial::Eperm);
        Row {
            audit: cell(denial, Attempt::Succeeded, Some(Action::WouldBlock)),
            enforce: cell(denial, Attempt::Denied(Denial::Eperm), Some(Action::Blocked)),
        }
    }

    fn normal() -> Row {
        Row { audit: cell(None, Attempt::Succeeded, None), enforce: cell(None, Attempt::Succeeded, None) }
    }

    fn table(rows: Vec<Row>) -> Table {
        Table { kernel: "6.12", rows, strays: Vec::new() }
    }

    #[test]
    fn an_attack_is_watched_and_then_stopped_and_visitors_are_served() {
        assert!(table(vec![attack(), normal()]).is_as_it_should_be());
        assert!(table(vec![attack(), normal()]).to_string().contains("a shell is spawned  exec  succeeds, would-block  EPERM, blocked"));
    }

    #[test]
    fn every_other_cell_is_wrong() {
        let wrong: [fn(&mut Row); 8] = [
            |row| row.audit.attempt = Attempt::Denied(Denial::Eperm),
            |row| row.audit.reported = None,
            |row| row.enforce.attempt = Attempt::Succeeded,
            |row| row.enforce.attempt = Attempt::Denied(Denial::Forbidden),
            |row| row.enforce.attempt = Attempt::Unclear("EACCES".to_owned()),
            |row| row.enforce.reported = Some(Action::WouldBlock),
            |row| row.enforce.allowed_by = Some("exec /bin/id".to_owned()),
            |row| (row.audit.allowed_by, row.enforce.allowed_by) = (None, None),
        ];
        for (index, change) in wrong.into_iter().enumerate() {
            let mut row = attack();
            change(&mut row);
            let table = table(vec![row]);
            assert!(!table.is_as_it_should_be(), "change {index}");
            assert!(table.to_string().contains("WRONG"), "change {index}");
            assert_eq!(table.to_json()["asItShouldBe"], false, "change {index}");
        }
        let mut row = normal();
        row.enforce.reported = Some(Action::Blocked);
        assert!(!row.is_as_it_should_be());
    }

    #[test]
    fn a_stray_report_or_an_empty_table_is_wrong() {
        assert!(!table(Vec::new()).is_as_it_should_be());
        let mut stray = table(vec![attack()]);
        stray.strays.push("Blocked Exec of /usr/bin/shop".to_owned());
        assert!(!stray.is_as_it_should_be());
    }
}
