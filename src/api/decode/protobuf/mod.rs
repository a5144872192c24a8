//! Protobuf request bodies (`application/vnd.kubernetes.protobuf`) to the value that the same object has in JSON.
//!
//! It exists because kubectl writes what it makes itself (`create job`, `auth can-i`, `drain`) in this form and in no
//! other. Which field is what comes from [`table`]; everything after this stage is the same as for JSON.
//!
//! ```text
//! body      "k8s\0", then message Unknown { typeMeta { apiVersion, kind }, raw, contentEncoding, contentType }
//! raw       the object
//! ```
//!
//! The writers are Go structs. A field that is a pointer there is left out if it is nil, so what is on the wire is meant,
//! a zero too; every other field is always written, so its zero is the same as nothing and is left out here, as Go's own
//! JSON does. Messages that come in pieces are merged, and of a single value the last counts, as everywhere in protobuf.
//!
//! An unknown field is a newer client's. The API server drops it unseen, whatever the client says of validation; here it is
//! dropped, too, and told in a warning unless it holds nothing but zeros. What is not protobuf, or does not have the type of its field, is refused, and nothing here panics: the
//! work is bounded by the length of the body, depth by the table, and values by [`MAX_VALUES`].
//!
//! Sources: apimachinery `runtime/serializer/protobuf/protobuf.go`, `runtime/generated.proto`, `apis/meta/v1/time_proto.go`.

mod message;
mod special;
mod table;
#[cfg(test)]
mod tests;
mod wire;

use serde_json::Value;

use super::path::shorten;
use super::{DecodeError, Parsed};
use message::Reader;
use wire::Raw;

/// The form's media type.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

const MAGIC: &[u8] = b"k8s\0";

/// Values in one body, as many as no honest object has: an empty one takes two bytes here and a thousand once decoded.
const MAX_VALUES: usize = 100_000;

/// A body whose object has not been read yet.
#[derive(Debug, Default)]
pub struct Envelope<'a> {
    /// Empty if the body leaves it to the path, as `kind`.
    pub api_version: &'a str,
    pub kind: &'a str,
    raw: &'a [u8],
}

impl<'a> Envelope<'a> {
    pub fn open(body: &'a [u8]) -> Result<Envelope<'a>, DecodeError> {
        let Some(mut rest) = body.strip_prefix(MAGIC) else {
            let message = r#"it does not begin with the four bytes "k8s\0" of Kubernetes' protobuf"#;
            return Err(damaged("", message));
        };
        let (mut envelope, mut type_meta): (Envelope<'a>, &[u8]) = Default::default();
        let mut whole = false;
        while let Some((number, raw)) = wire::next(&mut rest).map_err(|fault| damaged("", fault))? {
            match number {
                1 => type_meta = raw.bytes().map_err(|fault| damaged("typeMeta", fault))?,
                2 => {
                    envelope.raw = raw.bytes().map_err(|fault| damaged("raw", fault))?;
                    whole = true;
                }
                // Both say how `raw` is written. No client fills them in, and the object could not be read if one did.
                3 if !raw.is_zero() => return Err(damaged("", "contentEncoding is not supported")),
                4 if !raw.is_zero() => return Err(damaged("", "contentType is not supported")),
                _ => {}
            }
        }
        if !whole {
            // Every client writes it, also for an object of zeros; without it a body that was cut off could mean something.
            return Err(damaged("", "it holds no object"));
        }
        while let Some((number, raw)) = wire::next(&mut type_meta).map_err(|fault| damaged("typeMeta", fault))? {
            match number {
                1 => envelope.api_version = text("apiVersion", &raw)?,
                2 => envelope.kind = text("kind", &raw)?,
                _ => {}
            }
        }
        Ok(envelope)
    }

    /// `apiVersion` and `kind`, those that are there.
    pub fn type_meta(&self) -> Value {
        let both = [("apiVersion", self.api_version), ("kind", self.kind)].into_iter();
        both.filter(|(_, text)| !text.is_empty()).collect()
    }

    /// The object as it is in JSON. `message` names what it should be, such as `meta/v1.DeleteOptions`; one that is not in
    /// the table is a fault of the caller's, and refused.
    pub fn read(&self, message: &str) -> Result<Parsed, DecodeError> {
        let Some(id) = table::message(message) else {
            return Err(damaged("", format!("{message} cannot be sent in this form")));
        };
        let wanted = message.rsplit('.').next().unwrap_or_default();
        if !self.kind.is_empty() && self.kind != wanted {
            let message = format!("must be {wanted}, found {:?}", shorten(self.kind));
            return Err(DecodeError::Field { path: "kind".to_owned(), message });
        }
        let mut value = self.type_meta();
        let mut reader = Reader::default();
        if let Value::Object(fields) = &mut value {
            reader.message(id, self.raw, fields)?;
        }
        Ok(Parsed { dropped: reader.into_unknown(), ..Parsed::from(value) })
    }
}

fn text<'a>(path: &str, raw: &Raw<'a>) -> Result<&'a str, DecodeError> {
    raw.bytes().and_then(wire::text).map_err(|fault| damaged(path, fault))
}

/// The body is not what it claims to be, at this field.
fn damaged(path: &str, fault: impl std::fmt::Display) -> DecodeError {
    DecodeError::Field { path: path.to_owned(), message: format!("invalid protobuf: {fault}") }
}
