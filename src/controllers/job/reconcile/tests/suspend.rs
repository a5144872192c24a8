//! Suspending and resuming.

use serde_json::json;

use super::*;

#[test]
fn a_job_that_is_created_suspended_waits() {
    let mut w = world_of(json!({"suspend": true, "activeDeadlineSeconds": 5}));
    assert_eq!(w.settle(), None);
    assert_eq!((w.conditions(), w.pods.len()), (vec![("Suspended", "JobSuspended")], 0));
    assert_eq!((w.status().start_time.as_ref(), w.reasons()), (None, vec!["Suspended"]));
    w.pass(1000);
    w.settle();
    w.change(|spec| spec.suspend = Some(false));
    w.settle();
    assert_eq!((w.conditions(), w.numbers()), (vec![("Suspended", "JobResumed")], (1, 0, 0)));
    assert_eq!(w.status().conditions.as_ref().unwrap()[0].status, "False");
    assert_eq!(w.status().start_time.as_ref().map(|t| t.0), Some(w.now));
    assert_eq!(w.reasons(), ["Suspended", "Resumed", "SuccessfulCreate"]);
}

#[test]
fn pods_of_a_suspended_job_go_and_are_not_counted() {
    let mut w = world_of(json!({"completions": 3, "parallelism": 3, "activeDeadlineSeconds": 100}));
    w.settle();
    let active = w.active();
    w.exit_pod(&active[0], 0);
    w.exit_pod(&active[1], 1);
    w.place(&active[2]);
    w.settle();
    w.pass(99);
    w.change(|spec| spec.suspend = Some(true));
    w.settle();
    assert_eq!((w.numbers(), w.status().terminating), ((0, 1, 1), Some(1)));
    w.finish(&active[2], false);
    w.remove_pod(&active[2]);
    w.pass(1000);
    w.settle();
    assert_eq!((w.numbers(), w.conditions()), ((0, 1, 1), vec![("Suspended", "JobSuspended")]));
    w.change(|spec| spec.suspend = Some(false));
    let due = w.settle().unwrap();
    assert_eq!((w.numbers(), due.duration_since(w.now).as_secs()), ((2, 1, 1), 100), "the clock starts anew");
    let told = meta::annotation(&w.pods[&w.active()[0]].metadata, well_known::ANNOTATION_DEADLINE).unwrap();
    assert_eq!(meta::parse_micros(told), Some(due));
}

#[test]
fn what_finished_before_it_was_suspended_still_ends_the_job() {
    let mut w = world_of(json!({}));
    w.settle();
    w.exit_pod(&w.active()[0].clone(), 0);
    w.change(|spec| spec.suspend = Some(true));
    w.settle();
    assert_eq!(w.conditions().last().unwrap(), &("Complete", "CompletionsReached"));
    assert!(w.status().start_time.is_some());
}

#[test]
fn many_pods_are_deleted_in_bounded_steps() {
    let mut w = world_of(json!({"completions": 1200, "parallelism": 1200}));
    w.settle();
    w.change(|spec| spec.suspend = Some(true));
    assert_eq!(w.plan().effects.len(), AT_ONCE + 1);
    w.settle();
    assert_eq!((w.numbers(), w.pods.len()), ((0, 0, 0), 0));
}
