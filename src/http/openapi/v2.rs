//! OpenAPI v2: a document without schemas, which are published as v3 only.
//!
//! It is there for one purpose: before it splits a manifest of kind List, kubectl asks for this document, in protobuf, to
//! check the items by it, and gives up if there is none. What the document does not know it leaves to the server, which
//! checks each item as it is written.

use serde_json::{Value, json};

/// What kubectl accepts.
pub const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// What it is answered, as by the API server: `@` may not stand in a media type, and kubectl refuses an answer with it.
pub const ANSWERED: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

const VERSION: &str = "2.0";
const TITLE: &str = "Kubernetes";
const DESCRIPTION: &str = "The schemas are published as OpenAPI v3, below /openapi/v3.";

fn version() -> String {
    format!("v{}", env!("CARGO_PKG_VERSION"))
}

pub fn json() -> Value {
    let info = json!({"title": TITLE, "version": version(), "description": DESCRIPTION});
    json!({"swagger": VERSION, "info": info, "paths": {}, "definitions": {}})
}

/// The same as gnostic's message `openapi.v2.Document`: `swagger` is field 1, `info` 2; in it `title` 1, `version` 2,
/// `description` 3.
pub fn protobuf() -> Vec<u8> {
    let mut info = Vec::new();
    put(&mut info, 1, TITLE.as_bytes());
    put(&mut info, 2, version().as_bytes());
    put(&mut info, 3, DESCRIPTION.as_bytes());
    let mut document = Vec::new();
    put(&mut document, 1, VERSION.as_bytes());
    put(&mut document, 2, &info);
    document
}

fn put(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    prost::encoding::encode_key(field, prost::encoding::WireType::LengthDelimited, out);
    prost::encoding::encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}
