//! JSON bodies of every kind: decoded, defaulted and validated. What was accepted is accepted again in the form that the
//! store keeps.

#![no_main]

use kiln::api::decode;
use kiln::api::{Kind, Object};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    let kind = Kind::ALL[usize::from(*choice) % Kind::ALL.len()];
    if let Ok(decoded) = decode::json_body(kind, body) {
        let stored = decoded.object.to_json();
        assert_eq!(Object::from_json(kind, &stored).expect("what we wrote can be read"), decoded.object);
        kiln_fuzz::admit(decoded.object);
    }
});
