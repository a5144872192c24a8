//! A field that is applied and belongs to somebody else, in the words of Kubernetes (apimachinery
//! `util/managedfields/internal/conflict.go`).

use std::collections::BTreeMap;

/// One field, and who owns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// `"kubectl-create" using batch/v1`
    pub manager: String,
    /// `.spec.backoffLimit`
    pub field: String,
}

/// The message of the refusal.
pub fn message(conflicts: &[Conflict]) -> String {
    if let [one] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {}: {}", one.manager, one.field);
    }
    let mut fields: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for conflict in conflicts {
        fields.entry(&conflict.manager).or_default().push(&conflict.field);
    }
    let mut lines = Vec::new();
    for (manager, fields) in fields {
        lines.push(format!("conflicts with {manager}:"));
        lines.extend(fields.into_iter().map(|field| format!("- {field}")));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(manager: &str, field: &str) -> Conflict {
        Conflict { manager: manager.to_owned(), field: field.to_owned() }
    }

    #[test]
    fn one_conflict_is_a_sentence_and_several_are_a_list_by_manager() {
        let one = conflict("\"m\" using batch/v1", ".spec.backoffLimit");
        let expected = "Apply failed with 1 conflict: conflict with \"m\" using batch/v1: .spec.backoffLimit";
        assert_eq!(message(&[one]), expected);
        let several = [conflict("\"b\"", ".x"), conflict("\"a\"", ".y"), conflict("\"b\"", ".z")];
        let expected = "Apply failed with 3 conflicts: conflicts with \"a\":\n- .y\nconflicts with \"b\":\n- .x\n- .z";
        assert_eq!(message(&several), expected);
    }
}
