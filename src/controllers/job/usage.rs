//! What the pods of a Job have used together: the annotation `kiln.dev/usage` of the Job.
//!
//! A pod is added in the transaction that counts its end, so each is in it once, whatever crashes and however often a
//! decision is made anew. A pod that was counted before it ended, because it was being deleted, is not in it.
//!
//! Annotations can be written by anybody: a pod's that cannot be read adds nothing, of a Job's the part that can be read
//! is gone on from, and sums stop at the largest number instead of overflowing.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::{meta, well_known};

/// As the node writes it on a pod that has ended. It says more; the rest is not summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfPod {
    fuel: u64,
    cpu_micros: u64,
    wall_micros: u64,
    peak_memory_bytes: u64,
}

/// As it stands on the Job: sums, and the largest peak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// How many pods are in it.
    pods: u64,
    fuel: u64,
    cpu_micros: u64,
    wall_micros: u64,
    peak_memory_bytes: u64,
}

impl Usage {
    /// What has been summed so far.
    pub fn of_job(job: &ObjectMeta) -> Usage {
        let text = meta::annotation(job, well_known::ANNOTATION_USAGE);
        let value: Value = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let get = |field: &str| value.get(field).and_then(Value::as_u64).unwrap_or(0);
        Usage {
            pods: get("pods"),
            fuel: get("fuel"),
            cpu_micros: get("cpuMicros"),
            wall_micros: get("wallMicros"),
            peak_memory_bytes: get("peakMemoryBytes"),
        }
    }

    /// Adds what a pod that has ended used, if it says so.
    pub fn add(&mut self, pod: &ObjectMeta) {
        let text = meta::annotation(pod, well_known::ANNOTATION_USAGE);
        let Some(of_pod) = text.and_then(|text| serde_json::from_str::<OfPod>(text).ok()) else { return };
        self.pods = self.pods.saturating_add(1);
        self.fuel = self.fuel.saturating_add(of_pod.fuel);
        self.cpu_micros = self.cpu_micros.saturating_add(of_pod.cpu_micros);
        self.wall_micros = self.wall_micros.saturating_add(of_pod.wall_micros);
        self.peak_memory_bytes = self.peak_memory_bytes.max(of_pod.peak_memory_bytes);
    }

    pub fn write(&self, job: &mut ObjectMeta) {
        let text = serde_json::to_string(self).expect("five numbers under fixed names serialise without error");
        meta::set_annotation(job, well_known::ANNOTATION_USAGE, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(annotation: &str) -> ObjectMeta {
        let mut meta = ObjectMeta::default();
        meta::set_annotation(&mut meta, well_known::ANNOTATION_USAGE, annotation);
        meta
    }

    fn numbers(u: &Usage) -> [u64; 5] {
        [u.pods, u.fuel, u.cpu_micros, u.wall_micros, u.peak_memory_bytes]
    }

    #[test]
    fn work_is_summed_and_the_largest_peak_is_kept() {
        let mut usage = Usage::default();
        usage.add(&with(r#"{"fuel":10,"peakMemoryBytes":700,"cpuMicros":3,"wallMicros":4,"finished":"x"}"#));
        usage.add(&with(r#"{"fuel":5,"peakMemoryBytes":300,"cpuMicros":1,"wallMicros":2,"containers":{"c":{}}}"#));
        let mut job = ObjectMeta::default();
        usage.write(&mut job);
        let text = meta::annotation(&job, well_known::ANNOTATION_USAGE).unwrap();
        assert_eq!(text, r#"{"pods":2,"fuel":15,"cpuMicros":4,"wallMicros":6,"peakMemoryBytes":700}"#);
        assert_eq!(Usage::of_job(&job), usage);
    }

    #[test]
    fn what_a_pod_says_wrongly_adds_nothing() {
        let mut usage = Usage::default();
        usage.add(&ObjectMeta::default());
        for wrong in [
            "",
            "7",
            "null",
            "{}",
            "[1,2,3,4",
            r#"{"fuel":-1,"peakMemoryBytes":1,"cpuMicros":1,"wallMicros":1}"#,
            r#"{"fuel":1e3,"peakMemoryBytes":1,"cpuMicros":1,"wallMicros":1}"#,
            r#"{"fuel":99999999999999999999,"peakMemoryBytes":1,"cpuMicros":1,"wallMicros":1}"#,
        ] {
            usage.add(&with(wrong));
        }
        assert_eq!(numbers(&usage), [0; 5]);
    }

    #[test]
    fn what_somebody_wrote_on_the_job_is_gone_on_from_as_far_as_it_can_be_read() {
        for (written, expected) in [
            ("no json", [1, 1, 1, 1, 1]),
            ("[]", [1, 1, 1, 1, 1]),
            (r#"{"pods":4,"fuel":"x","cpuMicros":-7,"wallMicros":2.5,"peakMemoryBytes":8}"#, [5, 1, 1, 1, 8]),
            (r#"{"pods":18446744073709551615,"fuel":18446744073709551615}"#, [u64::MAX, u64::MAX, 1, 1, 1]),
        ] {
            let mut usage = Usage::of_job(&with(written));
            usage.add(&with(r#"{"fuel":1,"peakMemoryBytes":1,"cpuMicros":1,"wallMicros":1}"#));
            assert_eq!(numbers(&usage), expected, "{written}");
        }
    }
}
