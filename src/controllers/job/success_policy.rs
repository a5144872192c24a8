//! When a Job has done enough by its own rules, though indexes are still missing (kubernetes
//! `pkg/controller/job/success_policy.go`).

use k8s_openapi::api::batch::v1::{SuccessPolicy, SuccessPolicyRule};

use super::indexes::IndexSet;

/// The rules of a Job, read once. They are to be read anew when its completions change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compiled {
    /// `None` for a rule that can never match, so that the others keep their place.
    rules: Vec<Option<Rule>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Rule {
    /// So many, whichever they are.
    Count(i32),
    /// Each of these or, where a number is given, so many of them.
    Listed(IndexSet, Option<i32>),
}

impl Compiled {
    pub fn new(policy: &SuccessPolicy, completions: i32) -> Compiled {
        let read = |rule: &SuccessPolicyRule| match (&rule.succeeded_indexes, rule.succeeded_count) {
            (Some(text), count) => IndexSet::parse_strict(text, completions).map(|set| Rule::Listed(set, count)),
            (None, count) => count.map(Rule::Count),
        };
        Compiled { rules: policy.rules.iter().map(read).collect() }
    }

    /// The place of the first rule that the succeeded indexes satisfy. Nothing is satisfied before the first success.
    pub fn matched(&self, succeeded: &IndexSet) -> Option<usize> {
        if succeeded.is_empty() {
            return None;
        }
        self.rules.iter().position(|rule| match rule {
            Some(Rule::Count(count)) => succeeded.len() >= *count,
            Some(Rule::Listed(listed, count)) => {
                succeeded.contains_all(listed) || count.is_some_and(|count| succeeded.intersection_len(listed) >= count)
            }
            None => false,
        })
    }
}

/// [`Compiled::matched`] for rules that are needed once.
pub fn matched(policy: &SuccessPolicy, succeeded: &IndexSet, completions: i32) -> Option<usize> {
    Compiled::new(policy, completions).matched(succeeded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(rules: Value, succeeded: &str) -> Option<usize> {
        let policy = serde_json::from_value(json!({"rules": rules})).unwrap();
        matched(&policy, &IndexSet::parse(succeeded, 5), 5)
    }

    #[test]
    fn a_rule_is_satisfied_by_all_it_lists_or_by_the_count_it_asks_for() {
        let cases = [
            // The Job of five indexes whose leader, index 0, decides.
            (json!({"succeededIndexes": "0"}), "0", true),
            (json!({"succeededIndexes": "0"}), "0-4", true),
            (json!({"succeededIndexes": "0"}), "1-4", false),
            (json!({"succeededIndexes": "0,2-4"}), "0,2-4", true),
            (json!({"succeededIndexes": "0,2-4"}), "0-3", false),
            (json!({"succeededCount": 2}), "4", false),
            (json!({"succeededCount": 2}), "1,4", true),
            (json!({"succeededCount": 0}), "1", true),
            (json!({"succeededIndexes": "0-2", "succeededCount": 2}), "0,3,4", false),
            (json!({"succeededIndexes": "0-2", "succeededCount": 2}), "0,2", true),
            (json!({"succeededIndexes": "0-2", "succeededCount": 3}), "0,2", false),
            (json!({"succeededIndexes": "0-2", "succeededCount": 3}), "0-2", true),
            (json!({}), "0-4", false),
        ];
        for (rule, succeeded, want) in cases {
            let found = check(json!([rule]), succeeded);
            assert_eq!(found, want.then_some(0), "{rule} with {succeeded}");
        }
    }

    #[test]
    fn nothing_is_satisfied_before_the_first_success() {
        for rule in [json!({"succeededCount": 0}), json!({"succeededIndexes": ""}), json!({"succeededIndexes": "0"})] {
            assert_eq!(check(json!([rule]), ""), None, "{rule}");
        }
    }

    #[test]
    fn the_first_rule_that_is_satisfied_counts() {
        let rules = json!([{"succeededIndexes": "0"}, {"succeededCount": 3}, {"succeededCount": 2}]);
        assert_eq!(check(rules.clone(), "1"), None);
        assert_eq!(check(rules.clone(), "1,2"), Some(2));
        assert_eq!(check(rules.clone(), "1-3"), Some(1));
        assert_eq!(check(rules, "0-3"), Some(0));
    }

    #[test]
    fn a_rule_that_cannot_be_read_is_passed_over_and_the_others_keep_their_place() {
        for text in ["x", "3,1", "0-9", "5"] {
            let rules = json!([{"succeededIndexes": text, "succeededCount": 1}, {"succeededCount": 1}]);
            assert_eq!(check(rules, "0-4"), Some(1), "{text}");
        }
    }
}
