use serde_json::{Value, json};

use super::*;

fn pod(policy: &str, status: Value) -> Pod {
    let spec = json!({"restartPolicy": policy, "nodeName": "n", "containers": [{"name": "c"}, {"name": "d"}]});
    serde_json::from_value(json!({"metadata": {}, "spec": spec, "status": status})).unwrap()
}

fn faults_of(policy: &str, new: Value, old: Value) -> Vec<String> {
    let mut faults = Vec::new();
    validate_status(&pod(policy, new), &pod(policy, old), &mut faults);
    faults.iter().map(ToString::to_string).collect()
}

const NONE: [&str; 0] = [];

fn containers(field: &str, states: &[(&str, Value)]) -> Value {
    let statuses: Vec<Value> = states
        .iter()
        .map(|(name, state)| {
            json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state})
        })
        .collect();
    json!({field: statuses})
}

fn exited(code: i32) -> Value {
    json!({"terminated": {"exitCode": code}})
}

#[test]
fn a_container_that_is_over_for_good_stays_over() {
    let running = json!({"running": {}});
    for field in ["containerStatuses", "initContainerStatuses"] {
        let old = |code: i32| containers(field, &[("c", running.clone()), ("d", exited(code))]);
        let new = |state: &Value| containers(field, &[("d", state.clone()), ("c", exited(0))]);
        let fault = [format!("status.{field}[1].state: Forbidden: may not be transitioned to non-terminated state")];
        let table = [
            ("Never", 1, true),
            ("Never", 0, true),
            ("OnFailure", 0, true),
            ("OnFailure", 1, false),
            ("Always", 0, false),
        ];
        for (policy, code, is_fault) in table {
            for state in [&running, &json!({"waiting": {}}), &json!({})] {
                let told = faults_of(policy, new(state), old(code));
                assert_eq!(told, if is_fault { &fault[..] } else { &[] }, "{policy} {code} {state}");
            }
            assert_eq!(faults_of(policy, new(&exited(3)), old(code)), NONE, "an end may be told again");
            assert_eq!(faults_of(policy, json!({}), old(code)), NONE, "a status may be left out");
        }
    }
}

#[test]
fn restarts_are_not_negative() {
    let mut new = containers("containerStatuses", &[("c", json!({}))]);
    new["containerStatuses"][0]["restartCount"] = json!(-1);
    assert_eq!(
        faults_of("OnFailure", new, json!({})),
        ["status.containerStatuses[0].restartCount: Invalid value: -1: must be greater than or equal to 0"]
    );
}

#[test]
fn conditions_have_names_and_the_class_of_service_stays() {
    let condition = |type_: &str| json!({"type": type_, "status": "True"});
    let good = json!({"conditions": [condition("Ready"), condition("PodScheduled"), condition("my.example/gate")]});
    assert_eq!(faults_of("Never", good, json!({})), NONE);
    let mut bad = json!({"conditions": [condition("Ready"), condition("not a name")], "observedGeneration": -1});
    bad["conditions"][0]["observedGeneration"] = json!(-2);
    let told = faults_of("Never", bad, json!({}));
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], "status.conditions[0].observedGeneration: Invalid value: -2: must be a non-negative integer");
    assert!(told[1].starts_with("status.conditions[1].Type: Invalid value: \"not a name\": name part must consist of"));
    assert_eq!(told[2], "status.observedGeneration: Invalid value: -1: must be a non-negative integer");
    assert_eq!(
        faults_of("Never", json!({"qosClass": "Burstable"}), json!({"qosClass": "Guaranteed"})),
        ["status.qosClass: Invalid value: \"Burstable\": field is immutable"]
    );
}

#[test]
fn a_pod_that_has_a_node_is_nominated_for_none() {
    let bound = "status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a node";
    assert_eq!(faults_of("Never", json!({"nominatedNodeName": "m"}), json!({})), [bound]);
    let as_before = json!({"nominatedNodeName": "m"});
    assert_eq!(faults_of("Never", as_before.clone(), as_before.clone()), NONE);
    assert_eq!(faults_of("Never", json!({}), as_before), NONE);
    assert_eq!(faults_of("Never", json!({"nominatedNodeName": "M"}), json!({})).len(), 2);
}

#[test]
fn addresses_can_be_read_and_two_are_of_two_families() {
    let ips = |ips: &[&str]| json!({"podIPs": ips.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>()});
    let wrong = |ip: &str, detail: &str| [format!("status.podIPs[0]: Invalid value: {ip:?}: {detail}")];
    assert_eq!(faults_of("Never", ips(&["10.1.2.3", "2001:db8::1"]), json!({})), NONE);
    let no_address = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    for (ip, detail) in [
        ("a", no_address),
        ("", no_address),
        ("10.1.2", no_address),
        ("10.1.2.300", no_address),
        ("010.1.2.3", "must not have leading 0s"),
        ("::ffff:10.1.2.3", "must not be an IPv4-mapped IPv6 address"),
    ] {
        assert_eq!(faults_of("Never", ips(&[ip]), json!({})), wrong(ip, detail));
        assert_eq!(faults_of("Never", ips(&[ip]), ips(&[ip])), NONE, "what stands there may stay");
    }
    let families = "may specify no more than one IP for each IP family";
    for many in [&["10.1.2.3", "10.1.2.4"][..], &["10.1.2.3", "2001:db8::1", "10.1.2.4"]] {
        let told = faults_of("Never", ips(many), json!({}));
        assert!(told.len() == 1 && told[0].starts_with("status.podIPs: ") && told[0].ends_with(families), "{told:?}");
    }
    let host = json!({"hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.2"}]});
    assert_eq!(
        faults_of("Never", host, json!({})),
        ["status.hostIPs[0].ip: Invalid value: \"10.0.0.2\": must be equal to `hostIP`"]
    );
}

#[test]
fn users_are_in_range_and_claims_are_of_the_spec() {
    let mut new = containers("containerStatuses", &[("c", json!({}))]);
    new["containerStatuses"][0]["user"] =
        json!({"linux": {"uid": -1, "gid": 2_147_483_648_u32, "supplementalGroups": [0, -2]}});
    new["resourceClaimStatuses"] = json!([{"name": "gpu"}]);
    let range = "must be between 0 and 2147483647, inclusive";
    let at = "status.containerStatuses[0].user.linux";
    assert_eq!(
        faults_of("Never", new, json!({})),
        [
            "status.resourceClaimStatuses[0].name: Invalid value: \"gpu\": must match the name of an entry in \
             `spec.resourceClaims`"
                .to_owned(),
            format!("{at}.uid: Invalid value: -1: {range}"),
            format!("{at}.gid: Invalid value: 2147483648: {range}"),
            format!("{at}.supplementalGroups[1]: Invalid value: -2: {range}"),
        ]
    );
}

#[test]
fn what_an_old_client_leaves_out_is_filled_in() {
    let completed = |new: Value| {
        let mut new: PodStatus = serde_json::from_value(new).unwrap();
        let old: PodStatus = serde_json::from_value(json!({"qosClass": "Guaranteed", "podIP": "10.1.2.9"})).unwrap();
        complete(&mut new, Some(&old));
        serde_json::to_value(new).unwrap()
    };
    let ip = |ip: &str| json!({"podIP": ip, "podIPs": [{"ip": ip}], "qosClass": "Guaranteed"});
    assert_eq!(completed(json!({})), json!({"qosClass": "Guaranteed"}));
    assert_eq!(completed(json!({"podIP": "10.1.2.3"})), ip("10.1.2.3"));
    assert_eq!(completed(json!({"podIPs": [{"ip": "10.1.2.3"}]})), ip("10.1.2.3"));
    assert_eq!(completed(json!({"podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.4"}]})), ip("10.1.2.3"));
    assert_eq!(completed(json!({"qosClass": "BestEffort"})), json!({"qosClass": "BestEffort"}));
}
