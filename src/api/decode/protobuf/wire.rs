//! The wire format: a message is a row of numbered values, each of a form that is told without knowing the message.

use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// How deep zeros may be nested for an unknown field to count as zero.
const ZEROS: usize = 10;

/// A value, before one knows what it stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw<'a> {
    Varint(u64),
    /// A text, bytes, a message, or numbers packed together.
    Bytes(&'a [u8]),
    /// Fixed-size numbers and groups, which no message of Kubernetes has.
    Other,
}

/// What cannot be read, in words of the format.
pub(super) type Fault = String;

/// Takes the next value and its number off the front of `bytes`; `None` at their end.
pub(super) fn next<'a>(bytes: &mut &'a [u8]) -> Result<Option<(u32, Raw<'a>)>, Fault> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let (number, wire_type) = decode_key(bytes).map_err(in_words)?;
    let raw = match wire_type {
        WireType::Varint => Raw::Varint(decode_varint(bytes).map_err(in_words)?),
        WireType::LengthDelimited => {
            let length = decode_varint(bytes).map_err(in_words)?;
            let split = usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length));
            let (value, rest) = split.ok_or("the body ends in the middle of a value")?;
            *bytes = rest;
            Raw::Bytes(value)
        }
        other => {
            skip_field(other, number, bytes, DecodeContext::default()).map_err(in_words)?;
            Raw::Other
        }
    };
    Ok(Some((number, raw)))
}

/// The numbers of a repeated field, which come one by one or packed.
pub(super) fn numbers(raw: &Raw<'_>) -> Result<Vec<u64>, Fault> {
    let &Raw::Bytes(mut packed) = raw else { return Ok(vec![raw.number()?]) };
    let mut all = Vec::new();
    while !packed.is_empty() {
        all.push(decode_varint(&mut packed).map_err(in_words)?);
    }
    Ok(all)
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| "a text must be UTF-8".to_owned())
}

impl<'a> Raw<'a> {
    pub(super) fn number(&self) -> Result<u64, Fault> {
        match self {
            Raw::Varint(number) => Ok(*number),
            _ => Err("must be a number".to_owned()),
        }
    }

    pub(super) fn bytes(&self) -> Result<&'a [u8], Fault> {
        match self {
            Raw::Bytes(bytes) => Ok(bytes),
            _ => Err("must have a length".to_owned()),
        }
    }

    /// Whether it says nothing, be it a number, a text, or a message: Go writes even that.
    pub(super) fn is_zero(&self) -> bool {
        self.zero_within(ZEROS)
    }

    fn zero_within(&self, depth: usize) -> bool {
        let mut rest = match self {
            Raw::Varint(number) => return *number == 0,
            Raw::Bytes(bytes) => *bytes,
            Raw::Other => return false,
        };
        while !rest.is_empty() {
            let Some(depth) = depth.checked_sub(1) else { return false };
            match next(&mut rest) {
                Ok(Some((_, inner))) if inner.zero_within(depth) => {}
                _ => return false,
            }
        }
        true
    }
}

fn in_words(error: DecodeError) -> Fault {
    let text = error.to_string();
    text.strip_prefix("failed to decode Protobuf message: ").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_one_by_one() {
        let mut bytes: &[u8] = b"\x08\x96\x01\x12\x02hi\x1d\0\0\0\0";
        assert_eq!(next(&mut bytes), Ok(Some((1, Raw::Varint(150)))));
        assert_eq!(next(&mut bytes), Ok(Some((2, Raw::Bytes(b"hi")))));
        assert_eq!(next(&mut bytes), Ok(Some((3, Raw::Other))));
        assert_eq!(next(&mut bytes), Ok(None));
    }

    #[test]
    fn what_is_cut_off_or_no_value_is_told() {
        let cases: [(&[u8], &str); 8] = [
            (b"\x08", "invalid varint"),
            (b"\x08\xff", "invalid varint"),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "invalid varint"),
            (b"\x12\x05hi", "the body ends in the middle of a value"),
            (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "the body ends in the middle of a value"),
            (b"\x0f", "invalid wire type value: 7"),
            (b"\x00\x00", "invalid tag value: 0"),
            (b"\x0c", "unexpected end group tag"),
        ];
        for (mut bytes, fault) in cases {
            let shown = format!("{bytes:?}");
            assert_eq!(next(&mut bytes), Err(fault.to_owned()), "{shown}");
        }
        // Groups within groups end the walk, and not the stack.
        let mut deep: &[u8] = &[0x0b; 100_000];
        assert_eq!(next(&mut deep), Err("recursion limit reached".to_owned()));
    }

    #[test]
    fn numbers_come_packed_or_one_by_one() {
        assert_eq!(numbers(&Raw::Varint(7)), Ok(vec![7]));
        assert_eq!(numbers(&Raw::Bytes(b"\x01\x96\x01")), Ok(vec![1, 150]));
        assert_eq!(numbers(&Raw::Bytes(b"")), Ok(vec![]));
        assert!(numbers(&Raw::Bytes(b"\x96")).is_err() && numbers(&Raw::Other).is_err());
    }

    #[test]
    fn zeros_of_all_forms_say_nothing() {
        for zero in [Raw::Varint(0), Raw::Bytes(b""), Raw::Bytes(b"\x08\0\x12\0\x1a\x02\x08\0")] {
            assert!(zero.is_zero(), "{zero:?}");
        }
        for value in [Raw::Varint(1), Raw::Bytes(b"x"), Raw::Bytes(b"\x08\x01"), Raw::Bytes(b"\x12\x01x"), Raw::Other] {
            assert!(!value.is_zero(), "{value:?}");
        }
    }
}
