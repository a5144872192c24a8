//! How a control loop runs: what it watches, a queue of keys with due times, the effects it decides on, the events it
//! reports. Nothing here knows a kind.

mod correlator;
pub mod effect;
pub mod queue;
mod recent;
pub mod recorder;
pub mod runner;
pub mod vitals;

pub use effect::{Effect, Note, NoteType, Plan};
pub use queue::Queue;
pub use recorder::Recorder;
pub use runner::{Controller, Seen};
pub use vitals::{LoopMetrics, Vitals};
