//! `kubectl get leases` (`printLease`).

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::column::{AGE, Column, NAME};
use super::{age_of, name_of};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::text(
        "Holder",
        "holderIdentity contains the identity of the holder of a current lease. If Coordinated Leader Election is \
         used, the holder identity must be equal to the elected LeaseCandidate.metadata.name field.",
    ),
    AGE,
];

pub(super) fn cells(lease: &Lease, now: Timestamp) -> Vec<Value> {
    let holder = lease.spec.as_ref().and_then(|s| s.holder_identity.as_deref()).unwrap_or_default();
    vec![name_of(&lease.metadata), holder.into(), age_of(&lease.metadata, now)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{cells_of, now};

    #[test]
    fn a_lease_shows_its_holder() {
        let value = json!({"metadata": {"name": "n", "creationTimestamp": now(-60)}, "spec": {"holderIdentity": "h"}});
        assert_eq!(cells_of(super::super::Kind::Lease, value), json!(["n", "h", "60s"]));
    }
}
