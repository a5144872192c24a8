//! The metrics of the parts, whose number is fixed, and those of single objects, of which there may be a hundred thousand
//! lines: whoever wants the first every second need not have the others made.

use std::fmt;

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

#[derive(Debug, Default)]
pub struct MetricRegistries {
    pub parts: Registry,
    pub objects: Registry,
}

impl From<Registry> for MetricRegistries {
    fn from(parts: Registry) -> MetricRegistries {
        MetricRegistries { parts, objects: Registry::default() }
    }
}

impl MetricRegistries {
    /// As OpenMetrics if `open`, else as the older text.
    pub fn text(&self, open: bool, with_objects: bool) -> Result<String, fmt::Error> {
        let mut out = String::new();
        let wanted = [Some(&self.parts), Some(&self.objects).filter(|_| with_objects)];
        for registry in wanted.into_iter().flatten() {
            if open {
                text::encode_registry(&mut out, registry)?;
            } else {
                prometheus_text::encode(&mut out, registry)?;
            }
        }
        if open {
            text::encode_eof(&mut out)?;
        }
        Ok(out)
    }
}
