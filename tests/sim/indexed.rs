//! The rules of Indexed Jobs and of the policies: one success per index, none tried again that is done with, and what a
//! failure counts for.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::{Job, PodFailurePolicyRule};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kiln::api::meta;
use kiln::api::pod::facts;

use crate::books::JobBook;

const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// More than any limit: the index is not tried again.
const NEVER_AGAIN: i32 = 1_000_000;

pub fn is_indexed(job: &Job) -> bool {
    job.spec.as_ref().and_then(|s| s.completion_mode.as_deref()) == Some("Indexed")
}

fn completions(job: &Job) -> i32 {
    job.spec.as_ref().and_then(|s| s.completions).unwrap_or(0)
}

fn limit(job: &Job) -> Option<i32> {
    job.spec.as_ref().and_then(|s| s.backoff_limit_per_index)
}

fn name(job: &Job) -> &str {
    job.metadata.name.as_deref().unwrap_or_default()
}

pub fn index_of(pod: &Pod) -> Option<i32> {
    meta::annotation(&pod.metadata, INDEX)?.parse().ok()
}

/// The index of the pod, if it is one of the Job's.
pub fn valid_index(job: &Job, pod: &Pod) -> Option<i32> {
    index_of(pod).filter(|index| (0..completions(job)).contains(index))
}

/// What a policy says of a pod that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    FailJob,
    FailIndex,
    Ignore,
    Count,
}

/// The first rule that matches.
pub fn verdict(job: &Job, pod: &Pod) -> Option<Verdict> {
    let policy = job.spec.as_ref()?.pod_failure_policy.as_ref()?;
    let rule = policy.rules.iter().find(|rule| matches(rule, pod))?;
    Some(match rule.action.as_str() {
        "FailJob" => Verdict::FailJob,
        "FailIndex" => Verdict::FailIndex,
        "Ignore" => Verdict::Ignore,
        _ => Verdict::Count,
    })
}

fn matches(rule: &PodFailurePolicyRule, pod: &Pod) -> bool {
    if let Some(codes) = &rule.on_exit_codes {
        let code = |c: &ContainerStatus| Some(c.state.as_ref()?.terminated.as_ref()?.exit_code);
        let named = |c: &&ContainerStatus| codes.container_name.as_ref().is_none_or(|name| *name == c.name);
        let mut ended = facts::container_statuses(pod).filter(named).filter_map(code).filter(|code| *code != 0);
        return ended.any(|code| codes.values.contains(&code) == (codes.operator == "In"));
    }
    let mut patterns = rule.on_pod_conditions.iter().flatten();
    patterns.any(|p| facts::condition(pod, &p.type_).is_some_and(|c| p.status.as_ref().is_none_or(|s| *s == c.status)))
}

pub fn book_failure(book: &mut JobBook, job: &Job, pod: &Pod) {
    let Some(index) = valid_index(job, pod) else { return };
    let failures = book.failures_of_index.entry(index).or_default();
    *failures += 1;
    let verdict = verdict(job, pod);
    if verdict == Some(Verdict::FailIndex) || verdict.is_none() && facts::is_fate_unknown(pod) {
        *failures = NEVER_AGAIN;
    }
}

/// The indexes that a text like `0,2-5` names. It must be as the controller writes it: in order, shortest.
fn parse(text: &str) -> BTreeSet<i32> {
    let mut indexes = BTreeSet::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let number = |text: &str| text.parse::<i32>().unwrap_or_else(|_| panic!("{text:?} is no index"));
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first), number(last)),
            None => (number(part), number(part)),
        };
        indexes.extend(first..=last);
    }
    assert_eq!(text, format(&indexes), "indexes are written in their shortest form");
    indexes
}

fn format(indexes: &BTreeSet<i32>) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut left = indexes.iter().copied().peekable();
    while let Some(first) = left.next() {
        let mut last = first;
        while left.next_if_eq(&(last + 1)).is_some() {
            last += 1;
        }
        parts.push(match last - first {
            0 => first.to_string(),
            1 => format!("{first},{last}"),
            _ => format!("{first}-{last}"),
        });
    }
    parts.join(",")
}

fn failed(job: &Job) -> BTreeSet<i32> {
    parse(job.status.as_ref().and_then(|s| s.failed_indexes.as_deref()).unwrap_or_default())
}

pub fn check_indexes(book: &mut JobBook, job: &Job) {
    let size = completions(job);
    // What a Job that shrank no longer has, it has to do again if it grows.
    book.completed_indexes.retain(|index| *index < size);
    book.failures_of_index.retain(|index, _| *index < size);
    book.succeeded = book.completed_indexes.len() as i32;
    let told = parse(job.status.as_ref().and_then(|s| s.completed_indexes.as_deref()).unwrap_or_default());
    assert_eq!(told, book.completed_indexes, "Job {}: completed indexes", name(job));
    let failed = failed(job);
    assert!(failed.is_disjoint(&told), "Job {}: indexes that have failed and succeeded", name(job));
    let Some(limit) = limit(job) else {
        assert!(failed.is_empty(), "Job {} has no limit per index, and failed indexes", name(job));
        return;
    };
    for index in failed {
        let failures = book.failures_of_index.get(&index).copied().unwrap_or(0);
        assert!(failures > limit, "Job {}: index {index} failed after {failures} failures", name(job));
    }
}

pub fn check_active(book: &JobBook, job: &Job) {
    let mut seen = BTreeSet::new();
    for pod in book.active() {
        let index = valid_index(job, pod).unwrap_or_else(|| panic!("Job {}: a pod of no index", name(job)));
        assert!(seen.insert(index), "Job {}: index {index} runs twice", name(job));
        assert!(!book.completed_indexes.contains(&index), "Job {}: index {index} runs after its success", name(job));
    }
}

pub fn check_creation(book: &JobBook, job: &Job, pod: &Arc<Pod>) {
    let index = valid_index(job, pod).unwrap_or_else(|| panic!("Job {} made a pod of no index", name(job)));
    let (succeeded, failed) = (book.completed_indexes.contains(&index), failed(job).contains(&index));
    assert!(!succeeded && !failed, "Job {} made a pod for index {index}, which is done with", name(job));
    let replaces_ended = job.spec.as_ref().and_then(|s| s.pod_replacement_policy.as_deref()) == Some("Failed");
    if replaces_ended {
        let ending = book.terminating().any(|p| index_of(p) == Some(index));
        assert!(!ending, "Job {} made a pod for index {index}, whose last still ends", name(job));
    }
    let hostname = pod.spec.as_ref().and_then(|s| s.hostname.clone());
    assert_eq!(hostname, Some(format!("{}-{index}", name(job))), "the name that a pod of an index knows itself by");
}

pub fn check_reason(book: &JobBook, job: &Job, reason: &str) {
    let spec = job.spec.clone().unwrap_or_default();
    let (done, failed) = (book.completed_indexes.len() as i32, failed(job).len() as i32);
    let holds = match reason {
        "PodFailurePolicy" => spec.pod_failure_policy.is_some(),
        "SuccessPolicy" => spec.success_policy.is_some() && done > 0,
        "MaxFailedIndexesExceeded" => spec.max_failed_indexes.is_some_and(|most| failed > most),
        "FailedIndexes" => failed > 0 && failed + done >= completions(job),
        _ => true,
    };
    assert!(holds, "Job {} ends for {reason}: {done} indexes done, {failed} failed", name(job));
}
