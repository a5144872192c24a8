//! podFailurePolicy, successPolicy, podReplacementPolicy, and what kiln adds.

use serde_json::json;

use super::*;

fn on_code(action: &str, code: i32) -> serde_json::Value {
    json!({"action": action, "onExitCodes": {"operator": "In", "values": [code]}})
}

#[test]
fn an_exit_code_fails_the_job_at_once() {
    let mut w =
        world_of(json!({"completions": 2, "parallelism": 2, "podFailurePolicy": {"rules": [on_code("FailJob", 42)]}}));
    w.settle();
    let active = w.active();
    w.place(&active[1]);
    w.exit_pod(&active[0], 42);
    w.settle();
    assert_eq!(w.conditions(), [("FailureTarget", "PodFailurePolicy")]);
    let message = w.status().conditions.as_ref().unwrap()[0].message.clone().unwrap();
    let pod = &active[0];
    let told = format!("Container c for pod default/{pod} failed with exit code 42 matching FailJob rule at index 0");
    assert_eq!(message, told);
    w.exit_pod(&active[1], 137);
    w.settle();
    assert_eq!((w.numbers(), w.conditions()[1]), ((0, 0, 2), ("Failed", "PodFailurePolicy")));
    assert_eq!(w.notes.last().unwrap(), &("PodFailurePolicy", told.clone()));
    assert_eq!(w.status().conditions.as_ref().unwrap()[1].message.as_ref(), Some(&told), "both say the same");
}

#[test]
fn an_ignored_failure_counts_nowhere_and_is_replaced_after_the_back_off() {
    let mut w = world_of(json!({"backoffLimit": 0, "podFailurePolicy": {"rules": [on_code("Ignore", 7)]}}));
    for delay in [10, 20] {
        w.settle();
        w.exit_pod(&w.active()[0].clone(), 7);
        let due = w.settle().unwrap();
        assert_eq!((due.duration_since(w.now).as_secs(), w.numbers()), (delay, (0, 0, 0)));
        w.now = due;
    }
    w.settle();
    w.exit_pod(&w.active()[0].clone(), 8);
    w.settle();
    assert_eq!((w.numbers().2, w.conditions()[1].1), (1, "BackoffLimitExceeded"));
}

#[test]
fn an_index_fails_by_rule_and_ignored_failures_of_one_are_remembered() {
    let mut w =
        world_of(json!({"completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimitPerIndex": 5,
        "podFailurePolicy": {"rules": [on_code("FailIndex", 1), on_code("Ignore", 2)]}}));
    w.settle();
    w.exit(0, 1);
    w.exit(1, 2);
    w.settle();
    assert_eq!((w.indexes().1, w.numbers()), (Some("0"), (0, 0, 1)));
    w.pass(10);
    w.settle();
    let pod = &w.pods[&w.of_index(1)[0]];
    let annotation = |name| meta::annotation(&pod.metadata, name);
    assert_eq!(annotation(well_known::ANNOTATION_INDEX_FAILURES), Some("0"));
    assert_eq!(annotation(well_known::ANNOTATION_INDEX_IGNORED_FAILURES), Some("1"));
    assert_eq!(w.numbers(), (1, 0, 1));
}

#[test]
fn a_disruption_is_the_rules_to_decide() {
    let rule = |action: &str| json!({"action": action, "onPodConditions": [{"type": "DisruptionTarget"}]});
    for (action, failed) in [("Count", true), ("FailJob", true), ("Ignore", false)] {
        let mut w = world_of(json!({"backoffLimit": 0, "podFailurePolicy": {"rules": [rule(action)]}}));
        w.settle();
        w.interrupt(&w.active()[0].clone());
        w.settle();
        assert_eq!(!w.conditions().is_empty(), failed, "{action}");
    }
}

#[test]
fn a_success_policy_ends_the_job_and_its_other_pods_are_deleted() {
    let mut w = world_of(json!({"completionMode": "Indexed", "completions": 5, "parallelism": 5,
        "successPolicy": {"rules": [{"succeededIndexes": "4", "succeededCount": 1}, {"succeededIndexes": "0"}]}}));
    w.settle();
    w.exit(1, 0);
    w.settle();
    assert!(w.conditions().is_empty());
    w.exit(0, 0);
    w.settle();
    assert_eq!(w.conditions(), [("SuccessCriteriaMet", "SuccessPolicy"), ("Complete", "SuccessPolicy")]);
    let message = w.status().conditions.as_ref().unwrap()[1].message.as_deref();
    assert_eq!(message, Some("Matched rules at index 1"));
    assert_eq!((w.numbers(), w.indexes().0, w.pods.len()), ((0, 2, 0), "0,1", 2));
}

#[test]
fn only_pods_that_have_failed_are_replaced_if_the_job_says_so() {
    let mut w = world_of(json!({"podReplacementPolicy": "Failed"}));
    w.settle();
    let name = w.active()[0].clone();
    w.delete_pod(&name);
    w.settle();
    assert_eq!((w.active().len(), w.numbers(), w.status().terminating), (0, (0, 0, 0), Some(1)));
    w.finish(&name, false);
    w.settle();
    assert_eq!(w.numbers(), (0, 0, 1));
    w.remove_pod(&name);
    w.pass(10);
    w.settle();
    assert_eq!(w.numbers(), (1, 0, 1));
}

#[test]
fn a_pod_that_no_node_has_is_over_when_it_is_deleted() {
    let mut w = world_of(json!({"podReplacementPolicy": "Failed"}));
    w.settle();
    let name = w.active()[0].clone();
    let mut pod = w.pods[&name].clone();
    pod.metadata.deletion_timestamp = Some(meta::time(w.now));
    w.set_pod(pod);
    w.settle();
    assert_eq!((w.numbers(), w.pods.contains_key(&name)), ((1, 0, 1), false));
}

#[test]
fn work_of_unknown_fate_fails_the_job_if_it_may_be_done_only_once() {
    let mut w = world_of(json!({"completions": 2, "parallelism": 2}));
    w.annotate(well_known::ANNOTATION_AT_MOST_ONCE, "true");
    w.settle();
    let active = w.active();
    w.place(&active[1]);
    w.interrupt(&active[0]);
    w.settle();
    assert_eq!(w.conditions(), [("FailureTarget", "FateUnknown")]);
    assert_eq!(w.numbers(), (1, 0, 1));
    let mut w =
        world_of(json!({"completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimitPerIndex": 5}));
    w.annotate(well_known::ANNOTATION_AT_MOST_ONCE, "true");
    w.settle();
    w.interrupt(&w.of_index(1)[0].clone());
    w.settle();
    assert_eq!((w.indexes().1, w.numbers(), w.conditions().len()), (Some("1"), (1, 0, 1), 0));
}

#[test]
fn a_job_sets_its_own_back_off() {
    let mut w = world_of(json!({}));
    w.annotate(well_known::ANNOTATION_BACKOFF, "base=1s,factor=3,cap=5s");
    for delay in [1, 3, 5, 5] {
        w.settle();
        w.exit_pod(&w.active()[0].clone(), 1);
        let due = w.settle().unwrap();
        assert_eq!(due.duration_since(w.now).as_secs(), delay);
        w.now = due;
    }
}

#[test]
fn one_condition_covers_both_ends_if_the_job_asks_for_it() {
    for code in [0, 1] {
        let mut w = world_of(json!({"backoffLimit": 0}));
        w.annotate(well_known::ANNOTATION_FINISHED_CONDITION, "true");
        w.settle();
        w.exit_pod(&w.active()[0].clone(), code);
        w.settle();
        assert_eq!(w.conditions().iter().map(|c| c.0).next_back(), Some("Finished"), "{code}");
    }
}

#[test]
fn a_finished_job_runs_its_failed_indexes_again() {
    let mut w =
        world_of(json!({"completionMode": "Indexed", "completions": 3, "parallelism": 3, "backoffLimitPerIndex": 0}));
    w.annotate(well_known::ANNOTATION_RERUN, "rerun-failed:0");
    w.settle();
    w.exit(0, 0);
    w.exit(1, 1);
    w.exit(2, 1);
    w.settle();
    assert_eq!(w.conditions()[1].0, "Failed", "a value from before asks for nothing");
    w.annotate(well_known::ANNOTATION_RERUN, "rerun-failed:1");
    w.settle();
    assert_eq!((w.active_indexes(), w.numbers(), w.conditions().len()), (vec![1, 2], (2, 1, 0), 0));
    w.exit(1, 0);
    w.exit(2, 0);
    w.settle();
    assert_eq!((w.numbers(), w.indexes(), w.conditions()[1].0), ((0, 3, 0), ("0-2", Some("")), "Complete"));
    assert_eq!(w.pods.len(), 5, "the pods of before are still there");
    let kept = meta::annotation(&w.job.metadata, well_known::ANNOTATION_ATTEMPTS).unwrap();
    assert!(kept.contains(r#""failedIndexes":"1,2""#), "{kept}");
    w.annotate(well_known::ANNOTATION_RERUN, "rerun-all:1");
    w.settle();
    assert_eq!((w.active_indexes(), w.numbers()), (vec![0, 1, 2], (3, 0, 0)));
}

#[test]
fn failures_of_an_earlier_attempt_do_not_delay_the_next() {
    let mut w = world_of(json!({"backoffLimit": 1}));
    for _ in 0..2 {
        w.settle();
        w.exit_pod(&w.active()[0].clone(), 1);
        w.settle();
        w.pass(20);
    }
    assert_eq!(w.conditions()[1].1, "BackoffLimitExceeded");
    w.annotate(well_known::ANNOTATION_RERUN, "rerun-all");
    w.settle();
    assert_eq!(w.numbers(), (1, 0, 0));
    w.exit_pod(&w.active()[0].clone(), 1);
    let due = w.settle().unwrap();
    assert_eq!(due.duration_since(w.now).as_secs(), 10);
}

#[test]
fn a_job_that_another_controller_manages_is_left_alone() {
    let w = world_of(json!({"managedBy": "acme.io/other"}));
    assert_eq!(w.plan(), Plan::default());
    let w = world_of(json!({"managedBy": "kubernetes.io/job-controller"}));
    assert!(!w.plan().effects.is_empty());
}

#[test]
fn a_cause_that_somebody_else_wrote_ends_the_job_in_its_words() {
    let mut w = world_of(json!({}));
    w.settle();
    w.job.status.as_mut().unwrap().conditions = serde_json::from_value(
        json!([{"type": "FailureTarget", "status": "True", "reason": "Enough", "message": "we have seen enough"}]),
    )
    .unwrap();
    w.tell_job();
    w.settle();
    let conditions = w.status().conditions.as_ref().unwrap();
    assert_eq!(
        (w.conditions()[1], conditions[1].message.as_deref()),
        (("Failed", "Enough"), Some("we have seen enough"))
    );
}
