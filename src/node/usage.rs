//! What the containers of a pod used, as its annotation `kiln.dev/usage` tells.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::api::meta;
use crate::sandbox;

/// What all runs of one container used together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    fuel: u64,
    /// The most of any run.
    peak_memory_bytes: u64,
    cpu_micros: u64,
    wall_micros: u64,
}

impl Used {
    pub fn add_run(&mut self, usage: &sandbox::Usage) {
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        self.add(&Used {
            fuel: usage.fuel,
            peak_memory_bytes: usage.peak_memory_bytes,
            cpu_micros: micros(usage.cpu),
            wall_micros: micros(usage.wall),
        });
    }

    fn add(&mut self, other: &Used) {
        self.fuel = self.fuel.saturating_add(other.fuel);
        self.peak_memory_bytes = self.peak_memory_bytes.max(other.peak_memory_bytes);
        self.cpu_micros = self.cpu_micros.saturating_add(other.cpu_micros);
        self.wall_micros = self.wall_micros.saturating_add(other.wall_micros);
    }

    fn fields(&self) -> Map<String, Value> {
        let fields = [
            ("fuel", self.fuel),
            ("peakMemoryBytes", self.peak_memory_bytes),
            ("cpuMicros", self.cpu_micros),
            ("wallMicros", self.wall_micros),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
    }
}

/// The annotation: sums over the containers (of memory: the most of any), and each by its name if there are several.
pub fn annotation(containers: &[(&str, Used)], finished: Timestamp) -> String {
    let mut all = Used::default();
    containers.iter().for_each(|(_, used)| all.add(used));
    let mut fields = all.fields();
    fields.insert("finished".to_owned(), json!(meta::format_micros(finished)));
    if containers.len() > 1 {
        let each: Map<String, Value> =
            containers.iter().map(|(name, used)| ((*name).to_owned(), used.fields().into())).collect();
        fields.insert("containers".to_owned(), each.into());
    }
    Value::from(fields).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_shows_sums_and_its_containers_if_there_are_several() {
        let used = |fuel, peak_memory_bytes| Used { fuel, peak_memory_bytes, cpu_micros: 1, wall_micros: 2 };
        let one: Value = serde_json::from_str(&annotation(&[("a", used(5, 7))], Timestamp::UNIX_EPOCH)).unwrap();
        assert_eq!(
            one,
            json!({"fuel": 5, "peakMemoryBytes": 7, "cpuMicros": 1, "wallMicros": 2, "finished": "1970-01-01T00:00:00.000000Z"})
        );
        let two = annotation(&[("a", used(5, 7)), ("b", used(u64::MAX, 3))], Timestamp::UNIX_EPOCH);
        let two: Value = serde_json::from_str(&two).unwrap();
        assert_eq!((&two["fuel"], &two["peakMemoryBytes"]), (&json!(u64::MAX), &json!(7)));
        assert_eq!(two["containers"]["b"]["peakMemoryBytes"], 3);
    }
}
