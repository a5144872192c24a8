//! Protobuf bodies of every kind, and of DeleteOptions, with the envelope in front or without.

#![no_main]

use kiln::api::decode::{self, protobuf};
use kiln::api::{Kind, Object};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    let kind = Kind::ALL[usize::from(*choice) % Kind::ALL.len()];
    if let Ok(envelope) = protobuf::Envelope::open(body) {
        let _ = envelope.read("meta/v1.DeleteOptions");
    }
    if let Ok(decoded) = decode::protobuf_body(kind, body) {
        let stored = decoded.object.to_json();
        assert_eq!(Object::from_json(kind, &stored).expect("what we wrote can be read"), decoded.object);
        kiln_fuzz::admit(decoded.object);
    }
});
