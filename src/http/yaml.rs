//! Answers as YAML, for clients that would rather have that (`Accept: application/yaml`).
//!
//! Handlers know JSON only. What they write is written anew as YAML while it is sent, token by token, so that a long
//! list takes up no more memory than as JSON. A watch has no form in YAML, as at the API server.
//!
//! Invariant of [`Writer`]: what is open is [`Writer::levels`], of which those that are still empty have written nothing;
//! [`Writer::token`] is the one text, number or word that has begun and not ended.

use std::mem;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures::{StreamExt, stream};

use super::accept;
use super::compress::LONG;
use super::request::is_on;

const YAML: &str = "application/yaml";

pub async fn as_wanted(mut request: Request, next: Next) -> Response {
    let Some(as_json) = wanted(&request) else { return next.run(request).await };
    request.headers_mut().insert(header::ACCEPT, as_json);
    let head_only = request.method() == Method::HEAD;
    let mut response = next.run(request).await;
    let json = HeaderValue::from_static("application/json");
    if response.headers().get(header::CONTENT_TYPE) != Some(&json) {
        return response;
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(YAML));
    response.headers_mut().remove(header::CONTENT_LENGTH);
    if head_only {
        return response;
    }
    let (head, body) = response.into_parts();
    Response::from_parts(head, written(body).await)
}

/// The `Accept` header of the same wish in JSON, if YAML is what the client wants most of what there is.
fn wanted(request: &Request) -> Option<HeaderValue> {
    let all = accept::all(request.headers());
    let first = all.iter().find(|a| matches!(a.media.as_str(), "application/json" | YAML | "application/*" | "*/*"))?;
    let pairs = request.uri().query().unwrap_or_default().split('&');
    let watches = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).any(|(n, v)| n == "watch" && is_on(v));
    if first.media != YAML || watches {
        return None;
    }
    let params: String = first.params.iter().map(|(name, value)| format!(";{name}={value}")).collect();
    HeaderValue::from_str(&format!("application/json{params}")).ok()
}

async fn written(body: Body) -> Body {
    let mut writer = Writer::default();
    if body.size_hint().exact().is_some_and(|n| n <= LONG as u64) {
        return match axum::body::to_bytes(body, LONG).await {
            Ok(whole) => Body::from(writer.write(&whole)),
            Err(error) => Body::from_stream(stream::once(async { Err::<Bytes, _>(error) })),
        };
    }
    let pieces = body.into_data_stream().map(move |piece| piece.map(|json| Bytes::from(writer.write(&json))));
    // Compression asks once more after the end.
    Body::from_stream(pieces.fuse())
}

/// Writes the pieces of one JSON document as YAML.
#[derive(Default)]
struct Writer {
    levels: Vec<Level>,
    token: Vec<u8>,
    in_text: bool,
    /// The byte before was the backslash of an escape.
    escaped: bool,
    out: Vec<u8>,
}

struct Level {
    is_map: bool,
    is_empty: bool,
    /// The next text is a key.
    key_next: bool,
    /// On the line of its key; its first part begins a new one.
    after_key: bool,
    /// The column of its keys or dashes.
    indent: usize,
}

impl Writer {
    fn write(&mut self, json: &[u8]) -> Vec<u8> {
        for byte in json {
            self.byte(*byte);
        }
        // A number at the very end has nothing behind it; no answer is one.
        mem::take(&mut self.out)
    }

    fn byte(&mut self, byte: u8) {
        if self.in_text {
            if !self.escaped && byte == b'"' {
                self.in_text = false;
                let text = text(&mem::take(&mut self.token));
                return self.scalar(&text);
            }
            self.escaped = !self.escaped && byte == b'\\';
            return self.token.push(byte);
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.') {
            return self.token.push(byte);
        }
        if !self.token.is_empty() {
            let word = mem::take(&mut self.token);
            self.scalar(&String::from_utf8_lossy(&word));
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.open(byte == b'{'),
            b'}' | b']' => self.close(),
            b',' => {
                if let Some(level) = self.levels.last_mut() {
                    level.key_next = level.is_map;
                }
            }
            _ => {}
        }
    }

    /// Where the next key or dash of the innermost level goes.
    fn begin(&mut self) {
        let Some(level) = self.levels.last_mut() else { return };
        let is_first = mem::take(&mut level.is_empty);
        match (is_first, level.after_key, level.indent) {
            (true, false, 0) => {}
            (true, false, _) => self.out.push(b' '),
            (is_first, _, indent) => {
                if is_first {
                    self.out.push(b'\n');
                }
                self.out.resize(self.out.len() + indent, b' ');
            }
        }
    }

    fn scalar(&mut self, text: &str) {
        let is_key = self.levels.last().is_some_and(|level| level.key_next);
        self.item();
        if is_key {
            self.begin();
        } else if !self.levels.is_empty() {
            self.out.push(b' ');
        }
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(if is_key { b':' } else { b'\n' });
        if let Some(level) = self.levels.last_mut() {
            level.key_next = false;
        }
    }

    /// The dash, if what comes is an item of a list.
    fn item(&mut self) {
        if self.levels.last().is_some_and(|level| !level.is_map) {
            self.begin();
            self.out.push(b'-');
        }
    }

    fn open(&mut self, is_map: bool) {
        self.item();
        let (after_key, indent) = match self.levels.last() {
            None => (false, 0),
            // Lists stand under their key, as kubectl writes them.
            Some(level) if level.is_map => (true, level.indent + if is_map { 2 } else { 0 }),
            Some(level) => (false, level.indent + 2),
        };
        self.levels.push(Level { is_map, is_empty: true, key_next: is_map, after_key, indent });
    }

    fn close(&mut self) {
        let Some(level) = self.levels.pop() else { return };
        if level.is_empty {
            if !self.levels.is_empty() {
                self.out.push(b' ');
            }
            self.out.extend_from_slice(if level.is_map { b"{}\n" } else { b"[]\n" });
        }
    }
}

/// What stands between the quotes of a text in JSON, as YAML: bare if no reader of any version can take it for something
/// else, otherwise in quotes, in which JSON's escapes mean the same.
fn text(json: &[u8]) -> String {
    let json = String::from_utf8_lossy(json);
    if is_plain(&json) {
        return json.into_owned();
    }
    let mut text = String::with_capacity(json.len() + 2);
    text.push('"');
    for c in json.chars() {
        match c {
            // Not printable, or an end of line to some.
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

fn is_plain(text: &str) -> bool {
    /// Words of YAML 1.1 that are no text.
    const WORDS: [&str; 11] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"];
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | ' ');
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(inner)
        && !text.ends_with(' ')
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::decode;

    fn yaml(value: &Value, piece: usize) -> String {
        let mut writer = Writer::default();
        let json = value.to_string();
        let pieces: Vec<u8> = json.as_bytes().chunks(piece).flat_map(|piece| writer.write(piece)).collect();
        String::from_utf8(pieces).unwrap()
    }

    #[test]
    fn an_object_looks_as_people_write_it() {
        let value = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {}, "annotations": {
            "n": "1", "on": "yes", "text": "two\nlines: #\u{2028}"}}, "items": [{"a": 1, "b": [true, null]}, [], "x y",
            [[2.5, -1]], {}], "none": []});
        let expected = r#"apiVersion: v1
kind: Pod
metadata:
  name: a
  labels: {}
  annotations:
    "n": "1"
    "on": "yes"
    text: "two\nlines: #\u2028"
items:
- a: 1
  b:
  - true
  - null
- []
- x y
- - - 2.5
    - -1
- {}
none: []
"#;
        for piece in [1, 7, 10_000] {
            assert_eq!(yaml(&value, piece), expected);
        }
        assert_eq!((yaml(&json!({}), 1), yaml(&json!("x"), 1)), ("{}\n".to_owned(), "x\n".to_owned()));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let word = prop_oneof![
            any::<String>(),
            "[a-z0-9:#&*!|>'\"%@` -]{0,8}",
            Just("No".to_owned()),
            Just("~".to_owned()),
            Just("1e3".to_owned()),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            word.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((word.clone(), inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_what_it_was(value in any_value(), piece in 1_usize..9) {
            let text = yaml(&json!({ "root": value }), piece);
            let read = decode::yaml::single(text.as_bytes());
            prop_assert_eq!(read.map(|parsed| parsed.value["root"].clone()), Ok(value.clone()), "{}", text);
            let theirs: Value = serde_yaml::from_str(&text).unwrap();
            prop_assert_eq!(&theirs["root"], &value, "{}", text);
        }
    }
}
