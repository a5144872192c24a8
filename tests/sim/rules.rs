//! What must hold of a Job after every step. The rules are written anew from what Kubernetes says of Jobs, and share no
//! code with the controller.
//!
//! - A pod is counted in the commit that takes its tracking finalizer, while its Job is neither over nor being deleted:
//!   once, as it ended. One that somebody deleted counts as failed; one that the controller itself deletes counts only
//!   if the Job is failing; one that its node lost (`NodeRestarted`) does not count.
//! - Whenever the controller has written a Job that goes on, its active pods are at most `parallelism`, at most what is
//!   missing, and as many as `status.active` says. Between a user's lowering of `parallelism` and that write there may be
//!   more.
//! - Pods are made only for a Job that is neither ending, over, suspended, being deleted nor past its deadline; for a
//!   work queue only until the first success; and after a failure only once its delay has passed.
//! - Conditions that tell an end stay as they are, and after the last of them so does the whole status.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use kiln::api::pod::facts;
use kiln::api::{meta, well_known};

use crate::books::{By, Done, JOB_CONTROLLER, JobBook, Release};
use crate::indexed::{self, Verdict};

const COMPLETE: &str = "Complete";
const FAILED: &str = "Failed";
const SUCCESS_CRITERIA_MET: &str = "SuccessCriteriaMet";
const FAILURE_TARGET: &str = "FailureTarget";

fn name(job: &Job) -> &str {
    job.metadata.name.as_deref().unwrap_or_default()
}

fn spec(job: &Job) -> JobSpec {
    job.spec.clone().unwrap_or_default()
}

fn status(job: &Job) -> JobStatus {
    job.status.clone().unwrap_or_default()
}

fn condition<'a>(job: &'a Job, type_: &str) -> Option<&'a JobCondition> {
    job.status.iter().flat_map(|s| s.conditions.iter().flatten()).find(|c| c.type_ == type_ && c.status == "True")
}

fn is(job: &Job, type_: &str) -> bool {
    condition(job, type_).is_some()
}

pub fn is_finished(job: &Job) -> bool {
    is(job, COMPLETE) || is(job, FAILED)
}

fn is_ending(job: &Job) -> bool {
    is_finished(job) || is(job, SUCCESS_CRITERIA_MET) || is(job, FAILURE_TARGET)
}

fn deadline(job: &Job) -> Option<Timestamp> {
    let seconds = spec(job).active_deadline_seconds?;
    let start = status(job).start_time?.0;
    Some(meta::add_seconds(start, seconds))
}

/// Books what a step did to a Job, and compares.
pub fn check(book: &mut JobBook, done: &Done, by: By, now: Timestamp) {
    let job = book.job.clone();
    let decided = by.is(JOB_CONTROLLER);
    let lives = done.before.as_ref().is_some_and(|job| !is_finished(job) && !meta::is_deleting(&job.metadata));
    if lives && decided {
        for release in &done.released {
            count(book, &job, release);
        }
    }
    if let Some(before) = &done.before
        && done.is_written
    {
        match runs_again(before, &job) {
            true => begin_again(book, before, &job, by, now),
            false => check_history(before, &job, by),
        }
    }
    if done.is_written {
        check_conditions(book, &job);
    }
    for pod in &done.created {
        assert!(lives, "Job {} made a pod while it was over, deleted or not there", name(&job));
        check_creation(book, &job, pod, now);
    }
    // The user who came in between may have been the only one to write it.
    let only_by_user = matches!(by, By::Several(_)) && done.before.as_ref().is_some_and(|b| b.status == job.status);
    if lives && decided && (done.is_written && !only_by_user || !done.released.is_empty()) {
        check_counters(book, &job);
    }
    if lives && decided && done.is_written && !only_by_user {
        check_active(book, &job, by);
        if let Some(before) = &done.before {
            check_reason(book, before, &job, now);
        }
    }
}

/// Whether the write begins another attempt.
fn runs_again(before: &Job, job: &Job) -> bool {
    is_finished(before) && !is_finished(job)
}

fn begin_again(book: &mut JobBook, before: &Job, job: &Job, by: By, now: Timestamp) {
    let name = name(job);
    let annotation = |job: &Job, name| meta::annotation(&job.metadata, name).map(str::to_owned);
    let asked = annotation(before, well_known::ANNOTATION_RERUN).expect("somebody asked for it");
    assert!(by.is(JOB_CONTROLLER), "Job {name} was begun again by {by:?}");
    assert_ne!(annotation(before, well_known::ANNOTATION_RERUN_SEEN).as_ref(), Some(&asked), "Job {name}: done before");
    assert_eq!(annotation(job, well_known::ANNOTATION_RERUN_SEEN), Some(asked.clone()), "Job {name}");
    assert_eq!(book.active().count(), 0, "Job {name} is begun again, and has active pods");
    let attempts = |job: &Job| annotation(job, well_known::ANNOTATION_ATTEMPTS).unwrap_or_default();
    let kept = |job: &Job| attempts(job).matches("rerunTime").count();
    assert_eq!(kept(job), kept(before) + 1, "Job {name}: records of earlier attempts");
    if !asked.starts_with("rerun-failed") || !indexed::is_indexed(job) {
        (book.succeeded, book.completed_indexes) = (0, Default::default());
    }
    (book.failed, book.failures_of_index, book.began) = (0, Default::default(), Some(now));
    assert!(status(job).conditions.is_none() && status(job).completion_time.is_none(), "Job {name} begins with an end");
}

fn count(book: &mut JobBook, job: &Job, release: &Release) {
    let pod = &release.after;
    if meta::annotation(&pod.metadata, well_known::ANNOTATION_USAGE).is_some() && facts::is_finished(pod) {
        book.used += 1;
    }
    let failing = is(job, FAILURE_TARGET);
    let waits_for_end = spec(job).pod_replacement_policy.as_deref() == Some("Failed");
    let fails = if facts::has_succeeded(pod) {
        if indexed::is_indexed(job) {
            book.completed_indexes.extend(indexed::valid_index(job, pod));
        } else {
            book.succeeded += 1;
        }
        false
    } else if facts::is_finished(pod) {
        match indexed::verdict(job, pod) {
            Some(Verdict::Ignore) => false,
            Some(_) => true,
            None => !facts::is_disrupted(pod),
        }
    } else if meta::is_deleting(&release.before.metadata) && (!waits_for_end || facts::node(pod).is_none()) {
        // A pod that no node has will never end by itself.
        true
    } else {
        failing
    };
    if fails && (!indexed::is_indexed(job) || indexed::valid_index(job, pod).is_some()) {
        book.failed += 1;
        indexed::book_failure(book, job, pod);
    }
}

fn check_counters(book: &mut JobBook, job: &Job) {
    if indexed::is_indexed(job) {
        indexed::check_indexes(book, job);
    }
    let told = (status(job).succeeded.unwrap_or(0), status(job).failed.unwrap_or(0));
    let booked = (book.succeeded, book.failed);
    assert_eq!(told, booked, "Job {}: succeeded and failed as it says and as they were counted", name(job));
    let text = meta::annotation(&job.metadata, well_known::ANNOTATION_USAGE).unwrap_or("{}");
    let used: serde_json::Value = serde_json::from_str(text).expect("the sum of what was used is JSON");
    assert_eq!(used["pods"].as_i64().unwrap_or(0), book.used, "Job {}: pods whose use is summed", name(job));
}

/// What may never change again.
fn check_history(before: &Job, job: &Job, by: By) {
    let name = name(job);
    if is_finished(before) || !by.is(JOB_CONTROLLER) {
        assert_eq!(before.status, job.status, "the status of Job {name} was changed by {by:?} after its end");
    }
    for end in [SUCCESS_CRITERIA_MET, FAILURE_TARGET, COMPLETE, FAILED] {
        if let Some(earlier) = condition(before, end) {
            assert_eq!(condition(job, end), Some(earlier), "Job {name}: {end} changed");
        }
    }
    // One that shrinks forgets indexes; which it has is compared one by one.
    let shrinks = indexed::is_indexed(job);
    let (was, now) = (status(before), status(job));
    assert!(shrinks || now.succeeded >= was.succeeded, "Job {name}: fewer have succeeded");
    assert!(now.failed >= was.failed, "Job {name}: fewer have failed");
    let suspended = spec(before).suspend == Some(true) || spec(job).suspend == Some(true) || is(before, "Suspended");
    if was.start_time.is_some() && !suspended {
        assert_eq!(was.start_time, now.start_time, "Job {name} started twice");
    }
}

fn check_conditions(book: &JobBook, job: &Job) {
    let name = name(job);
    assert!(!(is(job, SUCCESS_CRITERIA_MET) && is(job, FAILURE_TARGET)), "Job {name} succeeds and fails");
    for (interim, terminal) in [(SUCCESS_CRITERIA_MET, COMPLETE), (FAILURE_TARGET, FAILED)] {
        let Some(end) = condition(job, terminal) else { continue };
        let announced = condition(job, interim).expect("an end is announced");
        assert_eq!((&end.reason, &end.message), (&announced.reason, &announced.message), "Job {name}");
    }
    let mut types: Vec<&str> =
        job.status.iter().flat_map(|s| s.conditions.iter().flatten()).map(|c| &*c.type_).collect();
    types.sort_unstable();
    types.windows(2).for_each(|two| assert_ne!(two[0], two[1], "Job {name} has a condition twice"));
    let asks = meta::annotation(&job.metadata, well_known::ANNOTATION_FINISHED_CONDITION) == Some("true");
    assert_eq!(is(job, "Finished"), asks && is_finished(job), "Job {name}: Finished");
    let status = status(job);
    assert_eq!(status.completion_time.is_some(), is(job, COMPLETE), "Job {name}: completionTime");
    if is_finished(job) {
        let left = [status.active, status.ready, status.terminating].map(|n| n.unwrap_or(0));
        assert_eq!(left, [0; 3], "Job {name} is over: active, ready, terminating");
        let pods = book.active().chain(book.terminating()).count();
        assert!(pods == 0 || meta::is_deleting(&job.metadata), "Job {name} is over, and {pods} pods are not");
    }
}

fn check_active(book: &JobBook, job: &Job, by: By) {
    let (name, spec, status) = (name(job), spec(job), status(job));
    let active = i32::try_from(book.active().count()).unwrap_or(i32::MAX);
    let told = status.active.unwrap_or(0);
    // A name that somebody took leaves one pod less than was decided, until the next look.
    let taken = by != By::Controller(JOB_CONTROLLER) && told > active;
    assert!(told == active || taken, "Job {name} says that {told} pods are active, of {active}");
    assert!(status.ready.unwrap_or(0) <= told, "Job {name}: more pods are ready than active");
    if is_ending(job) || meta::is_deleting(&job.metadata) {
        return;
    }
    let parallelism = spec.parallelism.unwrap_or(1);
    let most = match spec.completions {
        _ if spec.suspend == Some(true) => 0,
        Some(completions) => parallelism.min((completions - book.succeeded).max(0)),
        None => parallelism,
    };
    assert!(active <= most, "Job {name} has {active} active pods, and may have {most}");
    if indexed::is_indexed(job) {
        indexed::check_active(book, job);
    }
}

fn check_creation(book: &JobBook, job: &Job, pod: &Arc<Pod>, now: Timestamp) {
    let (name, spec) = (name(job), spec(job));
    assert!(!is_ending(job), "Job {name} made a pod, and ends");
    assert!(spec.suspend != Some(true), "Job {name} made a pod, and is suspended");
    assert!(deadline(job).is_none_or(|at| now < meta::add_seconds(at, 1)), "Job {name} made a pod after its deadline");
    assert!(spec.completions.is_some() || book.succeeded == 0, "Job {name}, a work queue, made a pod after a success");
    if spec.pod_replacement_policy.as_deref() == Some("Failed") {
        // One that is being deleted and that no node has is as good as gone.
        let ending = book.terminating().filter(|p| facts::node(p).is_some());
        let all = book.active().chain(ending).count() as i32;
        let most = spec.parallelism.unwrap_or(1);
        assert!(all <= most, "Job {name}: {all} pods run or end, and there may be {most}");
    }
    let index = indexed::index_of(pod);
    if indexed::is_indexed(job) {
        indexed::check_creation(book, job, pod);
    }
    let per_index = spec.backoff_limit_per_index.is_some();
    let concerns = |failed: &Pod| !per_index || indexed::index_of(failed) == index;
    let due = earliest(book, concerns);
    assert!(due.is_none_or(|at| at <= now), "Job {name} made a pod at {now}, before {due:?}");
}

/// No pod may be created before. A bound from below: of failures that only those remember who saw them, nothing is known;
/// and times are cut to the second, so that the order within one is open.
fn earliest(book: &JobBook, concerns: impl Fn(&Pod) -> bool) -> Option<Timestamp> {
    // One that was deleted may have been let go before it ended, and then its end was nobody's failure.
    let failed = |p: &&Arc<Pod>| {
        let counts = !facts::is_disrupted(p) && !meta::is_deleting(&p.metadata);
        // Nor do failures of an earlier attempt.
        let is_recent = book.began.is_none_or(|began| facts::finished_at(p) >= began);
        facts::phase(p) == "Failed" && counts && is_recent && concerns(p)
    };
    let ends = book.pods.values().filter(failed).map(|p| facts::finished_at(p));
    let after: Vec<Timestamp> = ends.filter(|at| book.last_success.is_none_or(|success| *at > success)).collect();
    let last = after.iter().max()?;
    let delay = match meta::annotation(&book.job.metadata, well_known::ANNOTATION_BACKOFF) {
        None => (0..after.len() - 1).fold(10, |seconds: i64, _| (seconds * 2).min(600)),
        Some("base=1s,cap=3s") => [1, 2, 3].get(after.len() - 1).copied().unwrap_or(3),
        Some("base=2s,factor=1") => 2,
        Some(_) => 0,
    };
    Some(meta::add_seconds(*last, delay))
}

/// Why a Job has begun to end.
fn check_reason(book: &JobBook, before: &Job, job: &Job, now: Timestamp) {
    let new = |type_| condition(job, type_).filter(|_| !is(before, type_));
    let (name, spec) = (name(job), spec(job));
    let Some(end) = new(SUCCESS_CRITERIA_MET).or(new(FAILURE_TARGET)) else { return };
    let reason = end.reason.as_deref().unwrap_or_default();
    match reason {
        "CompletionsReached" => match spec.completions {
            Some(wanted) => assert!(book.succeeded >= wanted, "Job {name}: {} of {wanted}", book.succeeded),
            None => assert!(book.succeeded > 0 && book.active().next().is_none(), "Job {name}, a work queue"),
        },
        "BackoffLimitExceeded" => {
            let limit = spec.backoff_limit.unwrap_or(6);
            let restarts: i64 = book.active().map(|p| facts::restarts(p)).sum();
            let restarted = restarts > 0 && restarts >= i64::from(limit);
            assert!(book.failed > limit || restarted, "Job {name}: {} failures, {restarts} restarts", book.failed);
        }
        "DeadlineExceeded" => {
            assert!(deadline(job).is_some_and(|at| at <= now), "Job {name} ended at {now}, before its deadline");
        }
        "FateUnknown" => {
            let asked = meta::annotation(&job.metadata, well_known::ANNOTATION_AT_MOST_ONCE) == Some("true");
            assert!(asked, "Job {name} may do its work again");
        }
        "PodFailurePolicy" | "SuccessPolicy" | "MaxFailedIndexesExceeded" | "FailedIndexes" => {
            indexed::check_reason(book, job, reason);
        }
        other => panic!("Job {name} ends for a reason that nobody knows: {other}"),
    }
}

/// A Job that is not over has a reason to wait.
pub fn at_rest(book: &JobBook, now: Timestamp) {
    let (job, spec) = (&book.job, spec(&book.job));
    if is_finished(job) {
        return;
    }
    let (name, suspended) = (name(job), spec.suspend == Some(true));
    assert!(suspended || spec.parallelism == Some(0), "Job {name} never ends: {:?}", job.status);
    assert!(!is_ending(job), "Job {name} is about to end for ever");
    assert!(book.active().next().is_none(), "Job {name} waits, and has active pods");
    let late = !suspended && deadline(job).is_some_and(|at| meta::add_seconds(at, 1) <= now);
    assert!(!late, "Job {name} waits beyond its deadline");
}
