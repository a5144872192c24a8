//! Reads one message by the table into the fields of a JSON object.

use k8s_openapi::ByteString;
use serde_json::{Map, Value};

use super::table::{Field, MessageId, Shape, Type};
use super::wire::{self, Fault, Raw};
use super::{MAX_VALUES, damaged, special};
use crate::api::decode::path::{Step, push};
use crate::api::decode::{DecodeError, MAX_COMPLAINTS};

/// Where the reading stands, and what it has found.
pub(super) struct Reader {
    path: String,
    /// Lists and maps around the value that is read.
    depth: usize,
    /// Values that may still come.
    left: usize,
    unknown: Vec<String>,
}

impl Default for Reader {
    fn default() -> Reader {
        Reader { path: String::new(), depth: 0, left: MAX_VALUES, unknown: Vec::new() }
    }
}

impl Reader {
    /// Reads a message into the fields that a part of it, if it came in parts, has already filled.
    pub(super) fn message(
        &mut self,
        message: MessageId,
        mut bytes: &[u8],
        into: &mut Map<String, Value>,
    ) -> Result<(), DecodeError> {
        while let Some((number, raw)) = wire::next(&mut bytes).map_err(|fault| self.damaged(fault))? {
            self.count(1)?;
            match message.field(number) {
                Some(field) => self.field(field, &raw, into)?,
                None => self.note(number, &raw),
            }
        }
        Ok(())
    }

    /// What strict decoding has to complain of.
    pub(super) fn into_unknown(self) -> Vec<String> {
        self.unknown
    }

    fn field(&mut self, field: &Field, raw: &Raw<'_>, into: &mut Map<String, Value>) -> Result<(), DecodeError> {
        match field.shape {
            Shape::Inline(message) => {
                let bytes = raw.bytes().map_err(|fault| self.damaged(fault))?;
                self.message(message, bytes, into)
            }
            Shape::Value(of) | Shape::Pointer(of) => {
                let before = into.remove(field.name);
                let value = self.at(&Step::Key(field.name), |reader| reader.one(of, raw, before))?;
                let absent = value.is_null() || (matches!(field.shape, Shape::Value(_)) && is_zero(of, &value));
                if !absent {
                    into.insert(field.name.to_owned(), value);
                }
                Ok(())
            }
            Shape::List(of) => {
                let list = into.entry(field.name).or_insert_with(|| Value::Array(Vec::new()));
                let Value::Array(list) = list else { return Ok(()) };
                self.at(&Step::Key(field.name), |reader| reader.item(of, raw, list))
            }
            Shape::Map(of) => {
                let map = into.entry(field.name).or_insert_with(|| Value::Object(Map::new()));
                let Value::Object(map) = map else { return Ok(()) };
                self.at(&Step::Key(field.name), |reader| reader.entry(of, raw, map))
            }
        }
    }

    fn item(&mut self, of: Type, raw: &Raw<'_>, list: &mut Vec<Value>) -> Result<(), DecodeError> {
        if !matches!(of, Type::Bool | Type::Int32 | Type::Int64) {
            let value = self.at(&Step::Index(list.len()), |reader| reader.one(of, raw, None))?;
            list.push(value);
            return Ok(());
        }
        let numbers = wire::numbers(raw).map_err(|fault| self.damaged(fault))?;
        self.count(numbers.len())?;
        for number in numbers {
            let value = self.one(of, &Raw::Varint(number), None)?;
            list.push(value);
        }
        Ok(())
    }

    /// An entry is a message of its own: key and value, of which one that is missing is zero.
    fn entry(&mut self, of: Type, raw: &Raw<'_>, map: &mut Map<String, Value>) -> Result<(), DecodeError> {
        let mut bytes = raw.bytes().map_err(|fault| self.damaged(fault))?;
        let (mut key, mut value) = ("", None);
        while let Some((number, raw)) = wire::next(&mut bytes).map_err(|fault| self.damaged(fault))? {
            match number {
                1 => key = raw.bytes().and_then(wire::text).map_err(|fault| self.damaged(fault))?,
                2 => value = Some(raw),
                _ => {}
            }
        }
        let missing =
            if matches!(of, Type::Bool | Type::Int32 | Type::Int64) { Raw::Varint(0) } else { Raw::Bytes(b"") };
        let value = self.at(&Step::Key(key), |reader| reader.one(of, &value.unwrap_or(missing), None))?;
        map.insert(key.to_owned(), value);
        Ok(())
    }

    /// One value; `before` is what an earlier part of the same message has given.
    fn one(&mut self, of: Type, raw: &Raw<'_>, before: Option<Value>) -> Result<Value, DecodeError> {
        if let Type::Message(message) = of {
            let bytes = raw.bytes().map_err(|fault| self.damaged(fault))?;
            let mut fields = match before {
                Some(Value::Object(fields)) => fields,
                _ => Map::new(),
            };
            self.message(message, bytes, &mut fields)?;
            return Ok(Value::Object(fields));
        }
        scalar(of, raw, self.depth).map_err(|fault| self.damaged(fault))
    }

    fn at<T>(&mut self, step: &Step<'_>, read: impl FnOnce(&mut Reader) -> T) -> T {
        let before = self.path.len();
        push(&mut self.path, step);
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        self.path.truncate(before);
        result
    }

    fn count(&mut self, values: usize) -> Result<(), DecodeError> {
        match self.left.checked_sub(values) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self.damaged(format!("more than {MAX_VALUES} values"))),
        }
    }

    fn note(&mut self, number: u32, raw: &Raw<'_>) {
        if raw.is_zero() || self.unknown.len() >= MAX_COMPLAINTS {
            return;
        }
        let place = if self.path.is_empty() { String::new() } else { format!(" in \"{}\"", self.path) };
        let complaint = format!("unknown field with the protobuf number {number}{place}");
        if !self.unknown.contains(&complaint) {
            self.unknown.push(complaint);
        }
    }

    fn damaged(&self, fault: impl std::fmt::Display) -> DecodeError {
        damaged(&self.path, fault)
    }
}

fn scalar(of: Type, raw: &Raw<'_>, depth: usize) -> Result<Value, Fault> {
    Ok(match of {
        Type::Bool => Value::Bool(raw.number()? != 0),
        Type::Int32 => special::int32(raw.number()?).into(),
        Type::Int64 => raw.number()?.cast_signed().into(),
        Type::String => wire::text(raw.bytes()?)?.into(),
        Type::Bytes => {
            let bytes = ByteString(raw.bytes()?.to_vec());
            serde_json::to_value(bytes).map_err(|error| error.to_string())?
        }
        Type::Time => special::time(raw.bytes()?, false)?,
        Type::MicroTime => special::time(raw.bytes()?, true)?,
        Type::Quantity => special::quantity(raw.bytes()?)?,
        Type::IntOrString => special::int_or_string(raw.bytes()?)?,
        Type::FieldsV1 => special::fields_v1(raw.bytes()?, depth)?,
        Type::Strings => special::strings(raw.bytes()?)?,
        Type::Message(_) => Value::Null,
    })
}

/// Whether a value is what its Go type begins with.
fn is_zero(of: Type, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty() || (of == Type::Quantity && text == "0"),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}
