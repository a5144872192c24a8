//! kiln's own annotations on Jobs: which values each may have. All are off unless they are written.
//!
//! What an annotation says is as binding as a field, so a value that means nothing is refused at the door and not found
//! out when it is too late. To add one, add a row. Never: acts on a value; the controllers do.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::backoff::Setting;
use super::rerun::Scope;
use crate::api::field::{FieldError, Path};
use crate::api::meta;
use crate::api::well_known::{
    ANNOTATION_AT_MOST_ONCE, ANNOTATION_BACKOFF, ANNOTATION_FINISHED_CONDITION, ANNOTATION_RERUN,
    ANNOTATION_TTL_FAILED, ANNOTATION_TTL_SUCCEEDED,
};

/// An annotation: its name, and what to write instead of a value that it may not have.
type Row = (&'static str, fn(&str) -> Result<(), String>);

const ROWS: &[Row] = &[
    (ANNOTATION_TTL_FAILED, whole_seconds),
    (ANNOTATION_TTL_SUCCEEDED, whole_seconds),
    (ANNOTATION_BACKOFF, |value| Setting::parse(value).map(drop)),
    (ANNOTATION_RERUN, |value| Scope::parse(value).map(drop)),
    (ANNOTATION_AT_MOST_ONCE, true_or_false),
    (ANNOTATION_FINISHED_CONDITION, true_or_false),
];

pub fn validate(meta: &ObjectMeta, path: &Path, faults: &mut Vec<FieldError>) {
    for (name, check) in ROWS {
        let Some(value) = meta::annotation(meta, name) else { continue };
        if let Err(instead) = check(value) {
            faults.push(FieldError::invalid(&path.child("annotations").key(name), value, &instead));
        }
    }
}

fn whole_seconds(value: &str) -> Result<(), String> {
    seconds(value).map(drop).ok_or_else(|| "must be a whole number of seconds, 0 or more".to_owned())
}

fn true_or_false(value: &str) -> Result<(), String> {
    match value {
        "true" | "false" => Ok(()),
        _ => Err("must be \"true\" or \"false\"".to_owned()),
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
        for (name, value) in [
            (ANNOTATION_TTL_SUCCEEDED, "-3"),
            (ANNOTATION_BACKOFF, "fast"),
            (ANNOTATION_RERUN, "again"),
            (ANNOTATION_AT_MOST_ONCE, "yes"),
            (ANNOTATION_FINISHED_CONDITION, ""),
        ] {
            assert_eq!(found(name, value).len(), 1, "{name}: {value}");
        }
        for (name, value) in [
            (ANNOTATION_TTL_FAILED, "0"),
            (ANNOTATION_TTL_SUCCEEDED, "60"),
            (ANNOTATION_BACKOFF, "base=1s"),
            (ANNOTATION_RERUN, "rerun-failed:2"),
            (ANNOTATION_AT_MOST_ONCE, "true"),
            (ANNOTATION_FINISHED_CONDITION, "false"),
            ("acme.io/x", "x"),
        ] {
            assert_eq!(found(name, value), [] as [&str; 0], "{name}: {value}");
        }
    }
}
