//! Numbers that conditions compare: exact decimals as bounds, device values
//! as they are.

use crate::problem::Slip;
use dissect::Number;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A value as the device would read it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    Integer(i128),
    /// Never NaN; infinities are beyond all bounds.
    Float(f32),
    /// Likewise.
    Double(f64),
}

impl Value {
    /// A number of a device, unless it is not a number.
    pub(crate) fn of(number: Number) -> Option<Self> {
        match number {
            Number::Bool(on) => Some(Self::Integer(on.into())),
            Number::Signed(number) => Some(Self::Integer(number.into())),
            Number::Unsigned(number) => Some(Self::Integer(number.into())),
            Number::Short(number) => Self::float(number),
            Number::Long(number) => (!number.is_nan()).then_some(Self::Double(number)),
        }
    }

    /// A float, unless it is not a number.
    pub(crate) fn float(value: f32) -> Option<Self> {
        (!value.is_nan()).then_some(Self::Float(value))
    }
}

/// Tells the text of a double from that of a float.
const DOUBLE: char = 'd';

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(formatter, "{value}"),
            // `Debug` of a float always has a point or an exponent, so that
            // the text reads back as a float.
            Self::Float(value) => write!(formatter, "{value:?}"),
            Self::Double(value) => write!(formatter, "{value:?}{DOUBLE}"),
        }
    }
}

impl FromStr for Value {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Some(double) = text.strip_suffix(DOUBLE) {
            return double.parse().ok().and_then(|number| Self::of(Number::Long(number))).ok_or(());
        }
        match text.parse() {
            Ok(integer) => Ok(Self::Integer(integer)),
            Err(_) => text.parse().ok().and_then(Self::float).ok_or(()),
        }
    }
}

/// An exact decimal: `mantissa / 10^scale`, at most 15 digits, so that it is
/// exact as a binary64 as far as it is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decimal {
    mantissa: i64,
    scale: u8,
}

/// The most digits of a bound.
const DIGITS: usize = 15;

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !plain(whole) || !plain(fraction) || whole.len().saturating_add(fraction.len()) > DIGITS {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let sign = if digits.len() == text.len() { "" } else { "-" };
        let mantissa = format!("{sign}{whole}{fraction}").parse().ok()?;
        Some(Self { mantissa, scale: u8::try_from(fraction.len()).ok()? })
    }

    fn power(self) -> i128 {
        10_i128.saturating_pow(self.scale.into())
    }

    /// The nearest binary32: what a device of that type can hold at all.
    fn nearest_float(self) -> f32 {
        #[expect(clippy::cast_possible_truncation, reason = "the nearest one is what is meant")]
        let nearest = self.nearest_double() as f32;
        nearest
    }

    /// The nearest binary64.
    fn nearest_double(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "15 digits are exact in 53 bits")]
        let mantissa = self.mantissa as f64;
        mantissa / 10_f64.powi(self.scale.into())
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.mantissa.unsigned_abs(), width = scale.saturating_add(1));
        match digits.split_at_checked(digits.len().saturating_sub(scale)) {
            Some((whole, "")) => write!(formatter, "{sign}{whole}"),
            Some((whole, fraction)) => write!(formatter, "{sign}{whole}.{fraction}"),
            None => formatter.write_str(&digits),
        }
    }
}

/// `LO..HI`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    low: Decimal,
    high: Decimal,
}

impl Bounds {
    pub(crate) fn parse(text: &str) -> Result<Self, Slip> {
        let refuse = |at| Slip::at(at, "expected LO..HI, numbers of at most 15 digits");
        let (low, high) = text.split_once("..").ok_or_else(|| refuse(0))?;
        let low_number = Decimal::parse(low).ok_or_else(|| refuse(0))?;
        let high_number = Decimal::parse(high).ok_or_else(|| refuse(low.len().saturating_add(2)))?;
        let bounds = Self { low: low_number, high: high_number };
        if compare(low_number, high_number).is_gt() {
            return Err(Slip::at(0, "the bounds run backwards"));
        }
        Ok(bounds)
    }

    /// Whether the value lies within. Integers are compared exactly, a float
    /// with the bounds as its own type can hold them.
    pub(crate) fn contain(&self, value: Value) -> bool {
        match value {
            Value::Integer(value) => {
                value.saturating_mul(self.low.power()) >= self.low.mantissa.into()
                    && value.saturating_mul(self.high.power()) <= self.high.mantissa.into()
            }
            Value::Float(value) => self.low.nearest_float() <= value && value <= self.high.nearest_float(),
            Value::Double(value) => self.low.nearest_double() <= value && value <= self.high.nearest_double(),
        }
    }

    /// The least and the greatest integer within; the second below the first
    /// if there is none.
    pub(crate) fn integers(&self) -> (i128, i128) {
        let high = i128::from(self.high.mantissa).div_euclid(self.high.power());
        (self.sample().into(), high)
    }

    /// The bounds as a binary64 can hold them.
    pub(crate) fn doubles(&self) -> (f64, f64) {
        (self.low.nearest_double(), self.high.nearest_double())
    }

    /// The bounds as a binary32 can hold them.
    pub(crate) fn floats(&self) -> (f32, f32) {
        (self.low.nearest_float(), self.high.nearest_float())
    }

    /// An integer within, or the nearest one to the lower bound.
    pub(crate) fn sample(&self) -> i64 {
        let low = i128::from(self.low.mantissa);
        let floor = low.div_euclid(self.low.power());
        let up = i128::from(low.rem_euclid(self.low.power()) != 0);
        i64::try_from(floor.saturating_add(up)).unwrap_or_default()
    }
}

fn compare(one: Decimal, other: Decimal) -> std::cmp::Ordering {
    let left = i128::from(one.mantissa).saturating_mul(other.power());
    left.cmp(&i128::from(other.mantissa).saturating_mul(one.power()))
}

impl fmt::Display for Bounds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}..{}", self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bounds(text: &str) -> Bounds {
        Bounds::parse(text).expect(text)
    }

    #[test]
    fn both_ends_are_included() {
        for (text, value, within) in [
            ("0..900", 0, true),
            ("0..900", 900, true),
            ("0..900", 901, false),
            ("-5..-1", -5, true),
            ("-5..-1", 0, false),
            ("0.5..2.5", 0, false),
            ("0.5..2.5", 1, true),
            ("0.5..2.5", 3, false),
        ] {
            assert_eq!(bounds(text).contain(Value::Integer(value)), within, "{value} in {text}");
        }
    }

    #[test]
    fn floats_meet_the_bounds_of_their_own_type() {
        assert!(bounds("0.1..0.2").contain(Value::Float(0.1)));
        assert!(bounds("0.1..0.2").contain(Value::Float(0.2)));
        assert!(!bounds("0.1..0.2").contain(Value::Float(0.200_001)));
        assert!(!bounds("0..900").contain(Value::Float(f32::INFINITY)));
        assert!(!bounds("0..900").contain(Value::Float(-f32::MIN_POSITIVE)));
        assert_eq!(Value::float(f32::NAN), None);
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "1",
            "1..",
            "..1",
            "2..1",
            "1...2",
            "+1..2",
            "1e3..2e3",
            "1..2..3",
            "0x1..2",
            "nan..1",
            "1234567890123456..2",
            ".5..1",
            "1.5..1.4",
        ] {
            assert!(Bounds::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bounds_read_as_written() {
        for text in ["0..900", "-0.5..12.75", "0.001..0.002"] {
            assert_eq!(bounds(text).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            let _ = Bounds::parse(&text);
        }

        #[test]
        fn integers_are_exact(low in -9999_i64..9999, width in 0_i64..9999, value in -20_000_i64..20_000) {
            let high = low + width;
            let tenths = |number: i64| {
                let sign = if number < 0 { "-" } else { "" };
                format!("{sign}{}.{}", number.abs() / 10, number.abs() % 10)
            };
            let bounds = bounds(&format!("{}..{}", tenths(low), tenths(high)));
            prop_assert_eq!(bounds.contain(Value::Integer(value.into())), low <= value * 10 && value * 10 <= high);
        }

        #[test]
        fn values_read_back(value in any::<f32>().prop_filter("a number", |value| !value.is_nan())) {
            prop_assert_eq!(Value::Float(value).to_string().parse(), Ok(Value::Float(value)));
            let double = Value::Double(f64::from(value) / 3.0);
            prop_assert_eq!(double.to_string().parse(), Ok(double));
        }
    }
}
