//! Lists as sets.

use super::{Call, Evaluated, Overload, Ty, global};
use crate::{Budget, EvaluationError, List, Value, value::equal};

const LISTS: &[Ty] = &[Ty::List(&Ty::A), Ty::List(&Ty::A)];

pub(super) const OVERLOADS: &[Overload] = &[
    global(29, "sets.contains", LISTS, Ty::Bool, |call| judge(call, |a, b, budget| all_in(b, a, budget))),
    global(29, "sets.equivalent", LISTS, Ty::Bool, |call| judge(call, |a, b, budget| Ok(all_in(a, b, budget)? && all_in(b, a, budget)?))),
    global(29, "sets.intersects", LISTS, Ty::Bool, |call| judge(call, intersect)),
];

type Judge = for<'a, 'b> fn(&List<'a>, &List<'b>, &mut Budget) -> Result<bool, EvaluationError>;

fn judge<'a>(call: &mut Call<'_, 'a>, judge: Judge) -> Evaluated<'a> {
    let (a, b) = (call.list(0), call.list(1));
    judge(&a, &b, call.budget).map(Value::Bool)
}

fn holds(list: &List<'_>, wanted: &Value<'_>, budget: &mut Budget) -> Result<bool, EvaluationError> {
    for element in list.iter() {
        budget.charge(1)?;
        if equal(&element, wanted, budget)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn all_in(part: &List<'_>, whole: &List<'_>, budget: &mut Budget) -> Result<bool, EvaluationError> {
    for element in part.iter() {
        if !holds(whole, &element, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn intersect(a: &List<'_>, b: &List<'_>, budget: &mut Budget) -> Result<bool, EvaluationError> {
    for element in a.iter() {
        if holds(b, &element, budget)? {
            return Ok(true);
        }
    }
    Ok(false)
}
