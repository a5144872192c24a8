//! What `spec.successPolicy` must satisfy (`validateSuccessPolicy` in `pkg/apis/batch/validation`, about 1.34).

use k8s_openapi::api::batch::v1::{SuccessPolicy, SuccessPolicyRule};

use crate::api::field::{FieldError, Path};
use crate::api::validate_meta::non_negative;

const MAX_RULES: usize = 20;
const MAX_INDEXES: usize = 64 << 10;

/// For an Indexed Job. Without completions, which is a fault of its own, rules cannot be held against them.
pub fn validate_success_policy(
    policy: &SuccessPolicy,
    completions: Option<i32>,
    path: &Path,
    faults: &mut Vec<FieldError>,
) {
    let SuccessPolicy { rules } = policy;
    let path = path.child("rules");
    if rules.is_empty() {
        let detail = "at least one rules must be specified when the successPolicy is specified";
        faults.push(FieldError::required(&path, detail));
    }
    if rules.len() > MAX_RULES {
        faults.push(FieldError::too_many(&path, rules.len(), MAX_RULES));
    }
    let Some(completions) = completions else { return };
    for (i, rule) in rules.iter().enumerate() {
        validate_rule(rule, completions, &path.index(i), faults);
    }
}

fn validate_rule(rule: &SuccessPolicyRule, completions: i32, path: &Path, faults: &mut Vec<FieldError>) {
    let SuccessPolicyRule { succeeded_count, succeeded_indexes } = rule;
    if succeeded_count.is_none() && succeeded_indexes.is_none() {
        let detail = "at least one of succeededCount or succeededIndexes must be specified";
        faults.push(FieldError::required(path, detail));
    }
    let mut listed = 0;
    if let Some(indexes) = succeeded_indexes {
        let at = path.child("succeededIndexes");
        if indexes.len() > MAX_INDEXES {
            faults.push(FieldError::too_long(&at, MAX_INDEXES));
        }
        match count_indexes(indexes, completions) {
            Ok(count) => listed = count,
            Err(error) => {
                let detail = format!("error parsing succeededIndexes: {error}");
                faults.push(FieldError::invalid(&at, indexes.as_str(), detail));
            }
        }
    }
    if let Some(count) = *succeeded_count {
        let at = path.child("succeededCount");
        non_negative(Some(count), &at, faults);
        if count > completions {
            let detail = format!("must be less than or equal to {completions} (the number of specified completions)");
            faults.push(FieldError::invalid(&at, count, detail));
        }
        if succeeded_indexes.is_some() && count > listed {
            let detail = format!(
                "must be less than or equal to {listed} (the number of indexes in the specified succeededIndexes field)"
            );
            faults.push(FieldError::invalid(&at, count, detail));
        }
    }
}

/// How many indexes a text such as `0,2-5` lists. They must grow and stay below `completions`.
pub fn count_indexes(text: &str, completions: i32) -> Result<i32, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let mut total = 0;
    let mut last: Option<i32> = None;
    for interval in text.split(',') {
        let (first, end) = parse_interval(interval, completions)?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        total += end - first + 1; // Disjoint intervals below `completions` cannot overflow.
        last = Some(end);
    }
    Ok(total)
}

pub(super) fn parse_interval(interval: &str, completions: i32) -> Result<(i32, i32), String> {
    let index = |text: &str| {
        // Unlike Kubernetes' Atoi this takes no sign: there is no index `+1`.
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("cannot convert string to integer for index: {text:?}"));
        }
        match text.parse::<i32>() {
            Ok(index) if index < completions => Ok(index),
            _ => Err(format!("too large index: {text:?}")),
        }
    };
    let mut parts = interval.split('-');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(only), None, _) => index(only).map(|i| (i, i)),
        (Some(first), Some(end), None) => {
            let (first, end) = (index(first)?, index(end)?);
            match first < end {
                true => Ok((first, end)),
                false => Err(format!("non-increasing order, previous: {first}, current: {end}")),
            }
        }
        _ => Err(format!(
            "the fragment {interval:?} violates the requirement that an index interval can have at most two parts \
             separated by '-'"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn indexes_are_counted_or_refused() {
        let good = [("", 0), ("0", 1), ("0,2-5", 5), ("0-9", 10)];
        for (text, want) in good {
            assert_eq!(count_indexes(text, 10), Ok(want), "{text}");
        }
        let bad = [
            ("10", "too large index: \"10\""),
            ("99999999999999999999", "too large index: \"99999999999999999999\""),
            ("a", "cannot convert string to integer for index: \"a\""),
            ("1,", "cannot convert string to integer for index: \"\""),
            ("-1", "cannot convert string to integer for index: \"\""),
            ("2,2", "non-increasing order, previous: 2, current: 2"),
            ("3-3", "non-increasing order, previous: 3, current: 3"),
            ("4-2", "non-increasing order, previous: 4, current: 2"),
        ];
        for (text, want) in bad {
            assert_eq!(count_indexes(text, 10), Err(want.to_owned()), "{text}");
        }
        assert!(count_indexes("1-2-3", 10).unwrap_err().contains("at most two parts"));
    }

    #[test]
    fn a_rule_stays_within_the_completions() {
        let faults = |rules: Value| -> Vec<String> {
            let policy = serde_json::from_value(json!({"rules": rules})).unwrap();
            let mut faults = Vec::new();
            validate_success_policy(&policy, Some(5), &Path::root("s"), &mut faults);
            faults.iter().map(ToString::to_string).collect()
        };
        assert_eq!(faults(json!([{"succeededIndexes": "0,2-3", "succeededCount": 2}])), [] as [String; 0]);
        assert_eq!(
            faults(json!([])),
            ["s.rules: Required value: at least one rules must be specified when the successPolicy is specified"]
        );
        assert_eq!(
            faults(json!([{}, {"succeededIndexes": "0", "succeededCount": 6}])),
            [
                "s.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified",
                "s.rules[1].succeededCount: Invalid value: 6: must be less than or equal to 5 (the number of specified \
                 completions)",
                "s.rules[1].succeededCount: Invalid value: 6: must be less than or equal to 1 (the number of indexes in \
                 the specified succeededIndexes field)",
            ]
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_counting_panic(text in "[0-9,-]{0,30}", completions in any::<i32>()) {
            let _ = count_indexes(&text, completions);
        }
    }
}
