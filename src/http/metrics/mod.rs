//! `GET /metrics`: what Prometheus reads.
//!
//! Each part of kiln counts for itself, in atomics, and registers what it counts with the registry that `app` hands
//! round; here are the counts of the server itself ([`requests`]) and what is read from the objects when somebody asks
//! ([`objects`], [`pods`], [`nodes`]), by the names of kube-state-metrics.

mod gauges;
mod nodes;
mod objects;
mod pods;
mod registries;
mod requests;

pub use objects::ObjectMetrics;
pub use registries::MetricRegistries;
pub use requests::Requests;

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::prometheus_text;

use super::Api;
use super::error::Refusal;
use super::request::{Params, is_on};
use crate::api::ApiError;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A scraper waits for ten seconds.
const FOR_THE_DISK: Duration = Duration::from_secs(2);

/// `?objects=false` leaves out what is told of each Job, CronJob and Node.
pub async fn read(State(api): State<Api>, params: Params, headers: HeaderMap) -> Result<Response, Refusal> {
    // What is told must be on disk. When the disk has failed or hangs, this is the page that says so.
    tokio::select! {
        _ = api.store.durable(api.store.revision()) => {}
        () = api.clock.sleep(FOR_THE_DISK) => {}
    }
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let open = wants_open_metrics(accept);
    let server = api.server.clone();
    // Thousands of Jobs are tens of thousands of lines.
    let with_objects = params.get("objects").is_none_or(is_on);
    let written = tokio::task::spawn_blocking(move || server.registries.text(open, with_objects));
    let text = written.await.map_err(|e| ApiError::Internal(e.to_string()))?;
    let text = text.map_err(|e| ApiError::Internal(e.to_string()))?;
    let media = if open { OPEN_METRICS } else { prometheus_text::CONTENT_TYPE };
    Ok(([(header::CONTENT_TYPE, media), (header::CACHE_CONTROL, "no-store")], text).into_response())
}

/// Whether the client would rather have OpenMetrics than the older text, as Prometheus says by its `q`.
fn wants_open_metrics(accept: &str) -> bool {
    let mut best: Option<(f32, bool)> = None;
    for clause in accept.split(',') {
        let mut parts = clause.split(';').map(str::trim);
        let open = match parts.next() {
            Some("application/openmetrics-text") => true,
            Some("text/plain" | "text/*" | "*/*") => false,
            _ => continue,
        };
        let params: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let param = |name| params.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
        if open && param("version").is_some_and(|version| !matches!(version, "1.0.0" | "0.0.1")) {
            continue;
        }
        let weight = param("q").and_then(|q| q.parse().ok()).unwrap_or(1.0);
        if best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, open));
        }
    }
    best.is_some_and(|(_, open)| open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_gets_what_it_likes_best() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                          application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert!(wants_open_metrics(prometheus));
        assert!(wants_open_metrics("text/plain;q=0.5, application/openmetrics-text"));
        for text in [
            "",
            "*/*",
            "text/plain",
            "application/json, */*",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0.1,text/plain;q=0.2",
        ] {
            assert!(!wants_open_metrics(text), "{text}");
        }
    }
}
