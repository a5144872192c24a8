//! Gauges that are made of objects while somebody reads them.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, GaugeValueEncoder};
use prometheus_client::metrics::MetricType;

/// A number, written without a point if it has no fraction.
struct Number(f64);

impl EncodeGaugeValue for Number {
    fn encode(&self, encoder: &mut GaugeValueEncoder<'_>) -> fmt::Result {
        // Exact up to 2^53.
        if self.0.fract() == 0.0 && self.0.abs() < 9e15 {
            (self.0 as i64).encode(encoder)
        } else {
            self.0.encode(encoder)
        }
    }
}

/// Takes the rows of an object: labels beside those that tell which object it is, and the value.
pub type Rows<'a> = dyn FnMut(&[(&str, &str)], f64) + 'a;

/// A metric of each object of one kind.
pub struct Gauges<T: 'static> {
    pub name: &'static str,
    pub help: &'static str,
    /// Tells the rows of an object.
    pub rows: fn(&T, &mut Rows<'_>),
}

/// Writes a metric for all `objects`, each with the labels that `identity` gives it.
pub fn write<T>(
    encoder: &mut DescriptorEncoder<'_>,
    gauges: &Gauges<T>,
    objects: &[T],
    identity: fn(&T) -> Vec<(&'static str, &str)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(gauges.name, gauges.help, None, MetricType::Gauge)?;
    let mut written = Ok(());
    for object in objects {
        let own = identity(object);
        (gauges.rows)(object, &mut |labels, value| {
            let all: Vec<(&str, &str)> = own.iter().chain(labels).copied().collect();
            if written.is_ok() {
                written = metric.encode_family(&all).and_then(|mut row| row.encode_gauge(&Number(value)));
            }
        });
    }
    written
}

/// Whether a condition is so, in the three values that it can have.
pub fn statuses(status: &str, row: &mut dyn FnMut(&'static str, f64)) {
    for (word, label) in [("True", "true"), ("False", "false"), ("Unknown", "unknown")] {
        row(label, f64::from(u8::from(status == word)));
    }
}
