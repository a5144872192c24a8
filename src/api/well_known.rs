//! Labels, annotations, finalizers, reasons and messages that more than one module uses. Kubernetes' own unless they
//! begin with `kiln.dev/`.

/// Set on pods by the Job controller (`controller-uid` and `job-name` are the names from before 1.27, still written).
pub const LABEL_CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";
pub const LABEL_CONTROLLER_UID_OLD: &str = "controller-uid";
pub const LABEL_JOB_NAME: &str = "batch.kubernetes.io/job-name";
pub const LABEL_JOB_NAME_OLD: &str = "job-name";

/// On a pod of an Indexed Job, as a label and an annotation: its index.
pub const ANNOTATION_COMPLETION_INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// On a pod of a Job with `backoffLimitPerIndex`: how often pods of its index failed before it.
pub const ANNOTATION_INDEX_FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
/// Likewise those failures that a rule of `podFailurePolicy` ignored; absent if there is none.
pub const ANNOTATION_INDEX_IGNORED_FAILURES: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// On every namespace: its name.
pub const LABEL_NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// On a Job of a CronJob: the time that it was made for (RFC 3339, in the zone of the CronJob).
pub const ANNOTATION_SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// Keeps a pod until its end has been counted in its Job.
pub const FINALIZER_JOB_TRACKING: &str = "batch.kubernetes.io/job-tracking";
pub const FINALIZER_ORPHAN: &str = "orphan";
pub const FINALIZER_FOREGROUND: &str = "foregroundDeletion";

pub const COND_COMPLETE: &str = "Complete";
pub const COND_FAILED: &str = "Failed";
/// kiln's own: True once a Job is Complete or Failed, if it asks for that.
pub const COND_FINISHED: &str = "Finished";
pub const COND_SUSPENDED: &str = "Suspended";
pub const COND_SUCCESS_CRITERIA_MET: &str = "SuccessCriteriaMet";
pub const COND_FAILURE_TARGET: &str = "FailureTarget";
pub const COND_DISRUPTION_TARGET: &str = "DisruptionTarget";

pub const PHASE_PENDING: &str = "Pending";
pub const PHASE_RUNNING: &str = "Running";
pub const PHASE_SUCCEEDED: &str = "Succeeded";
pub const PHASE_FAILED: &str = "Failed";

/// On a pod: the instant (RFC 3339, microseconds) at which the node must stop it, because its Job's
/// `activeDeadlineSeconds` ends then.
pub const ANNOTATION_DEADLINE: &str = "kiln.dev/deadline";
/// On a Job: `"true"` gives it the condition [`COND_FINISHED`] at either end.
pub const ANNOTATION_FINISHED_CONDITION: &str = "kiln.dev/finished-condition";
/// On a Job: the delays between failures, as `base=1s,factor=2,cap=1m`.
pub const ANNOTATION_BACKOFF: &str = "kiln.dev/backoff";
/// On a Job and its pods: `"true"` keeps work whose fate is unknown after a crash from being done again.
pub const ANNOTATION_AT_MOST_ONCE: &str = "kiln.dev/at-most-once";
/// On a Job: a new value runs it again once it is finished.
pub const ANNOTATION_RERUN: &str = "kiln.dev/rerun";
/// On a Job: the value of [`ANNOTATION_RERUN`] that was last acted on.
pub const ANNOTATION_RERUN_SEEN: &str = "kiln.dev/rerun-seen";
/// On a Job that ran again: how its earlier attempts ended, as JSON.
pub const ANNOTATION_ATTEMPTS: &str = "kiln.dev/attempts";
/// On a Job with `activeDeadlineSeconds`: `status.startTime` with microseconds, which `startTime` itself cannot hold.
pub const ANNOTATION_START_TIME: &str = "kiln.dev/start-time";
/// On a Job: whole seconds after which it is deleted once it has failed, or succeeded. Each stands for
/// `spec.ttlSecondsAfterFinished` where the Job ended in its way.
pub const ANNOTATION_TTL_FAILED: &str = "kiln.dev/ttl-seconds-after-failed";
pub const ANNOTATION_TTL_SUCCEEDED: &str = "kiln.dev/ttl-seconds-after-succeeded";
/// On a pod: what its containers used, as JSON.
pub const ANNOTATION_USAGE: &str = "kiln.dev/usage";
/// A resource name: units of fuel (about one WebAssembly instruction each) that a container may burn.
pub const RESOURCE_FUEL: &str = "kiln.dev/fuel";
/// Reason of the DisruptionTarget condition of a pod that was running when its node's process ended.
pub const REASON_NODE_RESTARTED: &str = "NodeRestarted";
/// On a pod: why it must be stopped now (a reason of its Job's failure). The node ends it as Failed with this reason,
/// so that it stays with its log, where Kubernetes would delete it.
pub const ANNOTATION_STOP: &str = "kiln.dev/stop";
/// On a pod: `outbound` opens the network, to the addresses that the node allows.
pub const ANNOTATION_NETWORK: &str = "kiln.dev/network";
/// Its only value.
pub const NETWORK_OUTBOUND: &str = "outbound";
/// On a pod: `wait` lets its guests run on to the end of the grace period when it is deleted.
pub const ANNOTATION_ON_DELETE: &str = "kiln.dev/on-delete";
/// Its only value.
pub const ON_DELETE_WAIT: &str = "wait";
