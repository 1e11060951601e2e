//! Macros that iterate.

use super::{
    Evaluation,
    collections::{ENTRY_UNITS, LIST_UNITS, insert},
};
use crate::{
    EvaluationError, List, Map, Value,
    code::{Iteration, Kind},
    library::{Evaluated, sorted},
    value::Entries,
};

/// What one round binds: an index or key, and the element or value.
type Round<'a> = (Value<'a>, Value<'a>);

/// The rounds over a list, one by one, or over a map, which were taken from it.
enum Rounds<'a> {
    List(List<'a>, usize),
    Map(std::vec::IntoIter<Round<'a>>),
}

impl<'a> Iterator for Rounds<'a> {
    type Item = Round<'a>;

    fn next(&mut self) -> Option<Round<'a>> {
        match self {
            Self::List(list, at) => {
                let element = list.get(*at)?;
                let index = Value::Int(i64::try_from(*at).ok()?);
                *at += 1;
                Some((index, element))
            }
            Self::Map(entries) => entries.next(),
        }
    }
}

impl<'a> Evaluation<'_, 'a> {
    pub(super) fn iterate(&mut self, iteration: &'a Iteration) -> Evaluated<'a> {
        let range = self.evaluate(&iteration.range)?;
        let is_map = matches!(range, Value::Map(_));
        let rounds = match range {
            Value::List(list) => Rounds::List(list, 0),
            Value::Map(map) => {
                self.budget.charge_elements(map.len())?;
                Rounds::Map(map.iter().collect::<Vec<_>>().into_iter())
            }
            other => return Err(EvaluationError::fault(format!("no such overload: {} cannot be iterated", other.type_name().name()))),
        };
        // With one variable, it is the element of a list, and the key of a map.
        let rounds = rounds.map(|(key, value)| if iteration.two_variables || !is_map { (key, value) } else { (Value::Null, key) });
        match iteration.kind {
            Kind::All => self.search(iteration, rounds, false),
            Kind::Exists => self.search(iteration, rounds, true),
            Kind::ExistsOne => self.exists_one(iteration, rounds),
            Kind::List | Kind::Filter | Kind::Sort => self.collect(iteration, rounds),
            Kind::Map | Kind::Entries => self.collect_map(iteration, rounds),
        }
    }

    /// Does something with the variables of a round bound.
    fn round<T>(&mut self, iteration: &Iteration, round: &Round<'a>, run: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.locals.len();
        if iteration.two_variables {
            self.locals.push(round.0.clone());
        }
        self.locals.push(round.1.clone());
        let result = run(self);
        self.locals.truncate(before);
        result
    }

    /// `exists` seeks a round that is true, `all` one that is false. A round without a value counts only if none is found.
    fn search(&mut self, iteration: &'a Iteration, rounds: impl Iterator<Item = Round<'a>>, sought: bool) -> Evaluated<'a> {
        let mut error = None;
        for round in rounds {
            self.budget.charge(1)?;
            match self.round(iteration, &round, |evaluation| evaluation.condition(&iteration.body)) {
                Ok(value) if value == sought => return Ok(Value::Bool(sought)),
                Ok(_) => {}
                Err(fault) if fault.is_absorbable() => error = error.or(Some(fault)),
                Err(limit) => return Err(limit),
            }
        }
        error.map_or(Ok(Value::Bool(!sought)), Err)
    }

    fn exists_one(&mut self, iteration: &'a Iteration, rounds: impl Iterator<Item = Round<'a>>) -> Evaluated<'a> {
        let mut found = 0_u64;
        for round in rounds {
            self.budget.charge(1)?;
            found += u64::from(self.round(iteration, &round, |evaluation| evaluation.condition(&iteration.body))?);
        }
        Ok(Value::Bool(found == 1))
    }

    /// Whether a round counts.
    fn passes(&mut self, iteration: &'a Iteration) -> Result<bool, EvaluationError> {
        iteration.filter.as_ref().map_or(Ok(true), |filter| self.condition(filter))
    }

    fn collect(&mut self, iteration: &'a Iteration, rounds: impl Iterator<Item = Round<'a>>) -> Evaluated<'a> {
        self.budget.charge(LIST_UNITS)?;
        let mut keyed = Vec::new();
        for round in rounds {
            self.budget.charge(1)?;
            let value = self.round(iteration, &round, |evaluation| {
                if !evaluation.passes(iteration)? {
                    return Ok(None);
                }
                match iteration.kind {
                    Kind::Filter => evaluation.condition(&iteration.body).map(|holds| holds.then_some(Value::Null)),
                    _ => evaluation.evaluate(&iteration.body).map(Some),
                }
            })?;
            if let Some(value) = value {
                let (_, element) = round;
                keyed.push((value, element));
            }
        }
        Ok(Value::list(match iteration.kind {
            Kind::Sort => sorted(keyed, self.budget)?,
            Kind::Filter => keyed.into_iter().map(|(_, element)| element).collect(),
            _ => keyed.into_iter().map(|(value, _)| value).collect::<Vec<_>>(),
        }))
    }

    fn collect_map(&mut self, iteration: &'a Iteration, rounds: impl Iterator<Item = Round<'a>>) -> Evaluated<'a> {
        let mut made = Entries::default();
        for round in rounds {
            self.budget.charge(ENTRY_UNITS)?;
            let value = self.round(iteration, &round, |evaluation| {
                if !evaluation.passes(iteration)? {
                    return Ok(None);
                }
                evaluation.evaluate(&iteration.body).map(Some)
            })?;
            match (value, iteration.kind) {
                (None, _) => {}
                (Some(Value::Map(entries)), Kind::Entries) => {
                    for (key, value) in entries.iter() {
                        self.budget.charge(ENTRY_UNITS)?;
                        insert(&mut made, key, value)?;
                    }
                }
                (Some(other), Kind::Entries) => {
                    let kind = other.type_name().name();
                    return Err(EvaluationError::fault(format!("transformMapEntry needs a map of entries, not {kind}")));
                }
                (Some(value), _) => insert(&mut made, round.0, value)?,
            }
        }
        Ok(Value::Map(Map::made(made)))
    }
}
