//! Points in time and lengths of time.
//!
//! A duration is a number of nanoseconds in 64 bits, which is 292 years, as in Kubernetes. A timestamp is of the years 1 to 9999, to the
//! nanosecond.

use jiff::{
    civil::{Date, DateTime, date},
    tz::TimeZoneDatabase,
};
use std::fmt::{self, Write};

const NANOSECONDS: i64 = 1_000_000_000;

const DAY: i64 = 86_400;

const EPOCH: Date = date(1970, 1, 1);

/// The first and the last second of a timestamp.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(i64);

impl Duration {
    pub(crate) fn of_nanoseconds(nanoseconds: i64) -> Self {
        Self(nanoseconds)
    }

    /// All of it, in nanoseconds.
    pub fn nanoseconds(self) -> i64 {
        self.0
    }

    /// From text like `1h30m`, `1.5s`, `-20ms`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Some(Self(0));
        }
        if rest.is_empty() {
            return None;
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let (part, after) = part(rest)?;
            total = total.checked_add(part)?;
            rest = after;
        }
        i64::try_from(if negative { -total } else { total }).ok().map(Self)
    }
}

/// Whether the text looks like `2009-02-13T23:31:30`, and without a leap second, which Go does not know.
fn has_shape(text: &str) -> bool {
    let fits = |(wanted, byte): (u8, u8)| if wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted };
    text.len() == 19 && b"0000-00-00T00:00:00".iter().copied().zip(text.bytes()).all(fits) && !text.ends_with("60")
}

/// Nanoseconds of the first number and unit, and what follows.
fn part(text: &str) -> Option<(i128, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let unit_ends = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_ends);
    let unit: i128 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => NANOSECONDS.into(),
        "m" => 60 * i128::from(NANOSECONDS),
        "h" => 3_600 * i128::from(NANOSECONDS),
        _ => return None,
    };
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut value = whole.checked_mul(unit)?;
    let mut scale = unit;
    for digit in fraction.bytes() {
        scale /= 10;
        value = value.checked_add(scale * i128::from(digit - b'0'))?;
    }
    Some((value, rest))
}

impl fmt::Display for Duration {
    /// Seconds, with as many decimals as there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_char('-')?;
        }
        let nanoseconds = self.0.unsigned_abs();
        write!(f, "{}", nanoseconds / 1_000_000_000)?;
        fraction(f, nanoseconds % 1_000_000_000)?;
        f.write_char('s')
    }
}

fn fraction(f: &mut fmt::Formatter<'_>, nanoseconds: u64) -> fmt::Result {
    if nanoseconds == 0 {
        return Ok(());
    }
    let digits = format!("{nanoseconds:09}");
    write!(f, ".{}", digits.trim_end_matches('0'))
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Since 1970.
    seconds: i64,
    nanoseconds: u32,
}

impl Timestamp {
    fn of(seconds: i64, nanoseconds: u32) -> Option<Self> {
        SECONDS.contains(&seconds).then_some(Self { seconds, nanoseconds })
    }

    /// From RFC 3339.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let local: DateTime = text.get(..19).filter(|text| has_shape(text))?.parse().ok()?;
        let rest = text.get(19..)?;
        let (decimals, zone) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?),
            None => ("0", rest),
        };
        let offset = match zone {
            "Z" => 0,
            _ if zone.starts_with(['+', '-']) && zone.len() == 6 && zone.as_bytes().get(3) == Some(&b':') => offset(zone)?.seconds(),
            _ => return None,
        };
        let nanoseconds: u32 = format!("{decimals:0<9}").get(..9)?.parse().ok()?;
        let days = i64::from(local.date().since(EPOCH).ok()?.get_days());
        let within = i64::from(local.hour()) * 3_600 + i64::from(local.minute()) * 60 + i64::from(local.second());
        (!decimals.is_empty()).then(|| Self::of(days * DAY + within - i64::from(offset), nanoseconds))?
    }

    /// From seconds since 1970.
    pub(crate) fn of_seconds(seconds: i64) -> Option<Self> {
        Self::of(seconds, 0)
    }

    pub(crate) fn seconds(self) -> i64 {
        self.seconds
    }

    /// Since 1970.
    pub fn nanoseconds(self) -> i128 {
        i128::from(self.seconds) * i128::from(NANOSECONDS) + i128::from(self.nanoseconds)
    }

    pub(crate) fn plus(self, nanoseconds: i128) -> Option<Self> {
        let sum = self.nanoseconds().checked_add(nanoseconds)?;
        let whole = i128::from(NANOSECONDS);
        Self::of(i64::try_from(sum.div_euclid(whole)).ok()?, u32::try_from(sum.rem_euclid(whole)).ok()?)
    }

    pub(crate) fn since(self, earlier: Self) -> Option<Duration> {
        i64::try_from(self.nanoseconds() - earlier.nanoseconds()).ok().map(Duration)
    }

    /// As it is called in a time zone: a name of the IANA database, or an offset like `-08:00`.
    pub(crate) fn in_zone(self, zone: Option<&str>) -> Option<DateTime> {
        let offset = match zone {
            None | Some("" | "UTC" | "Z") => 0,
            Some(name) => match offset(name) {
                Some(offset) => offset.seconds(),
                None => {
                    let zone = TimeZoneDatabase::bundled().get(name).ok()?;
                    // Where the library's own timestamps end, a zone's rule no longer changes.
                    let (first, last) = (jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
                    zone.to_offset(jiff::Timestamp::from_second(self.seconds.clamp(first, last)).ok()?).seconds()
                }
            },
        };
        self.civil(offset)
    }

    fn civil(self, offset: i32) -> Option<DateTime> {
        let local = self.seconds.checked_add(offset.into())?;
        let date = EPOCH.checked_add(jiff::Span::new().try_days(local.div_euclid(DAY)).ok()?).ok()?;
        let second = i32::try_from(local.rem_euclid(DAY)).ok()?;
        let part = |value: i32| i8::try_from(value).ok();
        let time = jiff::civil::Time::new(
            part(second / 3_600)?,
            part(second / 60 % 60)?,
            part(second % 60)?,
            i32::try_from(self.nanoseconds).ok()?,
        );
        Some(date.to_datetime(time.ok()?))
    }
}

/// `+01:00`, `-08:00`, `02:00`.
fn offset(text: &str) -> Option<jiff::tz::Offset> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i32>().ok())?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if !(0..24).contains(&hours) || !(0..60).contains(&minutes) {
        return None;
    }
    jiff::tz::Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.civil(0).ok_or(fmt::Error)?;
        write!(f, "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", at.year(), at.month(), at.day(), at.hour(), at.minute(), at.second())?;
        fraction(f, self.nanoseconds.into())?;
        f.write_char('Z')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_every_unit_and_written_in_seconds() {
        for (text, written) in [("1h30m", "5400s"), ("1.5s", "1.5s"), ("-20ms", "-0.02s"), ("0", "0s"), ("1us2ns", "0.000001002s")] {
            assert_eq!(Duration::parse(text).unwrap().to_string(), written, "{text}");
        }
        for text in ["", "1", "s", "1d", "1h-1m", "-", ".s", "9223372037s", "1 s"] {
            assert_eq!(Duration::parse(text), None, "{text}");
        }
    }

    #[test]
    fn timestamps_are_of_the_years_1_to_9999() {
        for text in ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2009-02-13T23:31:30Z"] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Timestamp::parse("2009-02-13T23:31:30+02:00").unwrap().to_string(), "2009-02-13T21:31:30Z");
        for text in ["0000-01-01T00:00:00Z", "2009-02-13", "2009-02-13T23:31:30", "2009-02-13 23:31:30Z", "10000-01-01T00:00:00Z", ""] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    /// As Go's `time.Parse` refuses them.
    #[test]
    fn timestamps_are_of_rfc_3339_without_leap_seconds() {
        for text in
            ["2016-12-31T23:59:60Z", "2024-01-01T00+05:30Z", "2024-01-01T000000.0Z", "2024-01-01T00:00:00+1:059", "2024-01-01T24:00:00Z"]
        {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn time_zones_are_names_or_offsets() {
        let timestamp = Timestamp::parse("2009-02-13T23:31:30Z").unwrap();
        let hour = |zone| timestamp.in_zone(zone).map(|at| at.hour());
        assert_eq!(hour(None), Some(23));
        assert_eq!(hour(Some("America/New_York")), Some(18));
        assert_eq!(hour(Some("-08:00")), Some(15));
        assert_eq!(hour(Some("02:00")), Some(1));
        assert_eq!(hour(Some("Nowhere/Town")), None);
    }
}
