//! Indexed Jobs: which index runs, retries per index, growing and shrinking.

use serde_json::json;

use super::*;

fn indexed_world(completions: i32, parallelism: i32, more: serde_json::Value) -> World {
    let mut spec = json!({"completionMode": "Indexed", "completions": completions, "parallelism": parallelism});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world_of(spec)
}

#[test]
fn each_index_runs_once_the_lowest_first() {
    let mut w = indexed_world(5, 2, json!({}));
    w.settle();
    assert_eq!(w.active_indexes(), [0, 1]);
    w.exit(1, 0);
    w.settle();
    assert_eq!((w.active_indexes(), w.indexes()), (vec![0, 2], ("1", None)));
    for index in [0, 2, 3, 4] {
        w.exit(index, 0);
        w.settle();
    }
    assert_eq!((w.numbers(), w.indexes()), ((0, 5, 0), ("0-4", None)));
    assert_eq!(w.conditions()[1], ("Complete", "CompletionsReached"));
    assert_eq!(w.pods.len(), 5);
}

#[test]
fn a_failed_index_waits_for_the_back_off_of_the_job() {
    let mut w = indexed_world(2, 2, json!({"backoffLimit": 1}));
    w.settle();
    w.exit(0, 1);
    let due = w.settle().unwrap();
    assert_eq!((due.duration_since(w.now).as_secs(), w.active_indexes()), (10, vec![1]));
    w.pass(10);
    w.settle();
    assert_eq!(w.active_indexes(), [0, 1]);
    w.exit(0, 1);
    w.settle();
    assert_eq!(w.conditions()[0].1, "BackoffLimitExceeded");
}

#[test]
fn the_second_pod_of_an_index_and_pods_of_no_index_go() {
    let mut w = indexed_world(3, 3, json!({}));
    w.settle();
    let first = w.of_index(1)[0].clone();
    w.place(&first);
    for (name, index) in [("again", "1"), ("beyond", "3"), ("none", "x"), ("negative", "-1")] {
        let mut pod = w.pods[&first].clone();
        pod.metadata.name = Some(name.to_owned());
        pod.metadata.uid = Some(name.to_owned());
        pod.spec.as_mut().unwrap().node_name = None;
        meta::set_annotation(&mut pod.metadata, well_known::ANNOTATION_COMPLETION_INDEX, index);
        w.set_pod(pod);
    }
    w.settle();
    assert_eq!((w.active_indexes(), w.active().len(), w.numbers()), (vec![0, 1, 2], 3, (3, 0, 0)));
    assert_eq!(w.of_index(1), [first], "the one that has come further stays");
}

#[test]
fn a_pod_of_an_index_that_has_succeeded_is_of_no_use() {
    let mut w = indexed_world(2, 2, json!({}));
    w.settle();
    let name = w.of_index(0)[0].clone();
    let mut twin = w.pods[&name].clone();
    twin.metadata.name = Some("twin".to_owned());
    w.set_pod(twin);
    w.exit_pod(&name, 0);
    w.settle();
    assert_eq!((w.active_indexes(), w.numbers()), (vec![1], (1, 1, 0)));
}

#[test]
fn each_index_has_a_limit_and_a_delay_of_its_own() {
    let mut w = indexed_world(4, 4, json!({"backoffLimitPerIndex": 1}));
    w.settle();
    assert!(w.pods.values().all(|pod| Tries::before(pod) == Tries::default()));
    w.exit(1, 1);
    let due = w.settle().unwrap();
    assert_eq!((due.duration_since(w.now).as_secs(), w.active_indexes()), (10, vec![0, 2, 3]));
    assert_eq!(w.numbers(), (3, 0, 0), "counted with its replacement");
    w.pass(4);
    w.exit(3, 1);
    w.settle();
    w.pass(6);
    w.settle();
    assert_eq!((w.active_indexes(), w.numbers()), (vec![0, 1, 2], (3, 0, 1)));
    let again = w.of_index(1)[0].clone();
    let failures = meta::annotation(&w.pods[&again].metadata, well_known::ANNOTATION_INDEX_FAILURES);
    assert_eq!(failures, Some("1"));
    w.exit(1, 1);
    w.pass(4);
    w.settle();
    assert_eq!((w.indexes(), w.numbers()), (("", Some("1")), (3, 0, 3)));
    w.exit(3, 1);
    w.exit(0, 0);
    w.exit(2, 0);
    w.settle();
    assert_eq!((w.indexes(), w.numbers()), (("0,2", Some("1,3")), (0, 2, 4)));
    assert_eq!(w.conditions(), [("FailureTarget", "FailedIndexes"), ("Failed", "FailedIndexes")]);
    assert!(w.pods.values().all(|p| !is_tracked(p)));
}

#[test]
fn too_many_failed_indexes_end_the_job_at_once() {
    let mut w = indexed_world(5, 5, json!({"backoffLimitPerIndex": 0, "maxFailedIndexes": 1}));
    w.settle();
    w.exit(0, 1);
    w.settle();
    assert!(w.conditions().is_empty());
    w.exit(4, 1);
    w.settle();
    assert_eq!((w.indexes().1, w.conditions()[0].1), (Some("0,4"), "MaxFailedIndexesExceeded"));
}

#[test]
fn what_waits_to_be_tried_again_is_counted_when_the_job_ends() {
    let mut w = indexed_world(2, 2, json!({"backoffLimitPerIndex": 3, "activeDeadlineSeconds": 5}));
    w.settle();
    w.exit(0, 1);
    w.settle();
    assert_eq!(w.numbers(), (1, 0, 0));
    w.place(&w.of_index(1)[0].clone());
    w.pass(5);
    w.settle();
    w.exit(1, 137);
    w.settle();
    assert_eq!((w.numbers(), w.indexes().1), ((0, 0, 2), Some("")));
    assert_eq!(w.conditions()[1], ("Failed", "DeadlineExceeded"));
    assert!(w.pods.values().all(|p| !is_tracked(p)));
    assert_eq!(w.used().0, 2);
}

#[test]
fn an_interrupted_pod_of_an_index_is_replaced_at_once_with_its_count() {
    let mut w = indexed_world(1, 1, json!({"backoffLimitPerIndex": 1}));
    w.settle();
    w.exit(0, 1);
    w.settle();
    w.pass(10);
    w.settle();
    w.interrupt(&w.of_index(0)[0].clone());
    w.settle();
    let name = w.of_index(0)[0].clone();
    let failures = meta::annotation(&w.pods[&name].metadata, well_known::ANNOTATION_INDEX_FAILURES);
    assert_eq!((failures, w.numbers()), (Some("1"), (1, 0, 1)));
    w.exit(0, 1);
    w.settle();
    assert_eq!(w.conditions()[1].1, "FailedIndexes");
}

#[test]
fn a_deleted_pod_of_an_index_with_a_limit_counts_and_is_replaced_after_its_delay() {
    let mut w = indexed_world(1, 1, json!({"backoffLimitPerIndex": 1}));
    w.settle();
    let name = w.of_index(0)[0].clone();
    w.delete_pod(&name);
    w.settle();
    assert_eq!((w.active_indexes(), w.status().terminating), (vec![], Some(1)));
    w.pass(10);
    w.settle();
    assert_eq!((w.active_indexes(), w.numbers()), (vec![0], (1, 0, 1)));
    w.finish(&name, false);
    w.settle();
    assert_eq!(w.numbers(), (1, 0, 1), "once");
}

#[test]
fn an_elastic_job_grows_and_shrinks() {
    let mut w = indexed_world(3, 3, json!({}));
    w.settle();
    w.exit(0, 0);
    w.exit(2, 0);
    w.settle();
    let resize = |w: &mut World, n: i32| {
        w.change(|spec| (spec.completions, spec.parallelism) = (Some(n), Some(n)));
        w.settle();
    };
    resize(&mut w, 5);
    assert_eq!((w.active_indexes(), w.indexes().0), (vec![1, 3, 4], "0,2"));
    resize(&mut w, 2);
    assert_eq!((w.active_indexes(), w.indexes().0, w.numbers()), (vec![1], "0", (1, 1, 0)));
    resize(&mut w, 1);
    assert_eq!((w.numbers(), w.conditions()[1].0), ((0, 1, 0), "Complete"));
}

#[test]
fn a_view_that_is_built_anew_decides_the_same() {
    let mut w = indexed_world(4, 4, json!({"backoffLimitPerIndex": 2}));
    w.settle();
    w.exit(0, 1);
    w.exit(1, 0);
    w.pass(3);
    w.settle();
    w.view = View::default();
    let job = Object::from(w.job.clone());
    w.view.observe(&Seen { change: Change::Added, object: &job, old: None }, w.now, |_| {});
    for pod in w.pods.values() {
        let object = Object::from(pod.clone());
        w.view.observe(&Seen { change: Change::Added, object: &object, old: None }, w.now, |_| {});
    }
    let due = w.settle().unwrap();
    assert_eq!((due.duration_since(w.now).as_secs(), w.active_indexes()), (8, vec![2, 3]), "to the second, rounded up");
    w.now = due;
    w.settle();
    assert_eq!((w.active_indexes(), w.numbers()), (vec![0, 2, 3], (3, 1, 1)));
}

#[test]
fn many_failed_pods_of_indexes_that_are_no_more_are_let_go_in_bounded_steps() {
    let mut w = indexed_world(1200, 1200, json!({"backoffLimitPerIndex": 1}));
    w.settle();
    for index in 0..1200 {
        w.exit(index, 1);
    }
    w.settle();
    w.change(|spec| (spec.completions, spec.parallelism) = (Some(1), Some(1)));
    assert_eq!(w.plan().effects.len(), AT_ONCE + 1);
    w.settle();
    assert_eq!((w.pods.values().filter(|p| is_tracked(p)).count(), w.numbers(), w.used().0), (1, (0, 0, 0), 1199));
}
