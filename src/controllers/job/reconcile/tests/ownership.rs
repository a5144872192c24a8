//! Pods that a Job takes and lets go.

use serde_json::json;

use super::*;

fn manual() -> World {
    world_of(
        json!({"completions": 2, "parallelism": 2, "manualSelector": true, "selector": {"matchLabels": {"app": "a"}}}),
    )
}

/// A pod that nobody owns.
fn free_pod(name: &str, app: &str) -> Pod {
    let pod = json!({"metadata": {"name": name, "namespace": "default", "uid": name, "labels": {"app": app}},
        "spec": {"containers": []}, "status": {"phase": "Pending"}});
    serde_json::from_value(pod).unwrap()
}

#[test]
fn a_pod_that_matches_and_that_nobody_owns_is_taken_and_counted() {
    let mut w = manual();
    w.set_pod(free_pod("mine", "a"));
    w.set_pod(free_pod("other", "b"));
    w.settle();
    assert_eq!((w.numbers(), w.pods.len()), ((2, 0, 0), 3));
    assert_eq!(meta::controller_of(&w.pods["mine"].metadata).unwrap().uid, "job");
    assert!(is_tracked(&w.pods["mine"]) && !is_tracked(&w.pods["other"]));
    w.exit_pod("mine", 0);
    w.settle();
    assert_eq!(w.numbers(), (1, 1, 0));
}

#[test]
fn pods_that_were_there_before_the_job_are_taken() {
    let mut w = manual();
    w.view = View::default();
    w.set_pod(free_pod("early", "a"));
    w.tell_job();
    w.settle();
    assert!(meta::controller_of(&w.pods["early"].metadata).is_some());
}

#[test]
fn a_pod_that_matches_no_more_is_let_go_and_replaced() {
    let mut w = manual();
    w.settle();
    let name = w.active()[0].clone();
    let mut pod = w.pods[&name].clone();
    pod.metadata.labels = Some([("app".to_owned(), "b".to_owned())].into());
    w.set_pod(pod);
    w.settle();
    let lost = &w.pods[&name].metadata;
    assert_eq!((lost.owner_references.as_ref(), lost.finalizers.as_ref()), (None, None));
    assert_eq!((w.numbers(), w.pods.len()), ((2, 0, 0), 3));
    let mut back = w.pods[&name].clone();
    back.metadata.labels = Some([("app".to_owned(), "a".to_owned())].into());
    w.set_pod(back);
    w.settle();
    assert_eq!(w.numbers(), (2, 0, 0), "taken back, and one too many then");
}

#[test]
fn a_pod_that_is_being_deleted_and_a_job_that_is_take_nothing() {
    let mut w = manual();
    let mut pod = free_pod("leaving", "a");
    pod.metadata.deletion_timestamp = Some(meta::time(w.now));
    w.set_pod(pod);
    w.settle();
    assert_eq!(w.pods["leaving"].metadata.owner_references, None);
    w.job.metadata.deletion_timestamp = Some(meta::time(w.now));
    w.job.metadata.finalizers = Some(vec!["orphan".to_owned()]);
    w.tell_job();
    w.set_pod(free_pod("late", "a"));
    w.settle();
    assert_eq!(w.pods["late"].metadata.owner_references, None);
}

/// A free pod with these labels besides its own.
fn labelled(name: &str, labels: &[(&str, &str)]) -> Pod {
    let mut pod = free_pod(name, "a");
    let own = pod.metadata.labels.as_mut().unwrap();
    own.extend(labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())));
    pod
}

#[test]
fn a_selector_that_the_api_made_takes_by_the_uid_and_by_nothing_else() {
    let uid = well_known::LABEL_CONTROLLER_UID;
    let made = json!({"completions": 3, "parallelism": 3, "selector": {"matchLabels": {uid: "job"}}});
    let mut w = world_of(made);
    w.change(|spec| {
        let labels = spec.template.metadata.as_mut().unwrap().labels.as_mut().unwrap();
        labels.insert(uid.to_owned(), "job".to_owned());
    });
    w.set_pod(labelled("by-uid", &[(uid, "job")]));
    w.set_pod(labelled("by-name", &[(well_known::LABEL_JOB_NAME, "j"), (well_known::LABEL_JOB_NAME_OLD, "j")]));
    w.set_pod(labelled("by-old-uid", &[(well_known::LABEL_CONTROLLER_UID_OLD, "job")]));
    w.set_pod(labelled("of-another", &[(uid, "other")]));
    let entry = w.view.entry(&crate::api::Key::new("default", "j")).unwrap();
    assert_eq!(entry.adoptable.keys().collect::<Vec<_>>(), ["by-uid"]);
    w.settle();
    let taken = |name: &str| meta::controller_of(&w.pods[name].metadata).is_some();
    assert_eq!(["by-uid", "by-name", "by-old-uid", "of-another"].map(taken), [true, false, false, false]);
    assert_eq!(w.numbers(), (3, 0, 0));
}

#[test]
fn a_pod_is_found_by_its_uid_whichever_of_the_two_comes_first() {
    let uid = well_known::LABEL_CONTROLLER_UID;
    let key = crate::api::Key::new("default", "j");
    let mut w = world_of(json!({"selector": {"matchLabels": {uid: "job"}}}));
    w.view = View::default();
    w.set_pod(labelled("early", &[(uid, "job")]));
    w.set_pod(labelled("other", &[(uid, "other")]));
    w.tell_job();
    assert_eq!(w.view.entry(&key).unwrap().adoptable.keys().collect::<Vec<_>>(), ["early"]);
    w.set_pod(labelled("early", &[(uid, "other")]));
    assert!(w.view.entry(&key).unwrap().adoptable.is_empty(), "labelled for another");
    w.set_pod(labelled("early", &[(uid, "job")]));
    assert!(!w.view.entry(&key).unwrap().adoptable.is_empty(), "and back");
    w.settle();
    assert_eq!(meta::controller_of(&w.pods["early"].metadata).unwrap().uid, "job");
    assert_eq!(w.view.entry(&key).unwrap().adoptable.len(), 0, "taken");
}

#[test]
fn a_pod_that_was_labelled_otherwise_before_it_was_taken_is_not_wanted_any_more() {
    let mut w = world_of(json!({"selector": {"matchLabels": {"app": "a"}}}));
    let mut pod = free_pod("late", "a");
    pod.metadata.labels.as_mut().unwrap().insert(well_known::LABEL_JOB_NAME.to_owned(), "j".to_owned());
    w.set_pod(pod);
    assert!(w.view.entry(&crate::api::Key::new("default", "j")).unwrap().adoptable.contains_key("late"));
    w.set_pod(free_pod("late", "b"));
    w.settle();
    assert_eq!(w.pods["late"].metadata.owner_references, None);
}
