//! YAML bodies and manifests of several documents.

#![no_main]

use kiln::api::{Kind, decode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    let kind = Kind::ALL[usize::from(*choice) % Kind::ALL.len()];
    if let Ok(decoded) = decode::yaml_body(kind, body) {
        kiln_fuzz::admit(decoded.object);
    }
    if let Ok(text) = std::str::from_utf8(body) {
        let _ = decode::yaml::documents(text);
    }
});
