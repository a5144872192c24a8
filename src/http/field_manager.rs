//! Who writes: the manager that owns what a request changes ([`crate::api::managed`]).

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

use super::error::Refusal;
use super::request::Params;
use crate::api::{FieldError, Path, managed};

/// The parameter `fieldManager`, or the client's program where it is absent.
#[derive(Clone, Debug)]
pub struct FieldManager {
    asked: Option<String>,
    agent: String,
}

impl<S: Send + Sync> FromRequestParts<S> for FieldManager {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<FieldManager, Refusal> {
        let params = Params::from_request_parts(parts, state).await?;
        let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(FieldManager { asked: params.get("fieldManager").map(str::to_owned), agent: agent.to_owned() })
    }
}

impl FieldManager {
    /// Its name. `options` names the parameters as a whole.
    pub fn name(self, options: &'static str) -> Result<String, Refusal> {
        let Some(asked) = self.asked else { return Ok(managed::from_user_agent(&self.agent)) };
        let mut causes = Vec::new();
        managed::validate_name(&asked, &Path::root("fieldManager"), &mut causes);
        if causes.is_empty() { Ok(asked) } else { Err(Refusal::Options { kind: options, name: String::new(), causes }) }
    }

    /// The name of an applier, which must be said: what it owned before is found by it.
    pub fn applier(self, options: &'static str) -> Result<String, Refusal> {
        if self.asked.is_none() {
            let cause = FieldError::required(&Path::root("fieldManager"), "is required for apply patch");
            return Err(Refusal::Options { kind: options, name: String::new(), causes: vec![cause] });
        }
        self.name(options)
    }
}
