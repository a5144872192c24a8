//! `/livez`, `/readyz`, `/healthz`: text for probes and people (apiserver `server/healthz`). Alive is what a restart
//! would not help; ready is what can do its work now. `/readyz/NAME` asks one question, `?exclude=NAME` leaves one out,
//! `?verbose` tells all answers.
//!
//! | question | of | no |
//! |---|---|---|
//! | `ping` | both | never |
//! | `store` | ready | the disk has failed, and the store refuses writes |
//! | `committer` | ready | a write waits for the disk for longer than [`FLUSH_PATIENCE`] |
//! | `node` | ready | the node's lease has run out, or no node has taken one yet |
//! | `shutdown` | ready | the server stops |
//! | others | as [`Check::of_life`] says | `app` knows |
//!
//! Without a token these pages are for everybody, so the summary says what fails and not why; the log and the page of
//! the one question say why.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Api;
use super::error::Refusal;
use super::request::Params;
use super::serve::Stopping;
use crate::api::lease::NODE_LEASES;
use crate::api::{Key, Kind, Object};

/// A disk that syncs takes milliseconds, a bad one a second.
const FLUSH_PATIENCE: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_secs(10) };

/// A question that another part of kiln answers.
pub struct Check {
    pub name: &'static str,
    /// Whether a no means that only a restart helps.
    pub of_life: bool,
    pub ask: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}

/// A name and the answer.
type Answered = (&'static str, Result<(), String>);

fn answers(api: &Api, stopping: &Stopping, of_life: bool) -> Vec<Answered> {
    let mut answers = vec![("ping", Ok(()))];
    if !of_life {
        answers.push(("store", api.store.failure().map_or(Ok(()), Err)));
        answers.push(("committer", committer(api)));
        answers.push(("node", node(api)));
        let stops = stopping.0.is_cancelled();
        answers.push(("shutdown", if stops { Err("process is shutting down".to_owned()) } else { Ok(()) }));
    }
    let others = api.server.checks.iter().filter(|check| check.of_life || !of_life);
    answers.extend(others.map(|check| (check.name, (check.ask)())));
    answers
}

fn committer(api: &Api) -> Result<(), String> {
    match api.store.oldest_unflushed() {
        Some(age) if age > FLUSH_PATIENCE => Err(format!("a write has waited for the disk for {} s", age.as_secs())),
        _ => Ok(()),
    }
}

/// By the lease, as everybody else would see it.
fn node(api: &Api) -> Result<(), String> {
    let nodes = api.store.list(Kind::Node, None).objects;
    if nodes.is_empty() {
        return Err("no node has reported yet".to_owned());
    }
    let now = api.clock.now();
    for node in nodes {
        let name = node.key().name;
        let lease = match api.store.get(Kind::Lease, &Key::new(NODE_LEASES, name.as_str())) {
            Some(Object::Lease(lease)) => lease,
            _ => return Err(format!("node {name} has no lease")),
        };
        let spec = lease.spec.as_ref();
        let seconds = spec.and_then(|s| s.lease_duration_seconds).unwrap_or(0);
        let renewed = spec.and_then(|s| s.renew_time.as_ref()).map(|t| t.0);
        let age = renewed.map_or(i64::MAX, |at| now.duration_since(at).as_secs());
        if age > i64::from(seconds) {
            return Err(format!("the lease of node {name} was renewed {age} s ago, and lasts for {seconds} s"));
        }
    }
    Ok(())
}

pub async fn live(State(api): State<Api>, params: Params, stopping: Stopping) -> Response {
    summary("livez", &answers(&api, &stopping, true), &params)
}

pub async fn ready(State(api): State<Api>, params: Params, stopping: Stopping) -> Response {
    summary("readyz", &answers(&api, &stopping, false), &params)
}

pub async fn healthy(State(api): State<Api>, params: Params, stopping: Stopping) -> Response {
    summary("healthz", &answers(&api, &stopping, false), &params)
}

pub async fn live_one(
    State(api): State<Api>,
    Path(name): Path<String>,
    stopping: Stopping,
) -> Result<Response, Refusal> {
    one(answers(&api, &stopping, true), &name)
}

pub async fn ready_one(
    State(api): State<Api>,
    Path(name): Path<String>,
    stopping: Stopping,
) -> Result<Response, Refusal> {
    one(answers(&api, &stopping, false), &name)
}

fn one(answers: Vec<Answered>, name: &str) -> Result<Response, Refusal> {
    let (_, answer) = answers.into_iter().find(|(n, _)| *n == name).ok_or(Refusal::NoSuchPath)?;
    Ok(match answer {
        Ok(()) => text(StatusCode::OK, "ok".to_owned()),
        Err(reason) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("internal server error: {reason}\n")),
    })
}

fn summary(what: &str, answers: &[Answered], params: &Params) -> Response {
    let mut unknown: Vec<&str> = params.all("exclude").collect();
    let (mut report, mut failed) = (String::new(), false);
    for (name, answer) in answers {
        if let Some(at) = unknown.iter().position(|excluded| excluded == name) {
            unknown.remove(at);
            report.push_str(&format!("[+]{name} excluded: ok\n"));
            continue;
        }
        match answer {
            Ok(()) => report.push_str(&format!("[+]{name} ok\n")),
            Err(reason) => {
                failed = true;
                tracing::info!(what, check = name, %reason, "a health check failed");
                report.push_str(&format!("[-]{name} failed: reason withheld\n"));
            }
        }
    }
    if !unknown.is_empty() {
        let names: Vec<String> = unknown.iter().map(|name| format!("{name:?}")).collect();
        let names = names.join(",");
        report.push_str(&format!("warn: some health checks cannot be excluded: no matches for {names}\n"));
    }
    match (failed, params.has("verbose")) {
        (true, _) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{report}{what} check failed\n")),
        (false, true) => text(StatusCode::OK, format!("{report}{what} check passed\n")),
        (false, false) => text(StatusCode::OK, "ok".to_owned()),
    }
}

fn text(code: StatusCode, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (code, headers, text).into_response()
}
