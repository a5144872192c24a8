//! What a Lease must satisfy (`pkg/apis/coordination/validation/validation.go`, about 1.34). Nodes say by one that they
//! are alive, and clients may use others to agree on a leader among themselves: kiln only keeps them.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};

use crate::api::field::{FieldError, Path};
use crate::api::unsupported::Refusals;
use crate::api::validate_meta::NEGATIVE;

/// Where the leases of nodes are, each under the name of its node.
pub const NODE_LEASES: &str = "kube-node-lease";

pub fn validate_lease(lease: &Lease, faults: &mut Vec<FieldError>) {
    let Some(spec) = &lease.spec else { return };
    let LeaseSpec {
        acquire_time: _,
        holder_identity: _,
        lease_duration_seconds,
        lease_transitions,
        preferred_holder,
        renew_time: _,
        strategy,
    } = spec;
    let path = Path::root("spec");
    if let Some(seconds) = lease_duration_seconds.filter(|seconds| *seconds <= 0) {
        faults.push(FieldError::invalid(&path.child("leaseDurationSeconds"), seconds, "must be greater than 0"));
    }
    if let Some(transitions) = lease_transitions.filter(|transitions| *transitions < 0) {
        faults.push(FieldError::invalid(&path.child("leaseTransitions"), transitions, NEGATIVE));
    }
    let mut no = Refusals::of(&path, faults);
    let elected = "nobody is elected on the server's side; clients that share a lease agree among themselves";
    no.text(strategy, &[], "strategy", elected);
    no.text(preferred_holder, &[], "preferredHolder", elected);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_lease_lasts_and_is_handed_on_a_number_of_times() {
        let faults = |spec: Value| {
            let lease = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
            let mut faults = Vec::new();
            validate_lease(&lease, &mut faults);
            faults.into_iter().map(|f| f.to_string()).collect::<Vec<_>>()
        };
        let good = json!({"holderIdentity": "a", "leaseDurationSeconds": 40, "leaseTransitions": 0,
            "renewTime": "2026-01-01T00:00:00.000000Z"});
        assert_eq!(faults(good), [] as [&str; 0]);
        let wrong = faults(json!({"leaseDurationSeconds": 0, "leaseTransitions": -1}));
        let expected = [
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
            "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
        ];
        assert_eq!(wrong, expected);
        let refused = faults(json!({"strategy": "OldestEmulationVersion", "preferredHolder": "b"}));
        assert!(refused.len() == 2 && refused.iter().all(|f| f.contains("not supported")), "{refused:?}");
    }
}
