//! The quality-of-service class of a pod (`pkg/apis/core/v1/helper/qos/qos.go`): computed once, on creation, and shown in
//! its status.

use k8s_openapi::api::core::v1::{Container, PodSpec};

use crate::api::quantity::Quantity;

pub const GUARANTEED: &str = "Guaranteed";
pub const BURSTABLE: &str = "Burstable";
pub const BEST_EFFORT: &str = "BestEffort";

/// Guaranteed if every container, init containers too, limits cpu and memory and requests as much; BestEffort if none asks for either.
pub fn class(spec: &PodSpec) -> &'static str {
    let amounts = |container: &Container, name: &str| {
        let resources = container.resources.as_ref();
        let amount = |map: Option<&std::collections::BTreeMap<_, _>>| map.and_then(|m| m.get(name)).and_then(positive);
        let request = amount(resources.and_then(|r| r.requests.as_ref()));
        (request, amount(resources.and_then(|r| r.limits.as_ref())))
    };
    let mut guaranteed = true;
    let mut best_effort = true;
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        for name in ["cpu", "memory"] {
            let (request, limit) = amounts(container, name);
            best_effort &= request.is_none() && limit.is_none();
            guaranteed &= limit.is_some() && request.is_none_or(|r| Some(r) == limit);
        }
    }
    match (best_effort, guaranteed) {
        (true, _) => BEST_EFFORT,
        (false, true) => GUARANTEED,
        (false, false) => BURSTABLE,
    }
}

fn positive(text: &k8s_openapi::apimachinery::pkg::api::resource::Quantity) -> Option<Quantity> {
    Quantity::parse(&text.0).ok().filter(|q| *q > Quantity::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_class_follows_requests_and_limits() {
        let table = [
            (json!({}), BEST_EFFORT),
            (json!({"limits": {"kiln.dev/fuel": "5"}}), BEST_EFFORT),
            (json!({"limits": {"cpu": "0"}}), BEST_EFFORT),
            (json!({"limits": {"cpu": "1", "memory": "1Gi"}}), GUARANTEED),
            (
                json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}}),
                GUARANTEED,
            ),
            (json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1m"}}), BURSTABLE),
            (json!({"limits": {"cpu": "1"}}), BURSTABLE),
            (json!({"requests": {"memory": "1"}}), BURSTABLE),
        ];
        for (resources, want) in table {
            let spec = json!({"containers": [{"name": "a", "resources": resources.clone()}]});
            assert_eq!(class(&serde_json::from_value(spec).unwrap()), want, "{resources}");
        }
    }

    #[test]
    fn init_containers_count() {
        let all = json!({"limits": {"cpu": "1", "memory": "1Gi"}});
        for (init, own, want) in
            [(all.clone(), json!({}), BURSTABLE), (json!({}), all.clone(), BURSTABLE), (all.clone(), all, GUARANTEED)]
        {
            let spec = json!({"containers": [{"name": "a", "resources": own}],
                "initContainers": [{"name": "i", "resources": init}]});
            assert_eq!(class(&serde_json::from_value(spec).unwrap()), want);
        }
    }
}
