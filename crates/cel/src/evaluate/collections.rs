//! Lists and maps that an expression writes.

use super::Evaluation;
use crate::{
    EvaluationError, Value,
    code::Code,
    library::Evaluated,
    value::{Entries, Map},
};

/// What making a list costs, and making a map: Kubernetes' figures.
pub(crate) const LIST_UNITS: u64 = 10;
const MAP_UNITS: u64 = 30;

/// What an entry of a map costs beside, so that the units bound the memory that maps take.
pub(super) const ENTRY_UNITS: u64 = 4;

impl<'a> Evaluation<'_, 'a> {
    pub(super) fn list(&mut self, elements: &'a [(Code, bool)]) -> Evaluated<'a> {
        self.budget.charge(LIST_UNITS)?;
        self.budget.charge_elements(elements.len())?;
        let mut values = Vec::with_capacity(elements.len());
        for (element, optional) in elements {
            let value = self.evaluate(element)?;
            values.extend(if *optional { present(value)? } else { Some(value) });
        }
        Ok(Value::list(values))
    }

    pub(super) fn map(&mut self, entries: &'a [(Code, Code, bool)]) -> Evaluated<'a> {
        self.budget.charge(MAP_UNITS)?;
        let mut map = Entries::default();
        for (key, value, optional) in entries {
            let key = self.evaluate(key)?;
            let value = self.evaluate(value)?;
            self.budget.charge(ENTRY_UNITS)?;
            let Some(value) = (if *optional { present(value)? } else { Some(value) }) else { continue };
            // As in Kubernetes, the last of equal keys counts.
            let kind = key.type_name().name();
            map.replace(key, value).ok_or_else(|| unfit_key(kind))?;
        }
        Ok(Value::Map(Map::made(map)))
    }
}

/// Adds an entry whose key must be new.
pub(super) fn insert<'a>(map: &mut Entries<'a>, key: Value<'a>, value: Value<'a>) -> Result<(), EvaluationError> {
    let kind = key.type_name().name();
    match map.insert(key, value) {
        Some(true) => Ok(()),
        Some(false) => Err(EvaluationError::fault("a key of the map is there twice")),
        None => Err(unfit_key(kind)),
    }
}

fn unfit_key(kind: &str) -> EvaluationError {
    EvaluationError::fault(format!("unsupported key type: {kind}; a key is a bool, an int, a uint or a string"))
}

/// The value of an optional, where it has one.
fn present(value: Value<'_>) -> Result<Option<Value<'_>>, EvaluationError> {
    match value {
        Value::Optional(inner) => Ok(inner.map(|value| (*value).clone())),
        other => Err(EvaluationError::fault(format!("cannot initialize an optional entry from {}", other.type_name().name()))),
    }
}
