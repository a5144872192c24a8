//! DELETE of a collection: what a list of it would show, deleted in batches. Between two batches others have their turn,
//! and what is deleted by then stays deleted, whatever becomes of the rest: as at the API server.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::Api;
use super::delete::{self, ORPHANS, Request};
use super::error::{Refusal, add_warnings, json_response};
use super::form::Form;
use super::list;
use super::request::{Params, Payload, Target};
use super::resource::{TRIES, settled};
use super::selection::Selection;
use crate::api::{ApiError, Kind, Object};
use crate::store::{CommitError, Tx};

/// Objects deleted by one commit.
const AT_ONCE: usize = 500;

/// Answers the list of what was deleted, as it was.
pub async fn delete_collection(
    State(api): State<Api>,
    target: Target,
    params: Params,
    form: Form,
    payload: Payload,
) -> Result<Response, Refusal> {
    let request = Request::read(&params, &payload)?;
    let selection = Selection::new(&target, &params)?;
    let page = list::page(&api, &target, &params, &selection)?;
    let mut revision = page.seen;
    for batch in page.objects.chunks(AT_ONCE) {
        let result = delete_batch(&api, batch, &request);
        revision = revision.max(settled(&api, result).await?);
        tokio::task::yield_now().await;
    }
    api.store.durable(revision).await?;
    let mut response = json_response(StatusCode::OK, list::body(page, target.kind, form, api.clock.now()));
    if target.kind == Kind::Job && request.leaves_choice_of_propagation() {
        add_warnings(response.headers_mut(), &[ORPHANS.to_owned()]);
    }
    Ok(response)
}

/// Deletes those of the listed objects that are still there; answers the revision of it. Somebody who changes some of
/// them all the time keeps a batch from being committed as a whole: then each is a batch of its own.
fn delete_batch(api: &Api, listed: &[Object], request: &Request) -> Result<u64, Refusal> {
    for _ in 0..TRIES {
        let now = api.clock.now();
        let mut tx = Tx::new();
        for listed in listed {
            let stored = api.store.get(listed.kind(), &listed.key()).filter(|stored| stored.uid() == listed.uid());
            if let Some(object) = stored {
                request.check(&object)?;
                request.check_uses(api, &object)?;
                tx.append(delete::decide(&object, request, now).tx);
            }
        }
        if tx.is_empty() || request.dry_run {
            return Ok(0);
        }
        match api.store.commit(tx) {
            Err(CommitError::Stale(..) | CommitError::Replaced { .. } | CommitError::NotFound(..)) => {}
            Err(error) => return Err(error.into()),
            Ok(done) => return Ok(done.revision),
        }
    }
    match listed {
        [] => Ok(0),
        [only] => Err(ApiError::stale(only.kind(), only.key()).into()),
        all => all.chunks(1).try_fold(0, |revision, one| Ok(revision.max(delete_batch(api, one, request)?))),
    }
}
