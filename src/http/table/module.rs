//! `kubectl get modules`.

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::column::{AGE, Column, NAME, NONE, or_none};
use super::{age_of, name_of};
use crate::api::module::Module;

/// Hexadecimal digits of a digest that are shown, as other tools show them.
const SHORT: usize = 12;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::text("Tag", "The tag, latest unless another was given."),
    Column::text("Digest", "The beginning of the digest of the module's bytes."),
    Column::text("Kind", "Command (WASI 0.1), Component (WASI 0.2), or Artifact: no module."),
    Column::text("Size", "The bytes of the module."),
    AGE,
    Column::wide("Image", "The image field that means this module."),
];

pub(super) fn cells(module: &Module, now: Timestamp) -> Vec<Value> {
    let spec = module.spec.clone().unwrap_or_default();
    let status = module.status.as_ref();
    let digest = spec.digest.as_deref().map(|digest| digest.get(.."sha256:".len() + SHORT).unwrap_or(digest));
    let size = status.and_then(|s| s.size).map_or_else(|| NONE.to_owned(), bytes);
    let image = if spec.name.is_empty() { String::new() } else { format!("{}:{}", spec.name, spec.tag) };
    vec![
        name_of(&module.metadata),
        or_none(Some(&spec.tag)).into(),
        or_none(digest).into(),
        or_none(status.and_then(|s| s.kind.as_deref())).into(),
        size.into(),
        age_of(&module.metadata, now),
        or_none(Some(&image)).into(),
    ]
}

/// `83.9KiB`: three digits at most before the unit.
fn bytes(size: i64) -> String {
    let mut shown = size as f64;
    for unit in ["B", "KiB", "MiB"] {
        if shown.abs() < 1024.0 {
            return if unit == "B" { format!("{shown}{unit}") } else { format!("{shown:.1}{unit}") };
        }
        shown /= 1024.0;
    }
    format!("{shown:.1}GiB")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{cells_of, now};
    use super::*;

    #[test]
    fn a_module_shows_what_it_is() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        let value = json!({"metadata": {"name": "tools-pi-1-0-x", "creationTimestamp": now(-60)},
            "spec": {"name": "tools/pi", "tag": "1.0", "digest": digest}, "status": {"kind": "Command", "size": 85_915}});
        let cells =
            json!(["tools-pi-1-0-x", "1.0", "sha256:0123456789ab", "Command", "83.9KiB", "60s", "tools/pi:1.0"]);
        assert_eq!(cells_of(super::super::Kind::Module, value), cells);
    }

    #[test]
    fn sizes_are_short() {
        let shown = [0, 1023, 1024, 1 << 20, 256 << 20, i64::MAX].map(bytes);
        assert_eq!(shown, ["0B", "1023B", "1.0KiB", "1.0MiB", "256.0MiB", "8589934592.0GiB"]);
    }
}
