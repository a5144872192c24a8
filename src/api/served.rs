//! Which group and version show a kind. A kind is stored once, in the version that the kind table gives it, and most are
//! served so and in no other way. Events are shown a second time, by `events.k8s.io/v1`, where fields have other names:
//! whoever writes by one view is seen by the other.
//!
//! What is generic over kinds goes on being so: a view is turned into the stored object as it comes in, and out of it as
//! it goes out.

use serde_json::Value;

use crate::api::decode::{Decoded, Parsed};
use crate::api::error::ApiError;
use crate::api::kind::{Kind, KindInfo, Object};
use crate::api::{decode, events_v1};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Served {
    /// As it is stored.
    Stored(Kind),
    /// Events as `events.k8s.io/v1` has them.
    EventsV1,
}

impl Served {
    pub fn all() -> impl Iterator<Item = Served> {
        Kind::ALL.iter().map(|kind| Served::Stored(*kind)).chain([Served::EventsV1])
    }

    pub fn kind(self) -> Kind {
        match self {
            Served::Stored(kind) => kind,
            Served::EventsV1 => Kind::Event,
        }
    }

    /// The names under which it is served.
    pub fn info(self) -> &'static KindInfo {
        match self {
            Served::Stored(kind) => kind.info(),
            Served::EventsV1 => &events_v1::INFO,
        }
    }

    /// The value of an object as this view shows it, to apply a patch to.
    pub fn to_value(self, object: &Object) -> Value {
        match (self, object) {
            (Served::EventsV1, Object::Event(event)) => events_v1::to_value(event),
            (_, object) => object.to_value(),
        }
    }

    pub fn to_json(self, object: &Object) -> Vec<u8> {
        match (self, object) {
            (Served::EventsV1, Object::Event(event)) => events_v1::to_json(event),
            (_, object) => object.to_json(),
        }
    }

    /// The object that a value of this view describes.
    pub fn decode(self, parsed: Parsed) -> Result<Decoded, ApiError> {
        match self {
            Served::Stored(kind) => decode::value_body(kind, parsed),
            Served::EventsV1 => events_v1::decode(&parsed),
        }
    }

    /// What a value of this view says, in the words in which the kind is stored. It has been decoded, so that what it says
    /// is known.
    pub fn stored_words(self, value: Value) -> Value {
        match self {
            Served::Stored(_) => value,
            Served::EventsV1 => events_v1::stored_words(value),
        }
    }

    /// The name of a field of a field selector, as the stored kind has it; `None` if the view has none of this name.
    pub fn stored_field(self, path: &str) -> Option<String> {
        match self {
            Served::Stored(_) => Some(path.to_owned()),
            Served::EventsV1 => events_v1::stored_field(path),
        }
    }

    /// What only this view demands of a new object.
    pub fn check_new(self, object: &Object) -> Result<(), ApiError> {
        match (self, object) {
            (Served::EventsV1, Object::Event(event)) => {
                let mut faults = Vec::new();
                events_v1::validate_new(event, &mut faults);
                ApiError::check(Kind::Event, &object.key().name, faults)
            }
            _ => Ok(()),
        }
    }

    /// What only this view demands of a change.
    pub fn check_change(self, old: &Object, new: &Object) -> Result<(), ApiError> {
        match (self, old, new) {
            (Served::EventsV1, Object::Event(old), Object::Event(new)) => {
                let mut faults = Vec::new();
                events_v1::validate_change(new, old, &mut faults);
                ApiError::check(Kind::Event, old.metadata.name.as_deref().unwrap_or_default(), faults)
            }
            _ => Ok(()),
        }
    }
}
