//! How records stand in sled: keys that order by kind, namespace and name, and values with a checksum.
//!
//! ```text
//! key    'o' RESOURCE 0 NAMESPACE 0 NAME     an object; RESOURCE as in `jobs.batch`, so that rows of the kind table
//!                                            can move without touching what is stored
//!        's' …                               a side record
//!        'm' …                               the store's own: format version, newest revision
//! value  CRC-32 (4 bytes, little endian) of the rest, then the rest: JSON of an object, or a side record's bytes
//! ```

use crate::api::{Key, Kind};

pub const OBJECT: u8 = b'o';
pub const SIDE: u8 = b's';
pub const FORMAT_KEY: &[u8] = b"mformat";
pub const REVISION_KEY: &[u8] = b"mrevision";
/// Raised when the meaning of stored bytes changes; a store of another version is not opened.
pub const FORMAT: &[u8] = b"kiln-store-1";

pub fn object_key(kind: Kind, key: &Key) -> Vec<u8> {
    let info = kind.info();
    let mut bytes = Vec::with_capacity(32 + key.namespace.len() + key.name.len());
    bytes.push(OBJECT);
    bytes.extend_from_slice(info.plural.as_bytes());
    if !info.group.is_empty() {
        bytes.push(b'.');
        bytes.extend_from_slice(info.group.as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(key.namespace.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(key.name.as_bytes());
    bytes
}

/// The kind of an object's key; `None` if this version of kiln does not serve it.
pub fn kind_of(key: &[u8]) -> Option<Kind> {
    let resource = key.strip_prefix(&[OBJECT])?.split(|b| *b == 0).next()?;
    Kind::ALL.iter().copied().find(|k| k.info().qualified_resource().as_bytes() == resource)
}

pub fn side_key(key: &[u8]) -> Vec<u8> {
    [&[SIDE], key].concat()
}

pub fn seal(payload: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(4 + payload.len());
    value.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    value.extend_from_slice(payload);
    value
}

/// The payload of a value, or `None` if its checksum does not hold.
pub fn unseal(value: &[u8]) -> Option<&[u8]> {
    let (sum, payload) = value.split_first_chunk::<4>()?;
    (crc32fast::hash(payload).to_le_bytes() == *sum).then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_tell_their_kind_and_order_by_namespace_then_name() {
        for &kind in Kind::ALL {
            assert_eq!(kind_of(&object_key(kind, &Key::new("ns", "n"))), Some(kind));
        }
        let a = object_key(Kind::Job, &Key::new("a", "z"));
        let b = object_key(Kind::Job, &Key::new("a-b", "a"));
        assert!(a < b);
        assert_eq!(kind_of(b"owidgets.example\0a\0b"), None);
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_noticed(payload in proptest::collection::vec(any::<u8>(), 0..64), bit in 0usize..256) {
            let mut value = seal(&payload);
            prop_assert_eq!(unseal(&value), Some(&payload[..]));
            let bit = bit % (value.len() * 8);
            value[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(unseal(&value), None);
        }
    }
}
