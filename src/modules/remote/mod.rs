//! Modules from other registries: who may be asked, and how often.
//!
//! ```text
//!   pod ─► pull ─► the same is under way, or was asked a moment ago ─► its answer
//!             └──► a task of its own ─► one of a few places ─► manifest ─► layer ─► import ─► answer, remembered
//! ```
//!
//! Pulls of the same reference with the same credentials are one, however many pods ask; the answer, good or bad, is
//! remembered for [`REMEMBERED`], so that a thousand pods that start one after the other do not ask a thousand times.
//! A pull goes on if who asked has gone; it ends by itself, because every step of it has its time.
//!
//! Never: a host that was not allowed (but for where an allowed one sends for tokens and bytes); a name without a host;
//! plain HTTP to another machine; credentials to a host that they are not for.

mod fetch;
mod host;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

pub use host::{NotAHost, RegistryHost};

use super::digest::Digest;
use super::import::ImportError;
use super::layout::NoModule;
pub(super) use super::layout::short;
use super::publish::PublishError;
use super::reference::Reference;
use super::{Index, Modules};
use crate::clock::Clock;

/// How long an answer is good for all who ask the same. Also how late the move of a tag may be seen.
pub const REMEMBERED: Duration = Duration::from_secs(5);

/// Pulls at once. Each holds a connection and some kilobytes; their modules are compiled one after the other anyway.
const AT_ONCE: usize = 4;

/// How long a registry may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// To answer a question: where to log in, a token, a manifest, the head of a layer.
    pub answer: Duration,
    /// Without a byte of a layer.
    pub stall: Duration,
    /// What a layer must bring on average.
    pub bytes_per_second: u64,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { answer: Duration::from_secs(30), stall: Duration::from_secs(30), bytes_per_second: 16 << 10 }
    }
}

/// What is shown to a registry. Its secrets are in no message and no log.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Credentials {
    Basic {
        username: String,
        password: String,
    },
    /// A token that the registry itself takes.
    Bearer(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::Basic { username, .. } => write!(f, "Basic({username}, …)"),
            Credentials::Bearer(_) => f.write_str("Bearer(…)"),
        }
    }
}

/// A module that is here now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Of the module itself, whatever the image was named by.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// Without and with the time in line for a place.
    pub took: Duration,
    pub took_with_waiting: Duration,
}

/// Why a module was not pulled. Cheap to clone, because all who waited are told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PullError {
    /// The registry says no, or nothing that is understood; in words that came from there, shortened.
    #[error("{0}")]
    Registry(String),
    #[error("{what}: no answer within {} s", .within.as_secs_f64())]
    Late { what: &'static str, within: Duration },
    #[error("the layer came too slowly, and was given up after {0} bytes")]
    Slow(u64),
    #[error("{0}")]
    NoModule(#[from] NoModule),
    #[error("{what} has {size} bytes, and at most {limit} are allowed")]
    TooLarge { what: &'static str, size: u64, limit: u64 },
    #[error("the layer has another size than its manifest says: {announced} bytes were announced, {found} are coming")]
    Size { announced: u64, found: u64 },
    #[error(transparent)]
    Import(Arc<ImportError>),
    #[error(transparent)]
    Publish(Arc<PublishError>),
    /// A fault of ours, or of a library.
    #[error(
        "the client for registries has failed; does this machine have a list of certificate authorities (in Debian the \
         package ca-certificates)? kiln's log may say more"
    )]
    Client,
}

type Answer = Result<Pulled, PullError>;

/// The registries that this server may ask. Cheap to clone; clones share what is under way.
#[derive(Clone)]
pub struct Registries(Arc<Inner>);

struct Inner {
    modules: Modules,
    clock: Clock,
    allowed: BTreeSet<RegistryHost>,
    patience: Patience,
    places: Semaphore,
    asked: Mutex<HashMap<Ask, Asked>>,
}

/// Who asks the same is answered the same.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Ask {
    reference: Reference,
    credentials: Vec<Credentials>,
}

enum Asked {
    UnderWay(Shared<BoxFuture<'static, Answer>>),
    Answered { at: Instant, answer: Answer },
}

impl Registries {
    pub fn new(modules: Modules, clock: Clock, allowed: BTreeSet<RegistryHost>, patience: Patience) -> Registries {
        // The cryptography of every TLS connection of this process. If somebody has chosen before, it is the same one.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let (places, asked) = (Semaphore::new(AT_ONCE), Mutex::default());
        Registries(Arc::new(Inner { modules, clock, allowed, patience, places, asked }))
    }

    /// Where what is pulled goes.
    pub fn modules(&self) -> &Modules {
        &self.0.modules
    }

    /// Whether the host that the reference names may be asked; false for a name without one.
    pub fn allows(&self, reference: &Reference) -> bool {
        reference.host().is_some_and(|host| self.0.allowed.contains(&RegistryHost::of(host)))
    }

    /// Asks the registry what the reference means, and brings the module here unless it is. Of several credentials each is
    /// tried; without any the registry is asked as by anybody. The caller has seen to it that the host is allowed.
    pub async fn pull(&self, reference: &Reference, credentials: Vec<Credentials>) -> Answer {
        let ask = Ask { reference: reference.clone(), credentials };
        let answer = {
            let mut asked = self.0.asked.lock();
            let now = self.0.clock.instant();
            asked.retain(|_, asked| asked.is_good(now, self.0.modules.index()));
            match asked.get(&ask) {
                Some(Asked::Answered { answer, .. }) => return answer.clone(),
                Some(Asked::UnderWay(answer)) => answer.clone(),
                None => {
                    let answer = tokio::spawn(self.clone().ask(ask.clone()));
                    let answer = answer.map(|joined| joined.unwrap_or(Err(PullError::Client))).boxed().shared();
                    asked.insert(ask, Asked::UnderWay(answer.clone()));
                    answer
                }
            }
        };
        answer.await
    }

    async fn ask(self, ask: Ask) -> Answer {
        // In a task of its own: what a registry sends may make a library panic, and then that is the answer.
        let answer = tokio::spawn(self.clone().ask_in_turn(ask.clone())).await.unwrap_or(Err(PullError::Client));
        let at = self.0.clock.instant();
        self.0.asked.lock().insert(ask, Asked::Answered { at, answer: answer.clone() });
        answer
    }

    async fn ask_in_turn(self, ask: Ask) -> Answer {
        let asked = self.0.clock.instant();
        // The semaphore is never closed.
        let _place = self.0.places.acquire().await.map_err(|_| PullError::Client)?;
        let begun = self.0.clock.instant();
        let fetch::Fetched { digest, size } = fetch::fetch(&self.0, &ask.reference, &ask.credentials).await?;
        let ended = self.0.clock.instant();
        let since = |earlier| ended.saturating_duration_since(earlier);
        tracing::info!(image = %ask.reference, %digest, size, ms = since(begun).as_millis(), "pulled a module");
        Ok(Pulled { digest, size, took: since(begun), took_with_waiting: since(asked) })
    }
}

impl Asked {
    /// Whether it answers one more question: it is not old, and what it speaks of has not been deleted since.
    fn is_good(&self, now: Instant, index: &Index) -> bool {
        match self {
            Asked::UnderWay(_) => true,
            Asked::Answered { at, .. } if now.saturating_duration_since(*at) >= REMEMBERED => false,
            Asked::Answered { answer: Ok(pulled), .. } => index.has(pulled.digest),
            Asked::Answered { answer: Err(_), .. } => true,
        }
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
