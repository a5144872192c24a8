//! Resource quantities: `500m`, `1.5Gi`, `1e3`.
//!
//! A value is kept exactly, as a whole number of billionths: Kubernetes itself rounds what is finer than that away from
//! zero and stops at ±(2^63 − 1), so this is all that a quantity can say. Grammar, limits, canonical form and texts:
//! apimachinery `api/resource/quantity.go`. Stricter in one point: a text without any digit is refused, where
//! Kubernetes reads `Mi` as 0.

use std::cmp::Ordering;
use std::fmt;

const NANO: i128 = 1_000_000_000;
const MAX: i128 = i64::MAX as i128 * NANO;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Decimal,
    Binary,
    Exponent,
}

/// Equality and order are of the value, not of how it was written.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    #[error("unable to parse numeric part of quantity")]
    Number,
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl Quantity {
    pub const ZERO: Quantity = Quantity { nanos: 0, format: Format::Decimal };

    /// So many billionths of a unit; of cores, the `n` of `123456n`.
    pub fn nanos(nanos: u64) -> Quantity {
        Quantity { nanos: i128::from(nanos), format: Format::Decimal }
    }

    /// So many bytes, written with `Ki`, `Mi` and so on where they are whole.
    pub fn bytes(bytes: u64) -> Quantity {
        Quantity { nanos: (i128::from(bytes) * NANO).min(MAX), format: Format::Binary }
    }

    pub fn parse(text: &str) -> Result<Quantity, QuantityError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let split = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(split);
        if !number.contains(|c: char| c.is_ascii_digit()) || !suffix_has_shape(suffix) {
            return Err(QuantityError::Format);
        }
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') {
            return Err(QuantityError::Number);
        }
        let (binary, decimal, format) = scale_of(suffix)?;
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
        multiply(&mut digits, 1 << binary);
        let exponent = decimal.saturating_add(9).saturating_sub(i64::try_from(fraction.len()).unwrap_or(i64::MAX));
        let nanos = shift(&digits, exponent);
        Ok(Quantity { nanos: if negative { -nanos } else { nanos }, format })
    }

    /// In thousandths, rounded towards positive infinity: `1.5` is 1500, `1u` is 1.
    pub fn as_milli_ceil(self) -> i128 {
        div_ceil(self.nanos, NANO / 1000)
    }

    /// In whole units (bytes, cores, fuel), rounded towards positive infinity: `100m` is 1.
    pub fn value_ceil(self) -> i128 {
        div_ceil(self.nanos, NANO)
    }

    /// [`value_ceil`](Self::value_ceil) for sizes: below 0 is 0.
    pub fn value_u64(self) -> u64 {
        u64::try_from(self.value_ceil().max(0)).unwrap_or(u64::MAX)
    }

    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Whether it is a whole number of units.
    pub fn is_integer(self) -> bool {
        self.nanos % NANO == 0
    }

    /// The sum, stopping at the largest quantity.
    pub fn saturating_add(self, other: Quantity) -> Quantity {
        Quantity { nanos: (self.nanos + other.nanos).clamp(-MAX, MAX), format: self.format }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Quantity) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

/// The canonical form: no fraction, the largest suffix that allows it, the family of suffixes in which it was written.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.nanos / NANO;
        if self.format == Format::Binary && self.is_integer() && whole.abs() >= 1024 {
            let mut value = whole;
            let mut steps = 0;
            while value % 1024 == 0 && steps < 6 {
                value /= 1024;
                steps += 1;
            }
            return write!(f, "{value}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][steps]);
        }
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let mut value = self.nanos;
        let mut steps = 0;
        while value % 1000 == 0 && steps < 9 {
            value /= 1000;
            steps += 1;
        }
        match self.format {
            Format::Exponent if steps != 3 => write!(f, "{value}e{}", steps as i32 * 3 - 9),
            _ => write!(f, "{value}{}", ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"][steps]),
        }
    }
}

fn suffix_has_shape(suffix: &str) -> bool {
    let rest = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    rest.bytes().all(|b| b.is_ascii_digit())
}

/// A suffix as power of two, power of ten and family.
fn scale_of(suffix: &str) -> Result<(u32, i64, Format), QuantityError> {
    let binary = |power| Ok((power, 0, Format::Binary));
    let decimal = |power| Ok((0, power, Format::Decimal));
    match suffix {
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        _ => {
            let power = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError::Suffix)?;
            let power = power.parse().map_err(|_| QuantityError::Suffix)?;
            Ok((0, power, Format::Exponent))
        }
    }
}

/// Multiplies a number given by its decimal digits, most significant first.
fn multiply(digits: &mut Vec<u8>, by: u64) {
    if by == 1 {
        return;
    }
    let mut carry: u128 = 0;
    for digit in digits.iter_mut().rev() {
        let sum = u128::from(*digit) * u128::from(by) + carry;
        *digit = (sum % 10) as u8;
        carry = sum / 10;
    }
    let mut high = Vec::new();
    while carry > 0 {
        high.push((carry % 10) as u8);
        carry /= 10;
    }
    digits.splice(0..0, high.into_iter().rev());
}

/// `digits × 10^exponent`, rounded up and at most [`MAX`].
fn shift(digits: &[u8], exponent: i64) -> i128 {
    let start = digits.iter().position(|d| *d != 0).unwrap_or(digits.len());
    let digits = &digits[start..];
    if digits.is_empty() {
        return 0;
    }
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX).saturating_add(exponent);
    if length > 28 {
        return MAX; // At least 10^28 billionths.
    }
    let kept = digits.len().min(usize::try_from(length).unwrap_or(0));
    let mut value: i128 = digits[..kept].iter().fold(0, |value, digit| value * 10 + i128::from(*digit));
    for _ in 0..exponent.max(0) {
        value *= 10; // `length` bounds the loop and the value.
    }
    if digits[kept..].iter().any(|d| *d != 0) {
        value += 1;
    }
    value.min(MAX)
}

fn div_ceil(value: i128, by: i128) -> i128 {
    value.div_euclid(by) + i128::from(value.rem_euclid(by) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nanos(text: &str) -> i128 {
        Quantity::parse(text).unwrap().nanos
    }

    #[test]
    fn every_suffix_has_its_size() {
        let table: &[(&str, i128)] = &[
            ("0", 0),
            ("1", NANO),
            ("+1", NANO),
            ("-1.5", -3 * NANO / 2),
            (".5", NANO / 2),
            ("5.", 5 * NANO),
            ("1n", 1),
            ("1u", 1000),
            ("500m", NANO / 2),
            ("1k", 1000 * NANO),
            ("1.5Gi", 3 * 512 * 1024 * 1024 * NANO),
            ("1Ei", 1 << 60),
            ("1e3", 1000 * NANO),
            ("1E-3", NANO / 1000),
            ("1e+3", 1000 * NANO),
            ("2E", 2_000_000_000_000_000_000 * NANO),
            ("0.0000000001", 1),
            ("-0.0000000001", -1),
            ("100E", MAX),
            ("-8Ei", -MAX),
            ("1e999999999999999999", MAX),
            ("1e-999999999999999999", 1),
            ("0e999999999999999999", 0),
        ];
        for (text, want) in table {
            let want = if *text == "1Ei" { want * NANO } else { *want };
            assert_eq!(nanos(text), want, "{text}");
        }
        assert_eq!(nanos(&format!("{}1Ki", "0".repeat(500))), 1024 * NANO);
        assert_eq!(nanos(&"9".repeat(500)), MAX);
    }

    #[test]
    fn what_is_not_a_quantity_is_refused_in_kubernetes_words() {
        use QuantityError::{Format, Number, Suffix};
        let table = [
            ("", Format),
            ("Mi", Format),
            (".", Format),
            ("aoeu", Format),
            ("1 Gi", Format),
            ("１", Format),
            ("--1", Format),
            ("1.1.1", Number),
            ("1i", Suffix),
            ("0.1mi", Suffix),
            ("1e", Suffix),
            ("1Kik", Suffix),
            ("3.01e-", Suffix),
            ("1e99999999999999999999", Suffix),
        ];
        for (text, want) in table {
            assert_eq!(Quantity::parse(text).unwrap_err(), want, "{text}");
        }
    }

    #[test]
    fn the_canonical_form_is_that_of_kubernetes() {
        let table = [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("0.5Gi", "512Mi"),
            ("1500Ki", "1500Ki"),
            ("100Ki", "100Ki"),
            ("0.5Ki", "512"),
            ("1e3", "1e3"),
            ("10e2", "1e3"),
            ("1e0", "1"),
            ("100000", "100k"),
            ("0Gi", "0"),
            ("-1000", "-1k"),
            ("1n", "1n"),
        ];
        for (text, want) in table {
            assert_eq!(Quantity::parse(text).unwrap().to_string(), want, "{text}");
        }
    }

    #[test]
    fn accessors_round_up() {
        let q = |text| Quantity::parse(text).unwrap();
        assert_eq!(q("1u").as_milli_ceil(), 1);
        assert_eq!(q("-1u").as_milli_ceil(), 0);
        assert_eq!(q("1.5").value_ceil(), 2);
        assert_eq!(q("-5").value_u64(), 0);
        assert_eq!(q("1E").saturating_add(q("9E")).value_ceil(), i128::from(i64::MAX));
        assert!(q("1Gi") > q("1G") && q("1000m") == q("1"));
    }

    proptest! {
        #[test]
        fn no_text_makes_parsing_panic(text in ".*") {
            let _ = Quantity::parse(&text);
        }

        #[test]
        fn near_quantities_do_not_panic(text in "[-+]?[0-9.]{0,40}[eEinumkKMGTP]{0,3}[-+]?[0-9]{0,20}") {
            let _ = Quantity::parse(&text).map(|q| q.to_string());
        }

        #[test]
        fn the_canonical_form_means_the_same(text in "-?[0-9]{1,12}(\\.[0-9]{1,12})?(Ki|Mi|Gi|Ei|n|u|m|k|M|E|e-?[0-9]{1,2})?") {
            let quantity = Quantity::parse(&text).unwrap();
            let again = Quantity::parse(&quantity.to_string()).unwrap();
            prop_assert_eq!(quantity, again);
            prop_assert_eq!(quantity.to_string(), again.to_string());
        }
    }
}
