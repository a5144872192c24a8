//! One pull, from the first question to the module on disk, by `oci-client`.
//!
//! What the registry sends is not trusted: sizes are limited before and while they are read, digests are compared with the
//! bytes, and each step has its time. One thing `oci-client` does not offer: it reads a manifest whole before its size can be
//! judged. So only the time for it, and the number of pulls at once, limit what a registry that was allowed, and is hostile,
//! can make this process hold for a moment.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use oci_client::client::{ClientConfig, ClientProtocol, LayerDescriptor, SizedStream};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, RegistryOperation};
use tokio::sync::mpsc;

use super::super::MAX_MODULE;
use super::super::digest::Digest;
use super::super::layout::{ACCEPTED, Descriptor, Document, Layer, MAX_MANIFEST};
use super::super::pieces::{Piece, pieces};
use super::super::publish::PublishError;
use super::super::reference::{DEFAULT_TAG, Reference};
use super::host::RegistryHost;
use super::{Credentials, Inner, PullError, short};
use crate::api::module::PULLED;

/// What is here now.
pub struct Fetched {
    pub digest: Digest,
    pub size: u64,
}

/// What a registry says of a reference.
struct Found {
    /// The manifest of the module: that of an entry, if the reference means an index.
    document: Document,
    bytes: Vec<u8>,
    digest: Digest,
    layer: Layer,
    /// The index, if there is one.
    index: Option<Vec<u8>>,
}

pub async fn fetch(this: &Inner, reference: &Reference, credentials: &[Credentials]) -> Result<Fetched, PullError> {
    let mut ways: Vec<RegistryAuth> = credentials.iter().map(auth).collect();
    if ways.is_empty() {
        ways.push(RegistryAuth::Anonymous);
    }
    let mut last = PullError::Client;
    for way in ways {
        match fetch_as(this, reference, &way).await {
            // Registries hide what one may not see in many ways: somebody else may.
            Err(error @ PullError::Registry(_)) => last = error,
            answer => return answer,
        }
    }
    Err(last)
}

fn auth(credentials: &Credentials) -> RegistryAuth {
    match credentials {
        Credentials::Basic { username, password } => RegistryAuth::Basic(username.clone(), password.clone()),
        Credentials::Bearer(token) => RegistryAuth::Bearer(token.clone()),
    }
}

async fn fetch_as(this: &Inner, reference: &Reference, auth: &RegistryAuth) -> Result<Fetched, PullError> {
    let host = RegistryHost::of(reference.host().unwrap_or_default());
    let client = client(&host, this)?;
    let image = image(&host, reference);
    in_time(this, "logging in", client.auth(&image, auth, RegistryOperation::Pull)).await?;
    let found = ask(this, &client, &image, auth).await?;
    let Layer { digest, size } = found.layer;
    if size > MAX_MODULE {
        return Err(PullError::TooLarge { what: "the module", size, limit: MAX_MODULE });
    }
    let index = this.modules.index();
    // A digest in an image name is that of a manifest, and kept as that.
    let by_digest = reference.digest.is_some();
    let is_here = index.has(digest);
    let known = index.get(reference).and_then(|named| named.spec.as_ref()?.manifest.clone());
    if !by_digest && is_here && known.is_some_and(|known| known == found.digest.to_string()) {
        return Ok(Fetched { digest, size });
    }
    if !is_here {
        let stream = in_time(this, "asking for the layer", blob(&client, &image, digest)).await?;
        receive(this, stream, digest, size).await?;
    }
    if let Some(Descriptor { digest, size, .. }) = &found.document.config
        && let Ok(digest) = digest.parse()
        && *size <= MAX_MANIFEST
        && !index.has(digest)
        // Only who pulls it from here would miss it.
        && let Ok(stream) = in_time(this, "asking for the config", blob(&client, &image, digest)).await
        && let Err(error) = receive(this, stream, digest, *size).await
    {
        tracing::debug!(image = %reference, %error, "the config of a module was not pulled");
    }
    match publish(this, reference, found).await {
        Ok(()) => Ok(Fetched { digest, size }),
        Err(error) => {
            if !is_here && matches!(error, PublishError::Refused(_)) {
                this.modules.discard_refused(digest).await;
            }
            Err(PullError::Publish(Arc::new(error)))
        }
    }
}

/// Names what is here by its manifest; an image by the digest of an index is known by that, too.
async fn publish(this: &Inner, reference: &Reference, found: Found) -> Result<(), PublishError> {
    let now = this.clock.now();
    let by = |digest: Digest| Reference { name: reference.name.clone(), tag: None, digest: Some(digest) };
    let named = match reference.digest {
        Some(_) => by(found.digest),
        None => reference.clone(),
    };
    this.modules.publish(PULLED, &named, found.bytes, None, now).await?;
    if let (Some(digest), Some(index)) = (reference.digest, found.index) {
        this.modules.publish(PULLED, &by(digest), index, None, now).await?;
    }
    Ok(())
}

/// Takes in a blob as it comes.
async fn receive(this: &Inner, stream: SizedStream, digest: Digest, size: u64) -> Result<(), PullError> {
    if let Some(found) = stream.content_length.filter(|found| *found != size) {
        return Err(PullError::Size { announced: size, found });
    }
    let (queue, received) = pieces();
    let (ingested, sent) = tokio::join!(this.modules.ingest(received, digest), send(this, stream, queue, size));
    // What went wrong with the sending is the reason, if both failed.
    sent?;
    ingested.map_err(|error| PullError::Import(Arc::new(error)))
}

/// One client per pull: it keeps the credentials that it was given first for each host.
fn client(host: &RegistryHost, this: &Inner) -> Result<Client, PullError> {
    let mut config = ClientConfig {
        connect_timeout: Some(this.patience.answer),
        read_timeout: Some(this.patience.stall),
        user_agent: concat!("kiln/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    };
    if host.is_loopback() {
        config.protocol = ClientProtocol::Http;
        // This machine is not reached by way of another one, whatever the environment says.
        config.http_proxy = Some("http://127.0.0.1:9".to_owned());
        config.no_proxy = Some("localhost,127.0.0.0/8,::1".to_owned());
    }
    Client::try_from(config).map_err(|error| said(&error))
}

/// As the registry knows it. Docker's own keeps what has no owner under `library`.
fn image(host: &RegistryHost, reference: &Reference) -> oci_client::Reference {
    let path = match host.as_str() {
        "docker.io" | "index.docker.io" if !reference.path().contains('/') => format!("library/{}", reference.path()),
        _ => reference.path().to_owned(),
    };
    let host = host.as_str().to_owned();
    match reference.digest {
        Some(digest) => oci_client::Reference::with_digest(host, path, digest.to_string()),
        None => {
            let tag = reference.tag.clone().unwrap_or_else(|| DEFAULT_TAG.to_owned());
            oci_client::Reference::with_tag(host, path, tag)
        }
    }
}

/// Finds the module that the reference means; of an index, the entry for wasm.
async fn ask(
    this: &Inner,
    client: &Client,
    image: &oci_client::Reference,
    auth: &RegistryAuth,
) -> Result<Found, PullError> {
    let (mut document, mut bytes) = manifest(this, client, image, auth).await?;
    let mut index = None;
    if document.is_index() {
        let entry = image.clone_with_digest(document.choose()?.to_string());
        index = Some(bytes);
        (document, bytes) = manifest(this, client, &entry, auth).await?;
    }
    Ok(Found { layer: document.module()?, document, digest: Digest::of(&bytes), bytes, index })
}

async fn manifest(
    this: &Inner,
    client: &Client,
    image: &oci_client::Reference,
    auth: &RegistryAuth,
) -> Result<(Document, Vec<u8>), PullError> {
    // It compares the digest of what comes with that in the reference, and in the answer.
    let asked = client.pull_manifest_raw(image, auth, &ACCEPTED);
    let (bytes, _) = in_time(this, "asking for the manifest", asked).await?;
    let size = bytes.len() as u64;
    if size > MAX_MANIFEST {
        return Err(PullError::TooLarge { what: "the manifest", size, limit: MAX_MANIFEST });
    }
    Ok((Document::read(&bytes)?, bytes.to_vec()))
}

async fn blob(
    client: &Client,
    image: &oci_client::Reference,
    digest: Digest,
) -> Result<SizedStream, OciDistributionError> {
    let digest = digest.to_string();
    client.pull_blob_stream(image, &LayerDescriptor { digest: &digest, urls: &None }).await
}

/// Hands the layer on, piece by piece, as long as it comes as fast and is as large as it should be.
async fn send(
    this: &Inner,
    mut stream: SizedStream,
    queue: mpsc::Sender<Piece>,
    announced: u64,
) -> Result<(), PullError> {
    let (begun, mut sent) = (this.clock.instant(), 0_u64);
    // The time that our disk took is not the registry's.
    let mut not_theirs = Duration::ZERO;
    loop {
        let earned = Duration::from_secs_f64(sent as f64 / this.patience.bytes_per_second as f64);
        let due = begun + this.patience.stall + earned + not_theirs;
        let left = due.saturating_duration_since(this.clock.instant());
        let piece = tokio::select! {
            piece = stream.next() => piece,
            // The import has failed, and says why.
            () = queue.closed() => return Ok(()),
            () = this.clock.sleep(left) => return Err(PullError::Slow(sent)),
        };
        let piece = piece.transpose().map_err(|error| {
            PullError::Registry(format!("the layer broke off after {sent} bytes: {}", chain(&error)))
        })?;
        let is_last = piece.is_none();
        sent += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        if sent > announced || (is_last && sent < announced) {
            return Err(PullError::Size { announced, found: sent });
        }
        let came = this.clock.instant();
        if queue.send(Ok(piece)).await.is_err() || is_last {
            return Ok(());
        }
        not_theirs += this.clock.instant().saturating_duration_since(came);
    }
}

async fn in_time<T>(
    this: &Inner,
    what: &'static str,
    answer: impl Future<Output = Result<T, OciDistributionError>>,
) -> Result<T, PullError> {
    tokio::select! {
        answer = answer => answer.map_err(|error| said(&error)),
        () = this.clock.sleep(this.patience.answer) => Err(PullError::Late { what, within: this.patience.answer }),
    }
}

/// What went wrong, in words for who reads the pod's status.
fn said(error: &OciDistributionError) -> PullError {
    let words = match error {
        OciDistributionError::UnauthorizedError { .. } => {
            "the registry wants credentials, or other ones (401 Unauthorized): give the pod imagePullSecrets".to_owned()
        }
        OciDistributionError::AuthenticationFailure(said) => format!("the registry gives no token for it: {said}"),
        OciDistributionError::RegistryError { envelope, .. } => {
            let all: Vec<String> =
                envelope.errors.iter().map(|error| format!("{:?}: {}", error.code, error.message)).collect();
            format!("the registry says: {}", all.join("; "))
        }
        OciDistributionError::ServerError { code: 404, .. } => {
            "the registry does not have it (404 Not Found)".to_owned()
        }
        OciDistributionError::ServerError { code, message, .. } => format!("the registry answers {code}: {message}"),
        other => chain(other),
    };
    PullError::Registry(short(&words))
}

/// An error and its causes, which often are what one wants to know.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        cause = error.source();
    }
    short(&words)
}
