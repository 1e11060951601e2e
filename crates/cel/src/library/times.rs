//! Parts of timestamps and durations.

use super::{Call, Evaluated, Overload, Ty, fault, member};
use crate::{Duration, Value};
use jiff::civil::DateTime;

const ONE: &[Ty] = &[Ty::Timestamp];
const ZONED: &[Ty] = &[Ty::Timestamp, Ty::String];
const LENGTH: &[Ty] = &[Ty::Duration];

pub(super) const OVERLOADS: &[Overload] = &[
    member(0, "getFullYear", ONE, Ty::Int, year),
    member(0, "getFullYear", ZONED, Ty::Int, year),
    member(0, "getMonth", ONE, Ty::Int, month),
    member(0, "getMonth", ZONED, Ty::Int, month),
    member(0, "getDate", ONE, Ty::Int, date),
    member(0, "getDate", ZONED, Ty::Int, date),
    member(0, "getDayOfMonth", ONE, Ty::Int, day_of_month),
    member(0, "getDayOfMonth", ZONED, Ty::Int, day_of_month),
    member(0, "getDayOfWeek", ONE, Ty::Int, day_of_week),
    member(0, "getDayOfWeek", ZONED, Ty::Int, day_of_week),
    member(0, "getDayOfYear", ONE, Ty::Int, day_of_year),
    member(0, "getDayOfYear", ZONED, Ty::Int, day_of_year),
    member(0, "getHours", ONE, Ty::Int, hours),
    member(0, "getHours", ZONED, Ty::Int, hours),
    member(0, "getMinutes", ONE, Ty::Int, minutes),
    member(0, "getMinutes", ZONED, Ty::Int, minutes),
    member(0, "getSeconds", ONE, Ty::Int, seconds),
    member(0, "getSeconds", ZONED, Ty::Int, seconds),
    member(0, "getMilliseconds", ONE, Ty::Int, milliseconds),
    member(0, "getMilliseconds", ZONED, Ty::Int, milliseconds),
    member(0, "getHours", LENGTH, Ty::Int, |call| length(call, |duration| duration.nanoseconds() / 3_600_000_000_000)),
    member(0, "getMinutes", LENGTH, Ty::Int, |call| length(call, |duration| duration.nanoseconds() / 60_000_000_000)),
    member(0, "getSeconds", LENGTH, Ty::Int, |call| length(call, |duration| duration.nanoseconds() / 1_000_000_000)),
    member(0, "getMilliseconds", LENGTH, Ty::Int, |call| length(call, |duration| duration.nanoseconds() / 1_000_000)),
];

fn length<'a>(call: &mut Call<'_, 'a>, part: impl Fn(Duration) -> i64) -> Evaluated<'a> {
    match call.argument(0) {
        Value::Duration(duration) => Ok(Value::Int(part(duration))),
        _ => fault("no such overload"),
    }
}

/// A part of a timestamp, as it is called in the time zone of the second argument.
fn part<'a>(call: &mut Call<'_, 'a>, part: impl Fn(DateTime) -> i64) -> Evaluated<'a> {
    call.budget.look_at_clock()?;
    let zone = call.text(1);
    let zone = (call.arguments.len() > 1).then_some(&*zone);
    let Value::Timestamp(timestamp) = call.argument(0) else { return fault("no such overload") };
    match timestamp.in_zone(zone) {
        Some(at) => Ok(Value::Int(part(at))),
        None => fault("the time zone is not known; it is a name like 'Europe/Paris' or an offset like '+02:00'"),
    }
}

fn year<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    part(call, |at| at.year().into())
}

fn month<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    part(call, |at| i64::from(at.month()) - 1)
}

fn date<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    part(call, |at| at.day().into())
}

fn day_of_month<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    part(call, |at| i64::from(at.day()) - 1)
}

fn day_of_week<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    part(call, |at| at.weekday().to_sunday_zero_offset().into())
}

fn day_of_year<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    part(call, |at| i64::from(at.day_of_year()) - 1)
}

fn hours<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    part(call, |at| at.hour().into())
}

fn minutes<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    part(call, |at| at.minute().into())
}

fn seconds<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    part(call, |at| at.second().into())
}

fn milliseconds<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    part(call, |at| i64::from(at.subsec_nanosecond()) / 1_000_000)
}
