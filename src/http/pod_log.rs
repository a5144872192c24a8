//! GET `pods/NAME/log`: which run of which container, and which part of what it wrote; as the body of a plain answer or
//! over a [`super::websocket`].
//!
//! Refusals are worded as by Kubernetes (`registry/core/pod/strategy.go`, `LogLocation`; kubelet
//! `validateContainerLogStatus`), because kubectl shows them as they are.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream as Pieces, StreamExt, stream};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::jiff::Timestamp;

use super::Api;
use super::compress::Live;
use super::error::Refusal;
use super::request::{Params, Target};
use super::resource;
use super::serve::Stopping;
use super::websocket::{Content, Transport};
use crate::api::pod::facts;
use crate::api::{ApiError, FieldError, Path, meta};
use crate::logs::{LogId, Query, Stream};

pub async fn read(
    State(api): State<Api>,
    transport: Transport,
    target: Target,
    params: Params,
    stopping: Stopping,
) -> Result<Response, Refusal> {
    let query = query(&params, &target.name, api.clock.now())?;
    let grows = query.follow;
    let object = resource::find(&api, target.kind, &target.key()).await?;
    let pod = object.as_pod().ok_or_else(|| ApiError::Internal("the log of an object that is no pod".to_owned()))?;
    let container = choose(pod, params.get("container")).map_err(Refusal::bad)?;
    // A pod that nobody runs yet has written nothing.
    let pieces = match facts::node(pod) {
        None => None,
        Some(_) => {
            let restart = run(pod, container, params.flag("previous")).map_err(Refusal::bad)?;
            let id = LogId { pod_uid: object.uid().to_owned(), container: container.to_owned(), restart };
            Some(api.logs.read(id, query))
        }
    };
    match (transport, pieces) {
        (Transport::WebSocket(upgrade), Some(pieces)) => {
            upgrade.carry(Content::Log, api.clock.clone(), follow(pieces, stopping))
        }
        (Transport::WebSocket(upgrade), None) => {
            upgrade.carry(Content::Log, api.clock.clone(), stream::empty::<Result<Bytes, Infallible>>())
        }
        (Transport::Plain, pieces) => {
            let body = pieces.map_or_else(Body::empty, |pieces| Body::from_stream(follow(pieces, stopping)));
            let headers = [(header::CONTENT_TYPE, "text/plain"), (header::CACHE_CONTROL, "no-cache, private")];
            let mut response = (headers, body).into_response();
            if grows {
                response.extensions_mut().insert(Live);
            }
            Ok(response)
        }
    }
}

type Piece = Result<Bytes, crate::store::DiskFailed>;

/// The pieces as they come. Dropping the stream drops the receiver, which ends the reading.
fn follow(pieces: tokio::sync::mpsc::Receiver<Piece>, stopping: Stopping) -> impl Pieces<Item = Piece> + Send {
    let pieces = stream::unfold((pieces, stopping), |(mut pieces, stopping)| async move {
        tokio::select! {
            biased;
            piece = pieces.recv() => Some((piece?, (pieces, stopping))),
            () = stopping.0.cancelled() => None,
        }
    });
    // Compression asks once more after the end.
    pieces.fuse()
}

fn query(params: &Params, pod: &str, now: Timestamp) -> Result<Query, Refusal> {
    let mut causes = Vec::new();
    let mut at_least = |name: &str, least: i64| -> Result<Option<i64>, Refusal> {
        let value = params.integer(name)?;
        if let Some(found) = value.filter(|n| *n < least) {
            let detail = if least > 0 { "must be greater than 0" } else { "must be greater than or equal to 0" };
            causes.push(FieldError::invalid(&Path::root(name), found, detail));
        }
        Ok(value)
    };
    let since_seconds = at_least("sinceSeconds", 1)?;
    let tail_lines = at_least("tailLines", 0)?;
    let limit_bytes = at_least("limitBytes", 1)?;
    let since_time = params.get("sinceTime").map(|text| {
        text.parse::<Timestamp>().map_err(|_| Refusal::bad(format!("sinceTime: {text:?} is no time of RFC 3339")))
    });
    let since_time = since_time.transpose()?;
    if since_time.is_some() && since_seconds.is_some() {
        let detail = "at most one of `sinceTime` or `sinceSeconds` may be specified";
        causes.push(FieldError::forbidden(&Path::root(""), detail));
    }
    let stream = match params.get("stream") {
        None | Some("All") => None,
        Some("Stdout") => Some(Stream::Stdout),
        Some("Stderr") => Some(Stream::Stderr),
        Some(other) => {
            let streams = ["All", "Stderr", "Stdout"];
            causes.push(FieldError::not_supported(&Path::root("stream"), other, &streams));
            None
        }
    };
    if stream.is_some() && tail_lines.is_some() {
        let detail = "`tailLines` and specific `stream` are mutually exclusive for now";
        causes.push(FieldError::forbidden(&Path::root(""), detail));
    }
    if !causes.is_empty() {
        return Err(Refusal::Options { kind: "PodLogOptions", name: pod.to_owned(), causes });
    }
    let count = |n: Option<i64>| n.and_then(|n| usize::try_from(n).ok());
    Ok(Query {
        follow: params.flag("follow"),
        timestamps: params.flag("timestamps"),
        stream,
        since: since_time.or_else(|| since_seconds.map(|n| meta::add_seconds(now, n.saturating_neg()))),
        tail_lines: count(tail_lines),
        limit_bytes: count(limit_bytes),
    })
}

/// The container that is meant: the only one, or the one that is named.
fn choose<'a>(pod: &'a Pod, wanted: Option<&str>) -> Result<&'a str, String> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let Some(spec) = &pod.spec else { return Err(format!("pod {name} has no containers")) };
    let main: Vec<&str> = spec.containers.iter().map(|c| c.name.as_str()).collect();
    let init: Vec<&str> = spec.init_containers.iter().flatten().map(|c| c.name.as_str()).collect();
    match wanted {
        Some(wanted) => (main.iter().chain(&init).find(|c| **c == wanted).copied())
            .ok_or_else(|| format!("container {wanted} is not valid for pod {name}")),
        None => match (main.as_slice(), init.as_slice()) {
            ([only], _) => Ok(only),
            (main, init) => {
                let list =
                    format!("a container name must be specified for pod {name}, choose one of: [{}]", main.join(" "));
                let or = |init: &[&str]| format!(" or one of the init containers: [{}]", init.join(" "));
                Err(if init.is_empty() { list } else { list + &or(init) })
            }
        },
    }
}

/// Which run of the container has the log that is asked for.
fn run(pod: &Pod, container: &str, previous: bool) -> Result<u32, String> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let waits_for = |reason: &str| match reason {
        "ErrImagePull" => {
            format!("container \"{container}\" in pod \"{name}\" is waiting to start: trying and failing to pull image")
        }
        "ImagePullBackOff" => {
            format!("container \"{container}\" in pod \"{name}\" is waiting to start: image can't be pulled")
        }
        reason => format!("container \"{container}\" in pod \"{name}\" is waiting to start: {reason}"),
    };
    let Some(status) = status_of(pod, container) else {
        return Err(match previous {
            true => format!("previous terminated container \"{container}\" in pod \"{name}\" not found"),
            false => waits_for("ContainerCreating"),
        });
    };
    let newest = u32::try_from(status.restart_count).unwrap_or(0);
    let state = status.state.clone().unwrap_or_default();
    // The count rises when the new run starts, so while one is awaited it is still that of the last.
    let started = state.running.is_some() || state.terminated.is_some();
    let has_last = status.last_state.as_ref().is_some_and(|s| s.terminated.is_some());
    match (previous, started, has_last) {
        (true, true, true) => Ok(newest.saturating_sub(1)),
        (true, _, false) => Err(format!("previous terminated container \"{container}\" in pod \"{name}\" not found")),
        (false, true, _) | (_, false, true) => Ok(newest),
        (false, false, false) => {
            let reason = state.waiting.and_then(|w| w.reason);
            Err(waits_for(reason.as_deref().filter(|r| !r.is_empty()).unwrap_or("ContainerCreating")))
        }
    }
}

fn status_of<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let all = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
    all.into_iter().find(|s| s.name == container)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Kind, Object};
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn pod(containers: &[&str], statuses: Value) -> Arc<Pod> {
        let containers: Vec<Value> = containers.iter().map(|name| json!({"name": name})).collect();
        let json = json!({"metadata": {"name": "p"}, "spec": {"containers": containers},
            "status": {"containerStatuses": statuses}});
        Object::deserialize(Kind::Pod, json).unwrap().as_pod().unwrap().clone()
    }

    fn with_status(restarts: i32, state: Value, last: Value) -> Arc<Pod> {
        let status = json!([{"name": "a", "restartCount": restarts, "state": state, "lastState": last, "ready": false,
            "image": "", "imageID": ""}]);
        pod(&["a"], status)
    }

    #[test]
    fn the_only_container_is_meant_unless_one_is_named() {
        assert_eq!(choose(&pod(&["a"], json!([])), None), Ok("a"));
        let two = pod(&["a", "b"], json!([]));
        assert_eq!(choose(&two, Some("b")), Ok("b"));
        assert_eq!(
            choose(&two, None),
            Err("a container name must be specified for pod p, choose one of: [a b]".to_owned())
        );
        assert_eq!(choose(&two, Some("c")), Err("container c is not valid for pod p".to_owned()));
    }

    #[test]
    fn the_run_follows_from_the_state_of_the_container() {
        let ended = json!({"terminated": {"exitCode": 1}});
        let running = with_status(2, json!({"running": {}}), ended.clone());
        assert_eq!((run(&running, "a", false), run(&running, "a", true)), (Ok(2), Ok(1)));
        let waiting = with_status(2, json!({"waiting": {"reason": "CrashLoopBackOff"}}), ended.clone());
        assert_eq!((run(&waiting, "a", false), run(&waiting, "a", true)), (Ok(2), Ok(2)));
        assert_eq!(run(&with_status(0, ended, json!({})), "a", false), Ok(0));
    }

    #[test]
    fn a_container_that_has_not_run_says_what_it_waits_for() {
        let waiting = |reason: &str| with_status(0, json!({"waiting": {"reason": reason}}), json!({}));
        let says = |pod: &Pod, previous| run(pod, "a", previous).unwrap_err();
        assert_eq!(
            says(&waiting("ErrImagePull"), false),
            "container \"a\" in pod \"p\" is waiting to start: trying and failing to pull image"
        );
        assert_eq!(
            says(&pod(&["a"], json!([])), false),
            "container \"a\" in pod \"p\" is waiting to start: ContainerCreating"
        );
        assert_eq!(says(&waiting("X"), true), "previous terminated container \"a\" in pod \"p\" not found");
    }
}
