//! Whether a container's module is used as it is here, pulled from a registry, or waited for; and what is told of it.
//!
//! ```text
//!   no host in the name:    here ─► use        not here ─► wait for somebody to push it
//!   host, not allowed:      here ─► use        not here ─► wait, and say which flag allows it
//!   host, allowed:          Never              as above, without a way out
//!                           IfNotPresent       here ─► use        else ─► pull
//!                           Always             pull: the registry says what the tag means now
//!
//!   pull ──failed──► ErrImagePull ──a moment──► ImagePullBackOff ──10 s, 20 s, … 300 s──► pull again
//! ```
//!
//! The back-off is per pod and image. Rules and words of kubernetes `pkg/kubelet/images/image_manager.go`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::modules::Pulled;

const FIRST_BACK_OFF: Duration = Duration::from_secs(10);
const MOST_BACK_OFF: Duration = Duration::from_secs(300);
/// How long a pod shows the error itself before it shows that it waits. At the kubelet this is until it looks again.
const SHOWN: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Always,
    IfNotPresent,
    Never,
}

impl Policy {
    /// Of the container's field, which was completed when the pod was created.
    pub fn of(field: Option<&str>) -> Policy {
        match field {
            Some("Always") => Policy::Always,
            Some("Never") => Policy::Never,
            _ => Policy::IfNotPresent,
        }
    }
}

/// Whether the module can be fetched at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// The name has no host: it is a name in kiln's own store.
    Local,
    Allowed,
    /// The host, which may not be asked.
    NotAllowed(&'a str),
}

/// All that the decision depends on.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    pub image: &'a str,
    pub policy: Policy,
    pub source: Source<'a>,
    pub is_here: bool,
    /// The name is of something that is here and no module.
    pub is_artifact: bool,
    /// The last pull of it for this pod, if that failed.
    pub failure: Option<&'a Failure>,
    pub now: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// What is here is what is meant.
    Use,
    Pull,
    /// Until then, or until a module comes in; without a time, only that.
    Wait {
        reason: &'static str,
        message: String,
        until: Option<Instant>,
    },
}

pub const NEVER: &str = "ErrImageNeverPull";
pub const INVALID: &str = "InvalidImageName";
pub const FAILED: &str = "ErrImagePull";
pub const BACK_OFF: &str = "ImagePullBackOff";

pub fn decide(situation: &Situation<'_>) -> Decision {
    let Situation { image, policy, source, is_here, is_artifact, failure, now } = situation;
    match (source, policy) {
        (_, Policy::Never) if !is_here => {
            let message = format!("Container image \"{image}\" is not present with pull policy of Never");
            return Decision::Wait { reason: NEVER, message, until: None };
        }
        (Source::Allowed, Policy::Always) => {}
        _ if *is_here => return Decision::Use,
        (Source::Allowed, _) => {}
        _ if *is_artifact => {
            let message = format!(
                "Back-off pulling image \"{image}\": what was pushed under this name is an artifact without a WebAssembly \
                 module, which registries' clients can pull and nobody can run"
            );
            return Decision::Wait { reason: BACK_OFF, message, until: None };
        }
        (Source::Local, _) => return absent(image, "there is no such module here; upload it with", ""),
        (Source::NotAllowed(host), _) => {
            let flag = format!(", or allow its registry: kiln serve --allow-registry {host}");
            return absent(image, "there is no such module here, and nothing is fetched; upload it with", &flag);
        }
    }
    match failure {
        Some(failure) if *now < failure.shown_until() => {
            Decision::Wait { reason: FAILED, message: failure.error.clone(), until: Some(failure.shown_until()) }
        }
        Some(failure) if *now < failure.until() => {
            let message = format!("Back-off pulling image \"{image}\": {FAILED}: {}", failure.error);
            Decision::Wait { reason: BACK_OFF, message, until: Some(failure.until()) }
        }
        _ => Decision::Pull,
    }
}

fn absent(image: &str, what: &str, else_: &str) -> Decision {
    let message = format!("Back-off pulling image \"{image}\": {what} `kiln push {image} FILE.wasm`{else_}");
    Decision::Wait { reason: BACK_OFF, message, until: None }
}

/// The last pull of an image for a pod, which failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub error: String,
    at: Instant,
    delay: Duration,
}

impl Failure {
    pub fn shown_until(&self) -> Instant {
        self.at + SHOWN
    }

    pub fn until(&self) -> Instant {
        self.at + self.delay
    }
}

/// The images of one pod whose last pull failed.
#[derive(Clone, Debug, Default)]
pub struct BackOffs(HashMap<String, Failure>);

impl BackOffs {
    pub fn of(&self, image: &str) -> Option<&Failure> {
        self.0.get(image)
    }

    pub fn failed(&mut self, image: &str, error: String, at: Instant) {
        let delay = self.0.get(image).map_or(FIRST_BACK_OFF, |last| (last.delay * 2).min(MOST_BACK_OFF));
        self.0.insert(image.to_owned(), Failure { error, at, delay });
    }

    pub fn succeeded(&mut self, image: &str) {
        self.0.remove(image);
    }
}

/// The warnings that tell of a container that waits: reasons and messages.
pub fn warnings(reason: &'static str, image: &str, message: &str) -> Vec<(&'static str, String)> {
    let told = match reason {
        FAILED => ("Failed", format!("Failed to pull image \"{image}\": {message}")),
        // What is to be done stands behind the words of Kubernetes.
        BACK_OFF => ("BackOff", message.to_owned()),
        NEVER => (NEVER, message.to_owned()),
        INVALID => ("InspectFailed", message.to_owned()),
        _ => return vec![("Failed", message.to_owned())],
    };
    vec![told, ("Failed", format!("Error: {reason}"))]
}

/// What is told of a pull that succeeded.
pub fn pulled(image: &str, pulled: &Pulled) -> String {
    let (took, waited) = (go_duration(pulled.took), go_duration(pulled.took_with_waiting));
    let size = pulled.size;
    format!("Successfully pulled image \"{image}\" in {took} ({waited} including waiting). Image size: {size} bytes.")
}

/// As Go writes a duration that was cut to milliseconds.
fn go_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0..1_000 => format!("{millis}ms"),
        _ if millis < 60_000 => format!("{}s", decimal(millis)),
        _ => format!("{}m{}s", millis / 60_000, decimal(millis % 60_000)),
    }
}

/// Milliseconds in seconds, without zeroes at the end.
fn decimal(millis: u128) -> String {
    let text = format!("{}.{:03}", millis / 1_000, millis % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::modules::Digest;

    const LOCAL: Source<'static> = Source::Local;
    const OTHER: Source<'static> = Source::NotAllowed("ghcr.io");

    fn situation(source: Source<'_>, policy: Policy, is_here: bool) -> Situation<'_> {
        Situation {
            image: "i",
            policy,
            source,
            is_here,
            is_artifact: false,
            failure: None,
            now: Clock::real().instant(),
        }
    }

    #[test]
    fn policy_presence_and_permission_decide() {
        use Policy::{Always, IfNotPresent, Never};
        use Source::Allowed;
        for (source, policy, is_here, expected) in [
            (LOCAL, Always, true, "use"),
            (LOCAL, IfNotPresent, true, "use"),
            (LOCAL, Never, true, "use"),
            (LOCAL, Always, false, "ImagePullBackOff"),
            (LOCAL, IfNotPresent, false, "ImagePullBackOff"),
            (LOCAL, Never, false, "ErrImageNeverPull"),
            (OTHER, Always, true, "use"),
            (OTHER, IfNotPresent, true, "use"),
            (OTHER, Never, true, "use"),
            (OTHER, Always, false, "ImagePullBackOff"),
            (OTHER, IfNotPresent, false, "ImagePullBackOff"),
            (OTHER, Never, false, "ErrImageNeverPull"),
            (Allowed, Always, true, "pull"),
            (Allowed, IfNotPresent, true, "use"),
            (Allowed, Never, true, "use"),
            (Allowed, Always, false, "pull"),
            (Allowed, IfNotPresent, false, "pull"),
            (Allowed, Never, false, "ErrImageNeverPull"),
        ] {
            let found = match decide(&situation(source, policy, is_here)) {
                Decision::Use => "use",
                Decision::Pull => "pull",
                Decision::Wait { reason, until, .. } => {
                    assert_eq!(until, None, "only a push helps");
                    reason
                }
            };
            assert_eq!(found, expected, "{source:?} {policy:?} {is_here}");
        }
    }

    #[test]
    fn a_pod_that_waits_is_told_what_would_help() {
        let message = |source| match decide(&situation(source, Policy::IfNotPresent, false)) {
            Decision::Wait { message, .. } => message,
            other => format!("{other:?}"),
        };
        let artifact = Situation { is_artifact: true, ..situation(LOCAL, Policy::Always, false) };
        let Decision::Wait { message: told, .. } = decide(&artifact) else { panic!("it cannot be run") };
        assert!(told.contains("an artifact without a WebAssembly module"), "{told}");
        assert!(message(LOCAL).ends_with("upload it with `kiln push i FILE.wasm`"));
        assert!(message(OTHER).ends_with("kiln serve --allow-registry ghcr.io"), "{}", message(OTHER));
    }

    #[test]
    fn a_failed_pull_is_shown_then_backed_off_then_tried_again() {
        let begun = Clock::real().instant();
        let mut back_offs = BackOffs::default();
        for delay in [10, 20, 40, 80, 160, 300, 300] {
            back_offs.failed("i", "why".to_owned(), begun);
            let at = |seconds: f64| {
                let now = begun + Duration::from_secs_f64(seconds);
                let failure = back_offs.of("i");
                decide(&Situation { failure, now, ..situation(Source::Allowed, Policy::Always, true) })
            };
            let wait = |reason, message: &str, until: u64| Decision::Wait {
                reason,
                message: message.to_owned(),
                until: Some(begun + Duration::from_secs(until)),
            };
            assert_eq!(at(0.0), wait(FAILED, "why", 2));
            assert_eq!(at(2.0), wait(BACK_OFF, "Back-off pulling image \"i\": ErrImagePull: why", delay));
            assert_eq!(at(delay as f64 - 0.1), at(2.0));
            assert_eq!(at(delay as f64), Decision::Pull);
        }
        // In the meantime somebody has pushed it, or pulled it for another pod.
        let failure = back_offs.of("i");
        let here = Situation { failure, ..situation(Source::Allowed, Policy::IfNotPresent, true) };
        assert_eq!(decide(&Situation { now: begun, ..here }), Decision::Use);
        assert_eq!(back_offs.of("other"), None);
        back_offs.succeeded("i");
        assert_eq!(back_offs.of("i"), None);
    }

    #[test]
    fn events_have_the_words_of_the_kubelet() {
        let of = |reason, message: &str| {
            warnings(reason, "i", message).into_iter().map(|(r, m)| format!("{r}: {m}")).collect::<Vec<_>>()
        };
        assert_eq!(of(FAILED, "why"), ["Failed: Failed to pull image \"i\": why", "Failed: Error: ErrImagePull"]);
        assert_eq!(of(BACK_OFF, "Back-off …"), ["BackOff: Back-off …", "Failed: Error: ImagePullBackOff"]);
        assert_eq!(of(NEVER, "m"), ["ErrImageNeverPull: m", "Failed: Error: ErrImageNeverPull"]);
        assert_eq!(of(INVALID, "m"), ["InspectFailed: m", "Failed: Error: InvalidImageName"]);
        assert_eq!(of("CreateContainerConfigError", "m"), ["Failed: m"]);
        let millis = Duration::from_millis;
        let done = Pulled { digest: Digest::of(b""), size: 7, took: millis(12), took_with_waiting: millis(1_250) };
        let expected = "Successfully pulled image \"i\" in 12ms (1.25s including waiting). Image size: 7 bytes.";
        assert_eq!(pulled("i", &done), expected);
        assert_eq!(go_duration(millis(61_500)), "1m1.5s");
        assert_eq!(go_duration(millis(2_000)), "2s");
    }
}
