//! The messages that have a form of their own in JSON.

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::MAX_VALUES;
use super::wire::{self, Fault};
use crate::api::decode::{MAX_DEPTH, json};

/// Seconds from 1970 to Go's zero time, the first instant of year 1.
const YEAR_1: i64 = -62_135_596_800;

/// RFC 3339, to the second or (with `micros`) to the microsecond: what is finer is dropped, as the API server drops it.
/// Null for the zero time.
pub(super) fn time(bytes: &[u8], micros: bool) -> Result<Value, Fault> {
    let (mut rest, mut seconds, mut nanos) = (bytes, 0_i64, 0_i32);
    while let Some((number, raw)) = wire::next(&mut rest)? {
        match number {
            1 => seconds = raw.number()?.cast_signed(),
            2 => nanos = int32(raw.number()?),
            _ => {}
        }
    }
    if bytes.is_empty() || (seconds, nanos) == (YEAR_1, 0) {
        return Ok(Value::Null);
    }
    let nanos = if micros { nanos - nanos % 1000 } else { 0 };
    match Timestamp::new(seconds, nanos) {
        Ok(time) => Ok(time.to_string().into()),
        Err(_) => Err(format!("no time: {seconds} seconds and {nanos} nanoseconds")),
    }
}

pub(super) fn quantity(bytes: &[u8]) -> Result<Value, Fault> {
    let (mut rest, mut text) = (bytes, "");
    while let Some((number, raw)) = wire::next(&mut rest)? {
        if number == 1 {
            text = wire::text(raw.bytes()?)?;
        }
    }
    Ok(if text.is_empty() { "0" } else { text }.into())
}

pub(super) fn int_or_string(bytes: &[u8]) -> Result<Value, Fault> {
    let (mut rest, mut kind, mut int, mut text) = (bytes, 0, 0, "");
    while let Some((number, raw)) = wire::next(&mut rest)? {
        match number {
            1 => kind = raw.number()?,
            2 => int = int32(raw.number()?),
            3 => text = wire::text(raw.bytes()?)?,
            _ => {}
        }
    }
    match kind {
        0 => Ok(int.into()),
        1 => Ok(text.into()),
        other => Err(format!("must be an integer (0) or a text (1), not of type {other}")),
    }
}

pub(super) fn strings(bytes: &[u8]) -> Result<Value, Fault> {
    let (mut rest, mut all) = (bytes, Vec::new());
    while let Some((number, raw)) = wire::next(&mut rest)? {
        if number == 1 {
            if all.len() == MAX_VALUES {
                return Err(format!("more than {MAX_VALUES} values"));
            }
            all.push(wire::text(raw.bytes()?)?.into());
        }
    }
    Ok(Value::Array(all))
}

/// `depth`: how deep the field stands, so that the whole stays within [`MAX_DEPTH`].
pub(super) fn fields_v1(bytes: &[u8], depth: usize) -> Result<Value, Fault> {
    let (mut rest, mut text): (&[u8], &[u8]) = (bytes, b"");
    while let Some((number, raw)) = wire::next(&mut rest)? {
        if number == 1 {
            text = raw.bytes()?;
        }
    }
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let value = json::parse(text).map_err(|error| error.to_string())?.value;
    if depth + height(&value) > MAX_DEPTH {
        return Err(format!("nested too deeply (at most {MAX_DEPTH} levels)"));
    }
    Ok(value)
}

/// Lists and maps within each other. The parser of JSON has bounded them.
fn height(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(height).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(height).max().unwrap_or(0),
        _ => 0,
    }
}

/// A number of 32 bits is written as one of 64; readers take the lower half of whatever they find.
#[expect(clippy::cast_possible_truncation, reason = "the format says so")]
pub(super) fn int32(number: u64) -> i32 {
    (number as u32).cast_signed()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_cut_to_what_their_form_shows() {
        let cases: [(&[u8], bool, Value); 7] = [
            (b"", false, Value::Null),
            (b"\x08\0\x10\0", false, json!("1970-01-01T00:00:00Z")),
            (b"\x08\x80\x8b\xd2\xbb\x06\x10\xff\x93\xeb\xdc\x03", false, json!("2025-01-01T00:00:00Z")),
            (b"\x08\x80\x8b\xd2\xbb\x06\x10\x95\x9a\xef\x3a", true, json!("2025-01-01T00:00:00.123456Z")),
            (b"\x08\x80\x92\xb8\xc3\x98\xfe\xff\xff\xff\x01\x10\0", false, Value::Null),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", false, json!("1969-12-31T23:59:59Z")),
            (b"\x18\x01", true, json!("1970-01-01T00:00:00Z")),
        ];
        for (bytes, micros, expected) in cases {
            assert_eq!(time(bytes, micros), Ok(expected), "{bytes:?}");
        }
        let far = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
        assert!(time(far, false).unwrap_err().starts_with("no time: 9223372036854775807 seconds"));
        assert!(time(b"\x0a\x01x", false).is_err(), "a text for the seconds");
        assert!(time(b"\x08\x05\x10\xff\xff\xff\xff\x07", true).is_err(), "two seconds of nanoseconds");
    }

    #[test]
    fn quantities_ports_and_lists_are_bare_in_json() {
        assert_eq!((quantity(b"\x0a\x031Gi"), quantity(b"")), (Ok(json!("1Gi")), Ok(json!("0"))));
        assert_eq!(int_or_string(b"\x08\0\x10\x50\x1a\0"), Ok(json!(80)));
        assert_eq!(int_or_string(b"\x08\x01\x10\0\x1a\x04http"), Ok(json!("http")));
        assert_eq!(int_or_string(b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), Ok(json!(-1)));
        assert!(int_or_string(b"\x08\x07").is_err());
        assert_eq!(strings(b"\x0a\x01a\x0a\0\x12\x01x"), Ok(json!(["a", ""])));
    }

    #[test]
    fn owned_fields_are_json_within_protobuf() {
        let field = |text: &str| {
            let mut bytes = Vec::new();
            prost::encoding::bytes::encode(1, &text.as_bytes().to_vec(), &mut bytes);
            bytes
        };
        assert_eq!(fields_v1(&field(r#"{"f:spec":{}}"#), 4), Ok(json!({"f:spec": {}})));
        assert_eq!(fields_v1(b"", 4), Ok(Value::Null));
        assert!(fields_v1(&field("{"), 4).unwrap_err().contains("invalid JSON"));
        let deep = field(&format!("{}{}", "[".repeat(124), "]".repeat(124)));
        assert!(fields_v1(&deep, 3).is_ok() && fields_v1(&deep, 4).unwrap_err().contains("deeply"));
    }
}
