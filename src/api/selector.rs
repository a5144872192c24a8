//! Label selectors: the text of `kubectl -l` and the `LabelSelector` of objects, compiled to one [`Selector`].
//!
//! Grammar and texts: apimachinery `labels/selector.go` and `apis/meta/v1/helpers.go`; [`validate`] is
//! `apis/meta/v1/validation/validation.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use crate::api::error::ApiError;
use crate::api::field::{FieldError, Path};
use crate::api::names;
use crate::api::selector_text;
use crate::api::validate_meta::validate_labels;

/// What a label must satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// `k in (…)`; with one value also `k=v`.
    In(BTreeSet<String>),
    /// `k notin (…)`; an absent label matches.
    NotIn(BTreeSet<String>),
    Equals(String),
    /// An absent label matches.
    NotEquals(String),
    Exists,
    Absent,
    /// The label is an integer above this one.
    Above(i64),
    Below(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub key: String,
    pub op: Op,
}

/// A compiled selector: all requirements must hold. `Display` gives its canonical text, sorted by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
    /// Set for the selector of an object that has none: it matches nothing, unlike an empty one.
    nothing: bool,
}

impl Selector {
    pub fn everything() -> Selector {
        Selector { requirements: Vec::new(), nothing: false }
    }

    pub fn nothing() -> Selector {
        Selector { requirements: Vec::new(), nothing: true }
    }

    pub fn new(mut requirements: Vec<Requirement>) -> Selector {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Selector { requirements, nothing: false }
    }

    /// Parses the text of a `labelSelector` query parameter; empty text selects everything.
    pub fn parse(text: &str) -> Result<Selector, ApiError> {
        selector_text::parse(text).map(Selector::new).map_err(ApiError::BadRequest)
    }

    /// Compiles an object's selector. None selects nothing, an empty one everything. The error says what is wrong.
    pub fn compile(selector: Option<&LabelSelector>) -> Result<Selector, String> {
        let Some(LabelSelector { match_labels, match_expressions }) = selector else {
            return Ok(Selector::nothing());
        };
        let mut requirements: Vec<Requirement> = match_labels
            .iter()
            .flatten()
            .map(|(key, value)| Requirement { key: key.clone(), op: Op::Equals(value.clone()) })
            .collect();
        for expression in match_expressions.iter().flatten() {
            let values: BTreeSet<String> = expression.values.iter().flatten().cloned().collect();
            let op = match expression.operator.as_str() {
                "In" | "NotIn" if values.is_empty() => {
                    return Err("for 'in', 'notin' operators, values set can't be empty".to_owned());
                }
                "In" => Op::In(values),
                "NotIn" => Op::NotIn(values),
                "Exists" | "DoesNotExist" if !values.is_empty() => {
                    return Err("values set must be empty for exists and does not exist".to_owned());
                }
                "Exists" => Op::Exists,
                "DoesNotExist" => Op::Absent,
                other => return Err(format!("\"{other}\" is not a valid label selector operator")),
            };
            requirements.push(Requirement { key: expression.key.clone(), op });
        }
        Ok(Selector::new(requirements))
    }

    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        !self.nothing && self.requirements.iter().all(|r| r.op.holds(labels.get(&r.key).map(String::as_str)))
    }

    pub fn matches_meta(&self, meta: &ObjectMeta) -> bool {
        match &meta.labels {
            Some(labels) => self.matches(labels),
            None => self.matches(&BTreeMap::new()),
        }
    }

    /// Whether every object matches, so that no object need be looked at.
    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    /// The one value that the label `key` must have, if the selector demands one: what an index can be asked for.
    pub fn exact(&self, key: &str) -> Option<&str> {
        self.requirements.iter().filter(|r| r.key == key).find_map(|r| match &r.op {
            Op::Equals(value) => Some(value.as_str()),
            Op::In(values) if values.len() == 1 => values.first().map(String::as_str),
            _ => None,
        })
    }
}

impl Op {
    fn holds(&self, label: Option<&str>) -> bool {
        match (self, label) {
            (Op::In(values), Some(label)) => values.contains(label),
            (Op::NotIn(values), Some(label)) => !values.contains(label),
            (Op::Equals(value), Some(label)) => value == label,
            (Op::NotEquals(value), Some(label)) => value != label,
            (Op::Above(bound), Some(label)) => label.parse().is_ok_and(|n: i64| n > *bound),
            (Op::Below(bound), Some(label)) => label.parse().is_ok_and(|n: i64| n < *bound),
            (Op::Exists, label) => label.is_some(),
            (Op::Absent, label) => label.is_none(),
            (Op::NotIn(_) | Op::NotEquals(_), None) => true,
            (Op::In(_) | Op::Equals(_) | Op::Above(_) | Op::Below(_), None) => false,
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Requirement { key, op } = self;
        let list = |values: &BTreeSet<String>| values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        match op {
            Op::In(values) => write!(f, "{key} in ({})", list(values)),
            Op::NotIn(values) => write!(f, "{key} notin ({})", list(values)),
            Op::Equals(value) => write!(f, "{key}={value}"),
            Op::NotEquals(value) => write!(f, "{key}!={value}"),
            Op::Exists => f.write_str(key),
            Op::Absent => write!(f, "!{key}"),
            Op::Above(bound) => write!(f, "{key}>{bound}"),
            Op::Below(bound) => write!(f, "{key}<{bound}"),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.requirements.iter().enumerate() {
            write!(f, "{}{requirement}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

/// Faults of an object's selector.
pub fn validate(selector: &LabelSelector, path: &Path, faults: &mut Vec<FieldError>) {
    let LabelSelector { match_labels, match_expressions } = selector;
    validate_labels(match_labels.as_ref(), &path.child("matchLabels"), faults);
    for (i, expression) in match_expressions.iter().flatten().enumerate() {
        let path = path.child("matchExpressions").index(i);
        let values = expression.values.as_deref().unwrap_or_default();
        match expression.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => faults.push(FieldError::required(
                &path.child("values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            )),
            "Exists" | "DoesNotExist" if !values.is_empty() => faults.push(FieldError::forbidden(
                &path.child("values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                faults.push(FieldError::invalid(&path.child("operator"), other, "not a valid selector operator"));
            }
        }
        names::report(&path.child("key"), &expression.key, names::qualified_name(&expression.key), faults);
        for (i, value) in values.iter().enumerate() {
            names::report(&path.child("values").index(i), value, names::label_value(value), faults);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_selector_matches_as_in_kubernetes() {
        let set = labels(&[("app", "pi"), ("tier", "7")]);
        let table = [
            ("", true),
            ("app=pi", true),
            ("app==pi,tier=7", true),
            ("app=pi,tier=8", false),
            ("app!=pi", false),
            ("gone!=x", true),
            ("gone=", false),
            ("app in (e, pi)", true),
            ("gone in (a)", false),
            ("app notin (e)", true),
            ("gone notin (a)", true),
            ("app", true),
            ("gone", false),
            ("!gone", true),
            ("!app", false),
            ("tier>6,tier<8", true),
            ("app>1", false),
        ];
        for (text, want) in table {
            assert_eq!(Selector::parse(text).unwrap().matches(&set), want, "{text}");
        }
    }

    #[test]
    fn an_absent_selector_matches_nothing_and_an_empty_one_everything() {
        assert!(!Selector::compile(None).unwrap().matches(&labels(&[])));
        assert!(Selector::compile(Some(&LabelSelector::default())).unwrap().matches(&labels(&[])));
        assert!(Selector::everything().is_everything() && !Selector::nothing().is_everything());
    }

    #[test]
    fn expressions_are_compiled_and_printed_in_order() {
        let expression = |key: &str, operator: &str, values: &[&str]| LabelSelectorRequirement {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values: Some(values.iter().map(|v| (*v).to_owned()).collect()),
        };
        let selector = LabelSelector {
            match_labels: Some(labels(&[("m", "1")])),
            match_expressions: Some(vec![
                expression("z", "NotIn", &["b", "a"]),
                expression("a", "DoesNotExist", &[]),
                expression("b", "In", &["x"]),
            ]),
        };
        let compiled = Selector::compile(Some(&selector)).unwrap();
        assert_eq!(compiled.to_string(), "!a,b in (x),m=1,z notin (a,b)");
        assert_eq!((compiled.exact("b"), compiled.exact("m"), compiled.exact("z")), (Some("x"), Some("1"), None));

        let bad = LabelSelector { match_expressions: Some(vec![expression("-", "Like", &["-"])]), match_labels: None };
        assert!(Selector::compile(Some(&bad)).is_err());
        let mut faults = Vec::new();
        validate(&bad, &Path::root("spec.selector"), &mut faults);
        assert_eq!(faults.len(), 3, "{faults:?}");
    }
}
