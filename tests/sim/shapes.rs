//! What Jobs look like. Each field has a function that sets it on some of them: a new field is a new line in [`FIELDS`].

use serde_json::{Value, json};

use crate::rng::Rng;

type Field = fn(&mut Rng, &mut Value);

/// In this order: some need what an earlier one has set.
const FIELDS: &[Field] = &[
    kind_of_job,
    backoff_limit,
    deadline,
    containers,
    indexed,
    limit_per_index,
    failure_policy,
    success_policy,
    replacement_policy,
    suspended,
    time_to_live,
];

pub fn job(rng: &mut Rng, name: &str) -> Value {
    let mut spec = json!({"template": {"spec": {}}});
    for field in FIELDS {
        field(rng, &mut spec);
    }
    json!({"metadata": {"name": name, "namespace": "default", "annotations": annotations(rng)}, "spec": spec})
}

/// kiln's own.
fn annotations(rng: &mut Rng) -> Value {
    let mut annotations = json!({});
    if rng.percent(15) {
        annotations["kiln.dev/backoff"] = json!(*rng.pick(&["base=1s,cap=3s", "base=0,cap=0", "base=2s,factor=1"]));
    }
    if rng.percent(10) {
        annotations["kiln.dev/at-most-once"] = json!("true");
    }
    if rng.percent(15) {
        annotations["kiln.dev/finished-condition"] = json!("true");
    }
    if rng.percent(10) {
        annotations["kiln.dev/rerun"] = json!("rerun-all:from-the-start");
    }
    annotations
}

fn kind_of_job(rng: &mut Rng, spec: &mut Value) {
    match rng.below(10) {
        0 => {}
        1..=2 => spec["parallelism"] = json!(rng.between(1, 4)),
        _ => {
            spec["parallelism"] = json!(if rng.percent(8) { 0 } else { rng.between(1, 5) });
            spec["completions"] = json!(if rng.percent(5) { 0 } else { rng.between(1, 6) });
        }
    }
}

fn backoff_limit(rng: &mut Rng, spec: &mut Value) {
    if rng.percent(80) {
        spec["backoffLimit"] = json!(rng.between(0, 5));
    }
}

fn deadline(rng: &mut Rng, spec: &mut Value) {
    if rng.percent(25) {
        spec["activeDeadlineSeconds"] = json!(if rng.percent(50) { rng.between(1, 20) } else { rng.between(20, 900) });
    }
}

fn containers(rng: &mut Rng, spec: &mut Value) {
    let pod = &mut spec["template"]["spec"];
    pod["restartPolicy"] = json!(if rng.percent(35) { "OnFailure" } else { "Never" });
    let container = |name: &str| json!({"name": name, "image": "guest"});
    let mut containers = vec![container("a")];
    if rng.percent(15) {
        containers.push(container("b"));
    }
    pod["containers"] = json!(containers);
    if rng.percent(15) {
        pod["initContainers"] = json!([container("i")]);
    }
    if rng.percent(10) {
        pod["activeDeadlineSeconds"] = json!(rng.between(1, 60));
    }
    if rng.percent(30) {
        pod["terminationGracePeriodSeconds"] = json!(rng.between(0, 5));
    }
}

fn is_indexed(spec: &Value) -> bool {
    spec["completionMode"] == "Indexed"
}

fn is_never(spec: &Value) -> bool {
    spec["template"]["spec"]["restartPolicy"] == "Never"
}

fn indexed(rng: &mut Rng, spec: &mut Value) {
    if !spec["completions"].is_null() && rng.percent(50) {
        spec["completionMode"] = json!("Indexed");
        if rng.percent(30) {
            // Such a Job may grow and shrink.
            spec["parallelism"] = spec["completions"].clone();
        }
    }
}

fn limit_per_index(rng: &mut Rng, spec: &mut Value) {
    if is_indexed(spec) && is_never(spec) && rng.percent(40) {
        spec["backoffLimitPerIndex"] = json!(rng.between(0, 2));
        if rng.percent(40) {
            let completions = spec["completions"].as_i64().unwrap_or(0);
            spec["maxFailedIndexes"] = json!(rng.between(0, completions));
        }
        if rng.percent(60) {
            spec.as_object_mut().expect("a spec is an object").remove("backoffLimit");
        }
    }
}

fn failure_policy(rng: &mut Rng, spec: &mut Value) {
    if !is_never(spec) || !rng.percent(30) {
        return;
    }
    let mut actions = vec!["FailJob", "Ignore", "Count"];
    if !spec["backoffLimitPerIndex"].is_null() {
        actions.push("FailIndex");
    }
    let mut rules = vec![json!({"action": rng.pick(&actions),
        "onExitCodes": {"operator": "In", "values": [rng.between(1, 2), rng.between(3, 4)]}})];
    if rng.percent(30) {
        rules.push(json!({"action": rng.pick(&actions), "onExitCodes": {"operator": "NotIn", "values": [134, 137]}}));
    }
    if rng.percent(40) {
        let pattern = json!([{"type": "DisruptionTarget", "status": "True"}]);
        rules.insert(0, json!({"action": rng.pick(&["Ignore", "Count"]), "onPodConditions": pattern}));
    }
    spec["podFailurePolicy"] = json!({"rules": rules});
}

fn success_policy(rng: &mut Rng, spec: &mut Value) {
    let completions = spec["completions"].as_i64().unwrap_or(0);
    if !is_indexed(spec) || completions == 0 || !rng.percent(30) {
        return;
    }
    let rule = match rng.below(3) {
        0 if completions > 1 => json!({"succeededIndexes": format!("0-{}", completions - 1), "succeededCount": 1}),
        0 | 1 => json!({"succeededIndexes": "0"}),
        _ => json!({"succeededCount": rng.between(1, completions)}),
    };
    spec["successPolicy"] = json!({"rules": [rule]});
}

fn replacement_policy(rng: &mut Rng, spec: &mut Value) {
    let needed = !spec["podFailurePolicy"].is_null();
    if needed || rng.percent(20) {
        spec["podReplacementPolicy"] = json!("Failed");
    }
}

fn suspended(rng: &mut Rng, spec: &mut Value) {
    if rng.percent(12) {
        spec["suspend"] = json!(true);
    }
}

fn time_to_live(rng: &mut Rng, spec: &mut Value) {
    if rng.percent(20) {
        spec["ttlSecondsAfterFinished"] = json!(rng.between(0, 60));
    }
}
