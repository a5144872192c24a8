//! What `resourceVersion` and `resourceVersionMatch` ask of a list or a watch (apimachinery
//! `apis/internalversion/validation`, apiserver `storage/interfaces.go`).

use super::error::Refusal;
use super::request::{Params, is_on};
use crate::api::{ApiError, FieldError, Path};

/// Which state a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest, which must not be older than this revision.
    NotBefore(u64),
    Exactly(u64),
}

impl At {
    /// What a list asks for; not for one that continues another.
    pub fn of_list(params: &Params) -> Result<At, Refusal> {
        if params.get("sendInitialEvents").is_some() {
            let path = Path::root("sendInitialEvents");
            return Err(options(FieldError::forbidden(&path, "sendInitialEvents is forbidden for list")));
        }
        let revision = number(params)?;
        match (params.get("resourceVersionMatch"), revision) {
            (None, None) => Ok(At::NotBefore(0)),
            // With a limit and without a match, a revision has always meant exactly this one.
            (None, Some(revision)) if revision > 0 && params.integer("limit")?.is_some_and(|n| n > 0) => {
                Ok(At::Exactly(revision))
            }
            (None | Some("NotOlderThan"), Some(revision)) => Ok(At::NotBefore(revision)),
            (Some("Exact"), Some(0)) => {
                Err(forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""))
            }
            (Some("Exact"), Some(revision)) => Ok(At::Exactly(revision)),
            (Some("Exact" | "NotOlderThan"), None) => Err(unprovided()),
            (Some(other), _) => Err(unknown_match(other)),
        }
    }
}

/// From where a watch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// First all that there is, as if it were added now. `marked`: then a bookmark that says that this was all.
    Everything {
        marked: bool,
        not_before: u64,
    },
    After(u64),
}

impl From {
    pub fn of_watch(params: &Params) -> Result<From, Refusal> {
        let revision = number(params)?;
        let initial = params.get("sendInitialEvents").map(is_on);
        match (params.get("resourceVersionMatch"), initial) {
            (None, None) => Ok(match revision {
                None | Some(0) => From::Everything { marked: false, not_before: 0 },
                Some(revision) => From::After(revision),
            }),
            (Some("NotOlderThan"), Some(true)) => {
                let marked = params.flag("allowWatchBookmarks");
                Ok(From::Everything { marked, not_before: revision.unwrap_or(0) })
            }
            (Some("NotOlderThan"), Some(false)) => match revision {
                // From now on, whatever that is.
                None | Some(0) => Ok(From::After(u64::MAX)),
                Some(revision) => Ok(From::After(revision)),
            },
            (None, Some(_)) => {
                Err(forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
            }
            (Some("Exact" | "NotOlderThan"), None) => {
                Err(forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))
            }
            (Some(other), Some(_)) => Err(unknown_match(other)),
            (Some(other), None) => Err(unknown_match(other)),
        }
    }
}

/// A list that continues another shows what that one does, and says nothing of it.
pub fn check_continue(params: &Params) -> Result<(), Refusal> {
    if params.get("resourceVersion").is_some_and(|v| v != "0") {
        return Err(Refusal::bad("specifying resource version is not allowed when using continue"));
    }
    match params.get("resourceVersionMatch") {
        Some(_) => Err(forbidden("resourceVersionMatch is forbidden when continue is provided")),
        None => Ok(()),
    }
}

/// A GET of one object shows the newest, which must not be older than what is asked for.
pub fn check_get(params: &Params, current: u64) -> Result<(), Refusal> {
    check_not_future(number(params)?.unwrap_or(0), current)
}

/// `NotBefore` in the future is refused with a wish to come back.
pub fn check_not_future(asked: u64, current: u64) -> Result<(), Refusal> {
    if asked > current { Err(ApiError::FutureRevision { asked, current }.into()) } else { Ok(()) }
}

fn number(params: &Params) -> Result<Option<u64>, Refusal> {
    let parse = |text: &str| {
        let cause = || FieldError::invalid(&Path::root("resourceVersion"), text, "must be a whole number");
        text.parse().map_err(|_| options(cause()))
    };
    params.get("resourceVersion").map(parse).transpose()
}

fn options(cause: FieldError) -> Refusal {
    Refusal::Options { kind: "ListOptions", name: String::new(), causes: vec![cause] }
}

fn forbidden(detail: &str) -> Refusal {
    options(FieldError::forbidden(&Path::root("resourceVersionMatch"), detail))
}

fn unprovided() -> Refusal {
    forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided")
}

fn unknown_match(found: &str) -> Refusal {
    let path = Path::root("resourceVersionMatch");
    options(FieldError::not_supported(&path, found, &["Exact", "NotOlderThan", ""]))
}
