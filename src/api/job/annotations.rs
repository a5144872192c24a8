//! kiln's own annotations on Jobs: which values each may have. All are off unless they are written.
//!
//! What an annotation says is as binding as a field, so a value that means nothing is refused at the door and not found
//! out when it is too late. To add one, add a row. Never: acts on a value; the controllers do.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::field::{FieldError, Path};
use crate::api::meta;
use crate::api::well_known::{ANNOTATION_TTL_FAILED, ANNOTATION_TTL_SUCCEEDED};

/// An annotation: its name, whether it may have a value, and what to write instead of one that it may not have.
type Row = (&'static str, fn(&str) -> bool, &'static str);

const SECONDS: &str = "must be a whole number of seconds, 0 or more";

const ROWS: &[Row] = &[
    (ANNOTATION_TTL_FAILED, |value| seconds(value).is_some(), SECONDS),
    (ANNOTATION_TTL_SUCCEEDED, |value| seconds(value).is_some(), SECONDS),
];

pub fn validate(meta: &ObjectMeta, path: &Path, faults: &mut Vec<FieldError>) {
    for (name, allows, instead) in ROWS {
        if let Some(value) = meta::annotation(meta, name).filter(|value| !allows(value)) {
            faults.push(FieldError::invalid(&path.child("annotations").key(name), value, instead));
        }
    }
}

/// A number of seconds as `ttlSecondsAfterFinished` takes it: digits, and no more than an `int32` holds.
pub fn seconds(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse::<i32>().ok().filter(|_| digits).map(i64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_whole_and_not_negative() {
        let cases = [
            ("0", Some(0)),
            ("3600", Some(3600)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1h", None),
            (" 1", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_value_that_means_nothing_is_refused_with_what_to_write() {
        let found = |name: &str, value: &str| {
            let mut meta = ObjectMeta::default();
            meta::set_annotation(&mut meta, name, value);
            let mut faults = Vec::new();
            validate(&meta, &Path::root("metadata"), &mut faults);
            faults.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            found(ANNOTATION_TTL_FAILED, "x"),
            [
                "metadata.annotations[kiln.dev/ttl-seconds-after-failed]: Invalid value: \"x\": must be a whole number of \
              seconds, 0 or more"
            ]
        );
        assert_eq!(found(ANNOTATION_TTL_SUCCEEDED, "-3").len(), 1);
        for (name, value) in [(ANNOTATION_TTL_FAILED, "0"), (ANNOTATION_TTL_SUCCEEDED, "60"), ("acme.io/x", "x")] {
            assert_eq!(found(name, value), [] as [&str; 0], "{name}: {value}");
        }
    }
}
