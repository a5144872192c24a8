//! What a scalar without quotes means: YAML 1.1 as kubectl's library resolves it (sigs.k8s.io/yaml `goyaml.v2`,
//! `resolve.go`), followed by its conversion to JSON.
//!
//! It differs from YAML 1.2 where manifests notice: `yes`, `no`, `on`, `off`, `y`, `n` are booleans, `0644` is octal,
//! `1_000` is 1000, and `1e3` is the integer 1000. Times and dates stay strings.

use serde_json::{Number, Value};

/// The value of a plain scalar, or why JSON cannot say it.
pub(super) fn plain(text: &str) -> Result<Value, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => return Err(format!("the number {text} has no JSON form")),
        _ => number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number),
    })
}

/// The value of a scalar under the tag `!!name`.
pub(super) fn tagged(name: &str, text: &str) -> Result<Value, String> {
    let value = match name {
        "str" | "timestamp" => return Ok(Value::String(text.to_owned())),
        "int" | "float" | "bool" | "null" => plain(text)?,
        _ => return Err(format!("the tag !!{name} is not supported")),
    };
    let fits = match name {
        "int" => value.is_i64() || value.is_u64(),
        "float" => value.is_number(),
        "bool" => value.is_boolean(),
        _ => value.is_null(),
    };
    if fits { Ok(value) } else { Err(format!("cannot decode {:?} as !!{name}", super::super::path::shorten(text))) }
}

/// The number that `text` is, if it is one; what no 64 bits can hold stays text.
fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let text = text.replace('_', "");
    integer(&text).or_else(|| if is_float(&text) { from_float(text.parse().ok()?) } else { None })
}

/// Go's `strconv.ParseInt(text, 0, 64)`, then `ParseUint`: a prefix gives the base, and a leading zero means octal.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let (radix, digits) = match digits.get(..2).unwrap_or_default() {
        "0x" | "0X" => (16, &digits[2..]),
        "0b" | "0B" => (2, &digits[2..]),
        "0o" | "0O" => (8, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    // Rust's own parsers would take a second sign here.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative { 0i64.checked_sub_unsigned(magnitude).map(Number::from) } else { Some(Number::from(magnitude)) }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let digits = |s: &str| s.len() - s.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let whole = digits(rest);
    let rest = &rest[whole..];
    let rest = match rest.strip_prefix('.') {
        Some(fraction) if whole > 0 || digits(fraction) > 0 => &fraction[digits(fraction)..],
        None if whole > 0 => rest,
        _ => return false,
    };
    match rest.strip_prefix(['e', 'E']) {
        None => rest.is_empty(),
        Some(exponent) => {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
    }
}

/// A float as Go writes it to JSON: without a fraction, it is an integer for whoever reads it.
fn from_float(float: f64) -> Option<Number> {
    /// Below it every whole float is exact as an i64.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if float.fract() == 0.0 && float.abs() < EXACT {
        return Some(Number::from(float as i64));
    }
    Number::from_f64(float)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_scalars_mean_what_kubectl_makes_of_them() {
        let cases = [
            ("", Value::Null),
            ("~", Value::Null),
            ("null", Value::Null),
            ("nULL", json!("nULL")),
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("y", json!(true)),
            ("oN", json!("oN")),
            ("0", json!(0)),
            ("-0", json!(0)),
            ("+7", json!(7)),
            ("1_000", json!(1000)),
            ("0644", json!(420)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("-0b101", json!(-5)),
            ("08", json!(8)),
            ("9223372036854775808", json!(9_223_372_036_854_775_808_u64)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("99999999999999999999", json!(1e20)),
            ("1e3", json!(1000)),
            ("1.50", json!(1.5)),
            (".5", json!(0.5)),
            ("5.", json!(5)),
            ("-1.5E-1", json!(-0.15)),
            ("1e400", json!("1e400")),
            ("1.2.3", json!("1.2.3")),
            ("1:30", json!("1:30")),
            ("--1", json!("--1")),
            ("+-1", json!("+-1")),
            ("0x-1", json!("0x-1")),
            ("0x", json!("0x")),
            ("-", json!("-")),
            (".", json!(".")),
            ("1e", json!("1e")),
            ("inf", json!("inf")),
            ("2026-01-02", json!("2026-01-02")),
            ("100m", json!("100m")),
            ("1Gi", json!("1Gi")),
            ("0ä", json!("0ä")),
            ("ä", json!("ä")),
        ];
        for (text, value) in cases {
            assert_eq!(plain(text), Ok(value), "{text:?}");
        }
        assert!(plain(".inf").is_err() && plain("-.INF").is_err() && plain(".nan").is_err());
    }

    #[test]
    fn tags_of_the_core_schema_are_obeyed() {
        assert_eq!(tagged("str", "5"), Ok(json!("5")));
        assert_eq!(tagged("int", "5"), Ok(json!(5)));
        assert_eq!(tagged("float", "5"), Ok(json!(5)));
        assert_eq!(tagged("null", ""), Ok(Value::Null));
        assert!(tagged("int", "x").is_err() && tagged("bool", "5").is_err() && tagged("binary", "AA==").is_err());
    }
}
