//! How far each Job is, on stderr: a bar on a terminal, a line per change elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use k8s_openapi::api::batch::v1::Job;

use crate::api::{Key, well_known};

pub struct Progress {
    bars: Option<MultiProgress>,
    jobs: HashMap<Key, Shown>,
}

struct Shown {
    bar: Option<ProgressBar>,
    numbers: (i32, i32),
    ended: bool,
}

/// How a Job has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Complete,
    /// Reason and message.
    Failed(String, String),
}

/// The terminal condition of a Job, if it has one.
pub fn end(job: &Job) -> Option<End> {
    let conditions = job.status.as_ref()?.conditions.iter().flatten();
    conditions.filter(|c| c.status == "True").find_map(|c| match c.type_.as_str() {
        well_known::COND_COMPLETE => Some(End::Complete),
        well_known::COND_FAILED => {
            Some(End::Failed(c.reason.clone().unwrap_or_default(), c.message.clone().unwrap_or_default()))
        }
        _ => None,
    })
}

impl Progress {
    pub fn new() -> Progress {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Progress { bars, jobs: HashMap::new() }
    }

    /// Runs `write` with the bars out of the way.
    pub fn bars(&self) -> Option<MultiProgress> {
        self.bars.clone()
    }

    /// Shows the present state of a Job, if it differs from what was shown.
    pub fn show(&mut self, key: &Key, job: &Job) {
        let status = job.status.clone().unwrap_or_default();
        let numbers = (status.succeeded.unwrap_or(0), status.failed.unwrap_or(0));
        let wanted = job.spec.as_ref().and_then(|s| s.completions);
        let of = wanted.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let bars = &self.bars;
        let shown = self.jobs.entry(key.clone()).or_insert_with(|| Shown {
            bar: bars.as_ref().map(|bars| bars.add(bar(key, wanted))),
            numbers: (0, 0),
            ended: false,
        });
        let end = end(job);
        let worth_a_line = shown.bar.is_some() || worth_a_line(shown.numbers, numbers, wanted);
        if shown.ended || (end.is_none() && !worth_a_line) {
            return;
        }
        shown.numbers = numbers;
        let (succeeded, failed) = numbers;
        let tally = match failed {
            0 => format!("{succeeded}/{of} succeeded"),
            failed => format!("{succeeded}/{of} succeeded, {failed} failed"),
        };
        if let Some(bar) = &shown.bar {
            bar.set_position(u64::try_from(succeeded).unwrap_or(0));
            bar.set_message(tally.clone());
        }
        shown.ended = end.is_some();
        let line = match end {
            None if shown.bar.is_some() => return,
            None => format!("job {key}: {tally}"),
            Some(End::Complete) => format!("job {key}: Complete, {tally}"),
            Some(End::Failed(reason, message)) => format!("job {key}: Failed, {tally}: {reason}: {message}"),
        };
        match &shown.bar {
            Some(bar) => {
                bar.println(line);
                bar.finish_and_clear();
            }
            None => eprintln!("{line}"),
        }
    }
}

impl Default for Progress {
    fn default() -> Progress {
        Progress::new()
    }
}

/// Without a terminal each failure is a line, and each success of a small Job; of a large one each hundredth part.
fn worth_a_line(shown: (i32, i32), now: (i32, i32), wanted: Option<i32>) -> bool {
    let step = wanted.unwrap_or(0) / 100;
    now.1 != shown.1 || now.0 > shown.0 && now.0 - shown.0 >= step
}

fn bar(key: &Key, wanted: Option<i32>) -> ProgressBar {
    let template = "{prefix} [{bar:30}] {msg} {elapsed}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let length = wanted.and_then(|n| u64::try_from(n).ok());
    // Everything by `with_`: a bar that is set before it has its place among the others draws itself where it is.
    length.map_or_else(ProgressBar::no_length, ProgressBar::new).with_style(style).with_prefix(key.to_string())
}
