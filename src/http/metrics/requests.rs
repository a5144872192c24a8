//! What is counted of requests and connections, by the names of the API server where it has one
//! (apiserver `endpoints/metrics/metrics.go`).

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::api::Kind;
use crate::http::request_info::{Class, RequestInfo};

/// Seconds; the API server's own.
const SECONDS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];

/// The labels of a request, with the code of its answer where it is counted by that. Its class is no label: two that
/// differ in nothing else are one line, because a scrape that has a line twice is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Labels(RequestInfo, Option<u16>);

impl Labels {
    fn of(info: &RequestInfo, code: Option<u16>) -> Labels {
        Labels(RequestInfo { class: Class::default(), ..*info }, code)
    }
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        let Labels(info, code) = self;
        let mut label = |name: &str, value: &str| (name, value).encode(encoder.encode_label());
        if let Some(code) = code {
            label("code", &code.to_string())?;
        }
        label("component", "apiserver")?;
        label("group", info.group)?;
        label("resource", info.resource)?;
        label("scope", info.scope)?;
        label("subresource", info.subresource)?;
        label("verb", info.verb)?;
        label("version", info.version)
    }
}

#[derive(Debug)]
pub struct Requests {
    total: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram, fn() -> Histogram>,
    long: Family<Labels, Gauge<i64, AtomicI64>>,
    watch_events: Family<[(&'static str, &'static str); 3], Counter>,
    pub connections: Gauge,
    cut: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Requests {
    pub fn register(registry: &mut Registry) -> Requests {
        let requests = Requests {
            total: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            long: Family::default(),
            watch_events: Family::default(),
            connections: Gauge::default(),
            cut: Family::default(),
        };
        registry.register(
            "apiserver_request",
            "Requests by verb, resource and code; 499: the client went away before there was an answer",
            requests.total.clone(),
        );
        registry.register(
            "apiserver_request_duration_seconds",
            "From the head of a request to the last byte of its answer; for watches the whole watch",
            requests.seconds.clone(),
        );
        registry.register(
            "apiserver_longrunning_requests",
            "Watches, followed logs and uploads under way",
            requests.long.clone(),
        );
        registry.register("apiserver_watch_events", "Events sent to watchers", requests.watch_events.clone());
        registry.register("kiln_http_connections", "Connections that are open", requests.connections.clone());
        registry.register(
            "kiln_http_connections_cut",
            "Connections that the server ended, by why: the client was too slow, read nothing, or sent too long a head",
            requests.cut.clone(),
        );
        requests
    }

    pub fn ended(&self, info: &RequestInfo, code: u16, took: Duration) {
        self.total.get_or_create(&Labels::of(info, Some(code))).inc();
        self.seconds.get_or_create(&Labels::of(info, None)).observe(took.as_secs_f64());
    }

    pub fn long(&self, info: &RequestInfo, by: i64) {
        self.long.get_or_create(&Labels::of(info, None)).inc_by(by);
    }

    /// The counter of a watch, to be kept by it.
    pub fn watch_events(&self, kind: Kind) -> Counter {
        let info = kind.info();
        let labels = [("group", info.group), ("resource", info.plural), ("version", info.version)];
        self.watch_events.get_or_create_owned(&labels)
    }

    pub fn cut(&self, reason: &'static str) {
        self.cut.get_or_create(&[("reason", reason)]).inc();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use axum::http::{Method, Uri};

    use super::*;

    #[test]
    fn what_differs_in_no_label_is_one_line() {
        let mut registry = Registry::default();
        let requests = Requests::register(&mut registry);
        let log = "/api/v1/namespaces/default/pods/p/log";
        let asked =
            [("GET", log.to_owned()), ("GET", format!("{log}?follow=true")), ("GET", "/api/v1/pods".to_owned())];
        let odd = ["OPTIONS", "PROPFIND"].map(|method| (method, "/api/v1/pods".to_owned()));
        for (method, uri) in asked.into_iter().chain(odd) {
            let info = RequestInfo::of(&Method::from_bytes(method.as_bytes()).unwrap(), &uri.parse::<Uri>().unwrap());
            requests.long(&info, 1);
            requests.ended(&info, 200, Duration::from_millis(1));
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let mut seen = HashSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, _) = line.rsplit_once(' ').unwrap();
            assert!(seen.insert(series), "twice: {series}");
        }
        assert!(text.lines().any(|line| line.contains("subresource=\"log\"") && line.ends_with(" 2")), "{text}");
    }
}
