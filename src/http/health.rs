//! `/livez`, `/readyz`, `/healthz`: text for probes and people (apiserver `server/healthz`). Alive is whoever answers;
//! ready is whoever can also write.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Api;
use super::error::Refusal;
use super::request::Params;

/// A named question, and what is wrong if the answer is no.
type Check = (&'static str, fn(&Api) -> Result<(), String>);

const PING: Check = ("ping", |_| Ok(()));
const STORE: Check = ("store", |api| api.store.failure().map_or(Ok(()), Err));

pub async fn live(State(api): State<Api>, params: Params) -> Response {
    answer("livez", &api, &[PING], params.flag("verbose"))
}

pub async fn ready(State(api): State<Api>, params: Params) -> Response {
    answer("readyz", &api, &[PING, STORE], params.flag("verbose"))
}

pub async fn healthy(State(api): State<Api>, params: Params) -> Response {
    answer("healthz", &api, &[PING, STORE], params.flag("verbose"))
}

/// One check by its name: `/readyz/store`.
pub async fn one(State(api): State<Api>, Path(name): Path<String>) -> Result<Response, Refusal> {
    let check = [PING, STORE].into_iter().find(|(n, _)| *n == name).ok_or(Refusal::NoSuchPath)?;
    Ok(answer(check.0, &api, &[check], false))
}

fn answer(what: &str, api: &Api, checks: &[Check], verbose: bool) -> Response {
    let mut report = String::new();
    let mut failed = false;
    for (name, check) in checks {
        match check(api) {
            Ok(()) => report.push_str(&format!("[+]{name} ok\n")),
            Err(reason) => {
                failed = true;
                report.push_str(&format!("[-]{name} failed: {reason}\n"));
            }
        }
    }
    let (code, text) = match (failed, verbose) {
        (true, _) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{report}{what} check failed\n")),
        (false, true) => (StatusCode::OK, format!("{report}{what} check passed\n")),
        (false, false) => (StatusCode::OK, "ok".to_owned()),
    };
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (code, headers, text).into_response()
}
