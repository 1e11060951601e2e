//! Quantities: `100m`, `1.5Gi`, `2e3`.
//!
//! A quantity is kept as a whole number of billionths, what is smaller is rounded up to one, and what was written with a suffix of powers of two
//! and is larger than 2⁶³−1 is 2⁶³−1, as in Kubernetes. There, a quantity is *an integer* only if the notation it was written in had no use for
//! fractions; `1.0` and `1.5Ki` are none. So is it here.

use std::cmp::Ordering;

const BILLION: i128 = 1_000_000_000;

/// Kubernetes' largest with a suffix of powers of two, in billionths.
const LARGEST: i128 = 9_223_372_036_854_775_807 * BILLION;

/// Digits that fit whole numbers of 64 bits.
const DIGITS: i64 = 18;

/// Characters of a quantity.
const LENGTH: usize = 256;

/// An amount of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    billionths: i128,
    /// The power of ten of the unit that it is a whole number of 64 bits of; none where Kubernetes keeps decimals of any size.
    scale: Option<i64>,
}

/// What a suffix stands for.
enum Suffix {
    Decimal(i64),
    Binary(u32),
}

impl Quantity {
    pub(super) fn whole(value: i64) -> Self {
        Self { billionths: i128::from(value) * BILLION, scale: Some(0) }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > LENGTH {
            return None;
        }
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, rest) = rest.split_at(digits(rest));
        let whole = whole.trim_start_matches('0');
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(digits(rest)),
            None => ("", rest),
        };
        let suffix = Suffix::parse(suffix)?;
        let length = i64::try_from(whole.len().max(1) + fraction.len()).ok()?;
        let decimals = i64::try_from(fraction.len()).ok()?;
        let sign = if negative { -1 } else { 1 };
        let scale = match suffix {
            Suffix::Decimal(power) if length <= DIGITS && power - decimals >= -9 => Some(power - decimals),
            Suffix::Binary(power) if decimals == 0 && 15 - length - i64::from(power) * 3 / 10 > 0 => Some(0),
            _ => None,
        };
        let magnitude = magnitude(whole, fraction, &suffix);
        let billionths = if matches!(suffix, Suffix::Binary(_)) { magnitude.min(LARGEST) } else { magnitude };
        Some(Self { billionths: sign * billionths, scale })
    }

    /// As a whole number, where it is one by its notation and of the range.
    pub(super) fn as_int(self) -> Option<i64> {
        self.scale.filter(|scale| *scale >= 0)?;
        i64::try_from(self.billionths / BILLION).ok()
    }

    /// The whole number that Kubernetes keeps times its power of ten, with what that loses.
    #[allow(clippy::cast_precision_loss, reason = "an approximation is what is asked for")]
    pub(super) fn approximate(self) -> f64 {
        let is_capped = self.scale.is_none() && self.billionths.abs() == LARGEST;
        let scale = if is_capped { 0 } else { self.scale.unwrap_or(-9) };
        let kept = unit(scale).map_or(0, |unit| self.billionths / unit) as f64;
        i32::try_from(scale).map_or(0.0, |scale| if scale == 0 { kept } else { kept * 10_f64.powi(scale) })
    }

    pub(super) fn sign(self) -> i64 {
        i64::try_from(self.billionths.signum()).unwrap_or_default()
    }

    pub(super) fn add(self, other: Self) -> Self {
        let billionths = self.billionths.saturating_add(other.billionths);
        let scale = match (self.scale, other.scale) {
            (Some(a), _) if other.billionths == 0 => Some(a),
            (_, Some(b)) if self.billionths == 0 => Some(b),
            (Some(a), Some(b)) => Some(a.min(b)).filter(|scale| fits(billionths, *scale)),
            _ => None,
        };
        Self { billionths, scale }
    }

    pub(super) fn negated(self) -> Self {
        Self { billionths: self.billionths.saturating_neg(), ..self }
    }

    /// By amount, whatever the notation.
    pub(crate) fn cmp(&self, other: &Self) -> Ordering {
        self.billionths.cmp(&other.billionths)
    }
}

/// Whether an amount is a whole number of 64 bits of units of a power of ten.
fn fits(billionths: i128, scale: i64) -> bool {
    unit(scale).is_some_and(|unit| i64::try_from(billionths / unit).is_ok())
}

/// A power of ten, in billionths.
fn unit(scale: i64) -> Option<i128> {
    u32::try_from(scale + 9).ok().and_then(|power| 10_i128.checked_pow(power))
}

impl Suffix {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "n" => Self::Decimal(-9),
            "u" => Self::Decimal(-6),
            "m" => Self::Decimal(-3),
            "" => Self::Decimal(0),
            "k" => Self::Decimal(3),
            "M" => Self::Decimal(6),
            "G" => Self::Decimal(9),
            "T" => Self::Decimal(12),
            "P" => Self::Decimal(15),
            "E" => Self::Decimal(18),
            "Ki" => Self::Binary(10),
            "Mi" => Self::Binary(20),
            "Gi" => Self::Binary(30),
            "Ti" => Self::Binary(40),
            "Pi" => Self::Binary(50),
            "Ei" => Self::Binary(60),
            _ => {
                let exponent = text.strip_prefix(['e', 'E'])?;
                let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                Self::Decimal(exponent.parse::<i32>().ok()?.into())
            }
        })
    }
}

/// Billionths, rounded up; the largest number where there are more.
fn magnitude(whole: &str, fraction: &str, suffix: &Suffix) -> i128 {
    // As many digits as can be multiplied by the suffix: those beyond them change nothing but what is rounded up.
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return 0;
    }
    let (kept, dropped) = significant.split_at(significant.len().min(if matches!(suffix, Suffix::Decimal(_)) { 36 } else { 19 }));
    let Ok(number) = kept.parse::<i128>() else { return i128::MAX };
    let is_more = dropped.bytes().any(|digit| digit != b'0');
    let lost = i64::try_from(dropped.len()).unwrap_or(i64::MAX) - i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let (power, number) = match suffix {
        Suffix::Decimal(power) => (lost.saturating_add(*power).saturating_add(9), number),
        Suffix::Binary(power) => (lost.saturating_add(9), number.saturating_mul(1_i128 << power)),
    };
    let scale = u32::try_from(power.unsigned_abs()).ok().and_then(|power| 10_i128.checked_pow(power));
    match (power >= 0, scale) {
        (true, Some(scale)) => number.checked_mul(scale).map_or(i128::MAX, |value| value.saturating_add(i128::from(is_more))),
        (true, None) => i128::MAX,
        (false, Some(scale)) => number / scale + i128::from(number % scale != 0 || is_more),
        (false, None) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Quantity {
        Quantity::parse(text).unwrap_or_else(|| panic!("{text} is a quantity"))
    }

    #[test]
    fn suffixes_are_powers_of_ten_and_of_two() {
        for (a, b) in
            [("1k", "1000"), ("1Ki", "1024"), ("1.5Gi", "1610612736"), ("100m", "0.1"), ("1E3", "1e3"), ("1e3", "1k"), ("2E", "2e18")]
        {
            assert!(of(a).cmp(&of(b)).is_eq(), "{a} {b}");
        }
        for text in ["", "200K", "Three", "1,3G", "1e", "1 ", "1KI", "1ee3", "1k3", "0x1", "1.2.3"] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_smaller_than_a_billionth_is_one() {
        assert!(of("0.1n").cmp(&of("1n")).is_eq());
        assert!(of("1e-1000").cmp(&of("1n")).is_eq());
        assert!(of("-0.1n").cmp(&of("-1n")).is_eq());
    }

    #[test]
    fn an_integer_is_one_by_its_notation() {
        assert_eq!(of("50k").as_int(), Some(50_000));
        assert_eq!(of("1Gi").as_int(), Some(1 << 30));
        for text in ["1.0", "1.5Ki", "10E", "9999999999999999999999999999999999999G", "1m", "1e1000"] {
            assert_eq!(of(text).as_int(), None, "{text}");
        }
        assert_eq!(of("50k").add(Quantity::whole(20)).as_int(), Some(50_020));
    }

    #[test]
    fn only_powers_of_two_are_capped() {
        assert!(of("9999999999999999999999999999999999999G").cmp(&of("9223372036854775807")).is_gt());
        assert!(of("-10000000000000000000").cmp(&of("-9223372036854775807")).is_lt());
        assert!(of("8Ei").cmp(&of("9223372036854775807")).is_eq() && of("100Ei").cmp(&of("8Ei")).is_eq());
        assert!(of("1e1000").cmp(&of("1E")).is_gt());
        assert!(of("0.0000000000000000000000000000000000000000001Ei").cmp(&of("1n")).is_ge());
    }
}
