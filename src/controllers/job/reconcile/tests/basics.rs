//! The three kinds of Job: counting, back-off, deadlines, deletion.

use super::*;

#[test]
fn a_fixed_count_job_runs_to_completion() {
    let mut w = World::new(spec(Some(5), 2, 4));
    let mut finished = 0;
    while finished < 5 {
        w.settle();
        let active = w.active();
        assert!(active.len() <= 2 && !active.is_empty());
        assert_eq!(w.numbers(), (active.len() as i32, finished, 0));
        w.finish(&active[0], true);
        finished += 1;
    }
    w.settle();
    assert_eq!(w.numbers(), (0, 5, 0));
    let reached = "CompletionsReached";
    assert_eq!(w.conditions(), [("SuccessCriteriaMet", reached), ("Complete", reached)]);
    assert!(w.status().completion_time.is_some());
    assert_eq!(w.notes.last().unwrap().0, "Completed");
    assert!(w.pods.values().all(|p| p.metadata.finalizers.is_none()), "counted pods are released");
}

#[test]
fn no_completions_complete_at_once() {
    let mut w = World::new(spec(Some(0), 1, 6));
    w.settle();
    assert_eq!((w.numbers(), w.pods.len()), ((0, 0, 0), 0));
    assert_eq!(w.status().succeeded, None);
    assert_eq!(w.status().start_time, w.status().completion_time);
}

#[test]
fn a_work_queue_job_creates_no_pod_after_the_first_success() {
    let mut w = World::new(spec(None, 3, 6));
    w.settle();
    let active = w.active();
    w.finish(&active[0], true);
    w.settle();
    assert_eq!((w.active().len(), w.pods.len()), (2, 3));
    w.finish(&active[1], false);
    w.finish(&active[2], false);
    w.pass(1000);
    w.settle();
    assert_eq!((w.numbers(), w.pods.len()), ((0, 1, 2), 3));
    assert_eq!(w.conditions()[1].0, "Complete");
}

#[test]
fn a_failing_job_backs_off_and_then_fails() {
    let mut w = World::new(spec(Some(1), 1, 1));
    w.settle();
    w.finish(&w.active()[0].clone(), false);
    let due = w.settle().expect("waits for the back-off");
    assert_eq!(due.duration_since(w.now).as_secs(), 10);
    assert_eq!(w.numbers(), (0, 0, 1));
    w.pass(9);
    w.settle();
    assert!(w.active().is_empty());
    w.pass(1);
    w.settle();
    w.finish(&w.active()[0].clone(), false);
    w.settle();
    assert_eq!((w.numbers(), w.pods.len()), ((0, 0, 2), 2));
    let exceeded = "BackoffLimitExceeded";
    assert_eq!(w.conditions(), [("FailureTarget", exceeded), ("Failed", exceeded)]);
    assert!(w.status().completion_time.is_none());
    assert_eq!(w.notes.last().unwrap().0, exceeded);
}

#[test]
fn on_failure_restarts_count_against_the_limit() {
    for (limit, restarts, fails) in [(0, 0, false), (0, 1, true), (2, 1, false), (2, 2, true), (6, 5, false)] {
        let mut w = World::new(on_failure(limit));
        w.settle();
        let name = w.active()[0].clone();
        w.place(&name);
        let mut pod = w.pods[&name].clone();
        let container = ContainerStatus { restart_count: restarts, ..ContainerStatus::default() };
        pod.status.as_mut().unwrap().container_statuses = Some(vec![container]);
        w.set_pod(pod);
        w.settle();
        assert_eq!(!w.conditions().is_empty(), fails, "limit {limit}, restarts {restarts}");
        let stopped = meta::annotation(&w.pods[&name].metadata, well_known::ANNOTATION_STOP);
        assert_eq!(stopped, fails.then_some("BackoffLimitExceeded"), "its node is told to stop it");
    }
}

#[test]
fn a_deadline_ends_a_job_once_its_nodes_have_stopped_its_pods() {
    let mut w = World::new(JobSpec { active_deadline_seconds: Some(5), ..spec(Some(2), 2, 6) });
    let due = w.settle().unwrap();
    assert_eq!(due.duration_since(w.now).as_secs(), 5);
    let active = w.active();
    w.place(&active[0]);
    w.pass(5);
    w.settle();
    assert_eq!(w.conditions(), [("FailureTarget", "DeadlineExceeded")], "one pod still runs");
    assert_eq!(w.numbers(), (1, 0, 1), "the one that no node had is gone");
    w.finish(&active[0], false);
    w.settle();
    assert_eq!(w.numbers(), (0, 0, 2));
    assert_eq!(w.conditions()[1], ("Failed", "DeadlineExceeded"));
    assert_eq!((w.status().ready, w.status().terminating), (Some(0), Some(0)));
}

#[test]
fn a_pod_that_is_stopped_at_the_deadline_is_not_the_failure_too_many() {
    let mut w = World::new(JobSpec { active_deadline_seconds: Some(5), ..spec(Some(1), 1, 0) });
    w.settle();
    let name = w.active()[0].clone();
    w.place(&name);
    w.finish(&name, false);
    let mut stopped = w.pods[&name].clone();
    stopped.status.as_mut().unwrap().reason = Some("DeadlineExceeded".to_owned());
    w.set_pod(stopped);
    // The node was a moment faster than the controller's look at the time.
    w.settle();
    assert_eq!(w.conditions()[1], ("Failed", "DeadlineExceeded"));
    assert_eq!(w.numbers(), (0, 0, 1));
}

#[test]
fn a_deadline_that_is_moved_reaches_the_pods_that_run() {
    let mut w = World::new(JobSpec { active_deadline_seconds: Some(5), ..spec(Some(1), 1, 6) });
    w.settle();
    w.job.spec.as_mut().unwrap().active_deadline_seconds = Some(60);
    w.tell_job();
    w.settle();
    let told = meta::annotation(&w.pods[&w.active()[0]].metadata, well_known::ANNOTATION_DEADLINE).unwrap();
    assert_eq!(meta::parse_micros(told), Some(meta::add_seconds(w.now, 60)));
}

#[test]
fn a_pod_that_loses_its_owner_is_no_longer_counted_as_active() {
    let mut w = World::new(spec(Some(2), 2, 6));
    w.settle();
    let name = w.active()[0].clone();
    let old = Object::from(w.pods[&name].clone());
    let mut orphan = w.pods[&name].clone();
    orphan.metadata.owner_references = None;
    let object = Object::from(orphan.clone());
    let mut told = Vec::new();
    let seen = Seen { change: Change::Modified, object: &object, old: Some(&old) };
    w.view.observe(&seen, w.now, |key| told.push(key));
    w.pods.insert(name, orphan);
    assert_eq!(told, [crate::api::Key::new("default", "j")], "the Job that lost it looks again");
    w.settle();
    assert_eq!((w.numbers(), w.pods.len()), ((2, 0, 0), 3));
}

#[test]
fn failure_wins_over_a_success_seen_in_the_same_look() {
    let mut w = World::new(JobSpec { active_deadline_seconds: Some(5), ..spec(Some(1), 1, 6) });
    w.settle();
    w.finish(&w.active()[0].clone(), true);
    w.pass(5);
    w.settle();
    assert_eq!(w.conditions()[1], ("Failed", "DeadlineExceeded"));
}

#[test]
fn an_interrupted_pod_is_replaced_at_once_and_not_charged() {
    let mut w = World::new(spec(Some(1), 1, 0));
    w.settle();
    w.interrupt(&w.active()[0].clone());
    w.settle();
    assert_eq!((w.numbers(), w.pods.len()), ((1, 0, 0), 2));
}

#[test]
fn fewer_wanted_pods_are_deleted_and_not_counted() {
    let mut w = World::new(spec(Some(9), 3, 6));
    w.settle();
    w.place(&w.active()[0].clone());
    w.job.spec.as_mut().unwrap().parallelism = Some(1);
    w.tell_job();
    w.settle();
    assert_eq!(w.numbers(), (1, 0, 0));
    assert!(facts::node(&w.pods[&w.active()[0]]).is_some(), "the pod that has a node is kept");
}

#[test]
fn a_pod_that_somebody_deletes_counts_as_failed_and_is_replaced() {
    let mut w = World::new(spec(Some(1), 1, 6));
    w.settle();
    let name = w.active()[0].clone();
    w.place(&name);
    let Deletion::Mark(marked) = deletion::delete(&w.pods[&name].clone().into(), &Default::default(), w.now) else {
        panic!()
    };
    w.set_pod(Pod::clone(marked.as_pod().unwrap()));
    let again = w.settle();
    assert_eq!((w.numbers().2, w.status().terminating), (1, Some(1)));
    w.finish(&name, false);
    w.remove_pod(&name);
    w.now = again.unwrap_or(w.now);
    w.settle();
    assert_eq!(w.numbers(), (1, 0, 1));
}

#[test]
fn the_pods_of_a_job_that_is_gone_are_released() {
    let mut w = World::new(spec(Some(3), 3, 6));
    w.settle();
    let object = Object::from(w.job.clone());
    w.view.observe(&Seen { change: Change::Deleted, object: &object, old: None }, w.now, |_| {});
    let plan = w.plan();
    assert_eq!(plan.effects.len(), 3);
    w.apply(plan);
    assert!(w.pods.values().all(|p| p.metadata.finalizers.is_none()));
}

#[test]
fn many_pods_are_created_and_counted_in_bounded_steps() {
    let mut w = World::new(spec(Some(1200), 1200, 6));
    let plan = w.plan();
    assert_eq!(plan.effects.len(), AT_ONCE + 1, "pods, and the status");
    w.apply(plan);
    w.settle();
    for name in w.active() {
        w.finish(&name, true);
    }
    let plan = w.plan();
    assert_eq!(plan.effects.len(), AT_ONCE + 1);
    w.apply(plan);
    assert_eq!(w.numbers().1, AT_ONCE as i32);
    w.settle();
    assert_eq!((w.numbers(), w.pods.len()), ((0, 1200, 0), 1200));
}

#[test]
fn what_pods_used_is_summed_once_however_often_a_decision_is_made_anew() {
    let mut w = World::new(spec(Some(1200), 1200, 6));
    meta::set_annotation(&mut w.job.metadata, well_known::ANNOTATION_USAGE, r#"{"pods":7,"fuel":7}"#);
    w.tell_job();
    w.settle();
    assert_eq!(w.used(), (0, 0), "that of a Job from which this one was copied is not its own");
    let active = w.active();
    w.interrupt(&active[0]);
    for (i, name) in active.iter().enumerate().skip(1) {
        w.finish(name, i % 400 > 0);
    }
    // A refused decision leaves nothing.
    let (first, again) = (w.plan(), w.plan());
    assert_eq!(first, again);
    w.apply(again);
    assert_eq!(w.used().0 as usize, AT_ONCE - 1, "the one that was interrupted says nothing");
    w.settle();
    assert_eq!(w.used(), (1199, 1199));
}
