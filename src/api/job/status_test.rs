use serde_json::{Value, json};

use super::*;

const START: &str = "2026-01-01T00:00:00Z";
const LATER: &str = "2026-01-01T00:01:00Z";

fn faults_of(spec: Value, new: Value, old: Value) -> Vec<String> {
    let [new, old] =
        [new, old].map(|s| serde_json::from_value::<Job>(json!({"metadata": {}, "spec": spec, "status": s})).unwrap());
    let mut faults = Vec::new();
    validate_status(&new, &old, &mut faults);
    faults.iter().map(ToString::to_string).collect()
}

fn spec(fields: Value) -> Value {
    let mut spec = json!({"template": {}, "parallelism": 2, "completions": 5});
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    spec
}

/// With `conditions` as `True`.
fn with(conditions: &[&str], mut status: Value) -> Value {
    let conditions: Vec<Value> = conditions.iter().map(|c| json!({"type": c, "status": "True"})).collect();
    status["conditions"] = json!(conditions);
    status
}

fn complete(status: Value) -> Value {
    let mut whole = json!({"startTime": START, "completionTime": LATER});
    whole.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
    with(&["SuccessCriteriaMet", "Complete"], whole)
}

fn failed(status: Value) -> Value {
    let mut whole = json!({"startTime": START});
    whole.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
    with(&["FailureTarget", "Failed"], whole)
}

const NONE: [&str; 0] = [];

#[test]
fn what_a_controller_writes_in_the_course_of_a_job_is_taken() {
    let plain = spec(json!({}));
    let indexed = spec(json!({"completionMode": "Indexed", "backoffLimitPerIndex": 1}));
    let running = json!({"startTime": START, "active": 2, "ready": 1, "terminating": 0,
        "uncountedTerminatedPods": {"succeeded": ["a"], "failed": ["b"]}});
    let suspended = with(&["Suspended"], json!({"startTime": START}));
    let steps = [
        (&plain, running.clone(), json!({})),
        (&plain, with(&["SuccessCriteriaMet"], json!({"startTime": START, "succeeded": 5, "terminating": 1})), running),
        (
            &plain,
            complete(json!({"succeeded": 5, "uncountedTerminatedPods": {}})),
            with(&["SuccessCriteriaMet"], json!({"startTime": START, "succeeded": 5})),
        ),
        (&plain, failed(json!({"failed": 7})), with(&["FailureTarget"], json!({"startTime": START, "failed": 7}))),
        (&plain, with(&["my.example/checked"], json!({})), json!({})),
        (&plain, json!({"startTime": LATER}), suspended),
        (&indexed, json!({"completedIndexes": "0,2-3", "failedIndexes": "1,4", "startTime": START}), json!({})),
        (&indexed, complete(json!({"completedIndexes": "0-4", "failedIndexes": ""})), json!({"startTime": START})),
    ];
    for (spec, new, old) in steps {
        assert_eq!(faults_of(spec.clone(), new.clone(), old), NONE, "{new}");
    }
}

#[test]
fn counts_are_not_negative_and_uncounted_pods_stand_once() {
    let negative = "must be greater than or equal to 0";
    assert_eq!(
        faults_of(
            spec(json!({})),
            json!({"active": -1, "succeeded": -2, "failed": -3, "ready": -4, "terminating": -5}),
            json!({"succeeded": -2, "failed": -3})
        ),
        ["active", "succeeded", "failed", "ready", "terminating"]
            .iter()
            .zip(1..)
            .map(|(field, n)| format!("status.{field}: Invalid value: -{n}: {negative}"))
            .collect::<Vec<_>>()
    );
    let lists = json!({"uncountedTerminatedPods": {"succeeded": ["a", "", "a"], "failed": ["b", "a", ""]}});
    let at = "status.uncountedTerminatedPods";
    assert_eq!(
        faults_of(spec(json!({})), lists, json!({})),
        [
            format!("{at}.succeeded[1]: Invalid value: \"\": must not be empty"),
            format!("{at}.succeeded[2]: Duplicate value: \"a\""),
            format!("{at}.failed[1]: Duplicate value: \"a\""),
            format!("{at}.failed[2]: Invalid value: \"\": must not be empty"),
        ]
    );
}

/// Each write with the one fault that it has.
#[test]
fn an_end_is_whole() {
    let open = json!({"startTime": START});
    let conditions = |detail: &str| format!("status.conditions: Invalid value: {detail}");
    let late = format!("status.completionTime: Invalid value: {LATER:?}");
    let table = [
        (
            with(&["SuccessCriteriaMet", "Complete", "Failed"], json!({"startTime": START, "completionTime": LATER})),
            vec![
                conditions("cannot set Complete=True and Failed=true conditions"),
                conditions("cannot set Failed=True condition without the FailureTarget=true condition"),
                conditions("cannot set SuccessCriteriaMet=True and Failed=true conditions"),
            ],
        ),
        (
            with(&["SuccessCriteriaMet", "Complete", "FailureTarget"], json!({"startTime": START, "completionTime": LATER})),
            vec![
                conditions("cannot set Complete=True and FailureTarget=true conditions"),
                conditions("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"),
            ],
        ),
        (
            json!({"startTime": START, "completionTime": LATER}),
            vec![format!("{late}: cannot set completionTime when there is no Complete=True condition")],
        ),
        (
            with(&["SuccessCriteriaMet", "Complete"], open.clone()),
            vec!["status.completionTime: Required value: completionTime is required for Complete jobs".to_owned()],
        ),
        (
            complete(json!({"startTime": LATER, "completionTime": START})),
            vec![
                format!("status.completionTime: Invalid value: {START:?}: completionTime cannot be set before startTime"),
                "status.startTime: Required value: startTime cannot be removed for unsuspended job".to_owned(),
            ],
        ),
        (
            with(&["Failed"], open.clone()),
            vec![conditions("cannot set Failed=True condition without the FailureTarget=true condition")],
        ),
        (
            with(&["Complete"], json!({"startTime": START, "completionTime": LATER})),
            vec![conditions("cannot set Complete=True condition without the SuccessCriteriaMet=true condition")],
        ),
        (
            failed(json!({"active": 1})),
            vec!["status.active: Invalid value: 1: active>0 is invalid for finished job".to_owned()],
        ),
        (
            failed(json!({"terminating": 1})),
            vec!["status.terminating: Invalid value: 1: terminating>0 is invalid for finished job".to_owned()],
        ),
        (
            failed(json!({"uncountedTerminatedPods": {"failed": ["a"]}})),
            vec![
                "status.uncountedTerminatedPods: Invalid value: {\"failed\":[\"a\"]}: uncountedTerminatedPods needs to be \
                 empty for finished job"
                    .to_owned(),
            ],
        ),
        (
            json!({"startTime": START, "active": 1, "ready": 2}),
            vec!["status.ready: Invalid value: 2: cannot set more ready pods than active".to_owned()],
        ),
    ];
    for (new, want) in table {
        assert_eq!(faults_of(spec(json!({})), new.clone(), open.clone()), want, "{new}");
    }
    assert_eq!(
        faults_of(spec(json!({})), failed(json!({"startTime": null})), json!({})),
        ["status.startTime: Required value: startTime is required for finished job"]
    );
    let policy = spec(json!({"completionMode": "Indexed", "successPolicy": {"rules": [{"succeededCount": 1}]}}));
    let met = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True";
    let new = with(&["Complete"], json!({"startTime": START, "completionTime": LATER}));
    assert!(faults_of(policy, new, open).contains(&conditions(met)));
}

#[test]
fn an_end_stays_and_so_does_what_was_counted() {
    let conditions = |detail: &str| format!("status.conditions: Invalid value: {detail}");
    let disabled = |end: &str| conditions(&format!("cannot disable the terminal {end}=True condition"));
    assert_eq!(
        faults_of(spec(json!({})), json!({"startTime": START}), complete(json!({"succeeded": 5}))),
        [
            disabled("Complete"),
            "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter".to_owned(),
            conditions("cannot disable the SuccessCriteriaMet=True condition"),
        ]
    );
    assert_eq!(
        faults_of(spec(json!({})), json!({"startTime": START, "failed": 1}), failed(json!({"failed": 2}))),
        [
            disabled("Failed"),
            disabled("FailureTarget"),
            "status.failed: Invalid value: 1: cannot decrease the failed counter".to_owned(),
        ]
    );
    assert_eq!(
        faults_of(spec(json!({})), complete(json!({"completionTime": "2026-01-01T00:02:00Z"})), complete(json!({}))),
        ["status.completionTime: Invalid value: \"2026-01-01T00:02:00Z\": completionTime cannot be mutated"]
    );
    let once = with(&["Complete"], json!({"startTime": START, "completionTime": LATER}));
    assert_eq!(
        faults_of(spec(json!({})), complete(json!({})), once),
        [conditions("cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions")]
    );
}

#[test]
fn only_a_job_that_may_be_scaled_down_forgets_successes() {
    let lost = |fields: Value| {
        let indexed = |succeeded: i32, indexes: &str| json!({"succeeded": succeeded, "completedIndexes": indexes});
        faults_of(spec(fields), indexed(2, "0-1"), indexed(3, "0-2"))
    };
    assert_eq!(lost(json!({"completionMode": "Indexed", "parallelism": 5})), NONE);
    let shrunk = "status.succeeded: Invalid value: 2: cannot decrease the succeeded counter";
    assert_eq!(lost(json!({"completionMode": "Indexed", "parallelism": 4})), [shrunk]);
}

#[test]
fn the_start_moves_only_while_a_job_is_suspended_or_resumes() {
    let moved = |suspend: bool, new: Value, old: Value| faults_of(spec(json!({"suspend": suspend})), new, old);
    let (old, new) = (json!({"startTime": START}), json!({"startTime": LATER}));
    let fault = ["status.startTime: Required value: startTime cannot be removed for unsuspended job"];
    assert_eq!(moved(false, new.clone(), old.clone()), fault);
    assert_eq!(moved(false, json!({}), old.clone()), fault);
    assert_eq!(moved(true, json!({}), old.clone()), NONE);
    assert_eq!(moved(false, new.clone(), with(&["Suspended"], old.clone())), NONE);
    assert_eq!(moved(false, with(&["Suspended"], new), with(&["Suspended"], old)), fault);
}

#[test]
fn indexes_are_well_formed_and_have_one_end() {
    let indexed = json!({"completionMode": "Indexed", "backoffLimitPerIndex": 1});
    let completed = |text: &str, detail: &str| format!("status.completedIndexes: Invalid value: {text:?}: {detail}");
    let failed = |text: &str, detail: &str| format!("status.failedIndexes: Invalid value: {text:?}: {detail}");
    let parts = "the fragment \"0-1-2\" violates the requirement that an index interval can have at most two parts \
                 separated by '-'";
    let malformed = [
        ("0,x", "cannot convert string to integer for index: \"x\""),
        ("0,5", "too large index: \"5\""),
        ("0-5", "too large index: \"5\""),
        ("1,0", "non-increasing order, previous: 1, current: 0"),
        ("2-2", "non-increasing order, previous: 2, current: 2"),
        ("0-1-2", parts),
        ("0,,1", "cannot convert string to integer for index: \"\""),
    ];
    for (text, error) in malformed {
        let told = faults_of(spec(indexed.clone()), json!({"completedIndexes": text}), json!({}));
        assert_eq!(told, [completed(text, &format!("error parsing completedIndexes: {error}"))]);
        let told = faults_of(spec(indexed.clone()), json!({"failedIndexes": text}), json!({}));
        assert_eq!(told, [failed(text, &format!("error parsing failedIndexes: {error}"))]);
    }
    let both = |completed: &str, failed: &str| {
        let new = json!({"completedIndexes": completed, "failedIndexes": failed});
        faults_of(spec(indexed.clone()), new, json!({}))
    };
    assert_eq!(both("0,2-3", "1,4"), NONE);
    let overlap =
        |text: &str, index: i32| failed(text, &format!("failedIndexes and completedIndexes overlap at index: {index}"));
    assert_eq!(both("0-2", "1,4"), [overlap("1,4", 1)]);
    assert_eq!(both("0,3-4", "1-3"), [overlap("1-3", 3)]);
    assert_eq!(
        faults_of(spec(json!({})), json!({"completedIndexes": "0"}), json!({})),
        [completed("0", "cannot set non-empty completedIndexes when non-indexed completion mode")]
    );
    assert_eq!(
        faults_of(spec(json!({"completionMode": "Indexed"})), json!({"failedIndexes": ""}), json!({})),
        [failed("", "cannot set non-null failedIndexes when backoffLimitPerIndex is null")]
    );
}

#[test]
fn what_was_wrong_before_keeps_nothing_else_from_being_written() {
    let bad = with(
        &["Complete"],
        json!({"active": 1, "ready": 2, "terminating": 3, "completedIndexes": "7", "failedIndexes": "7"}),
    );
    let mut new = bad.clone();
    new["failed"] = json!(1);
    assert_eq!(faults_of(spec(json!({})), new, bad), NONE);
}
