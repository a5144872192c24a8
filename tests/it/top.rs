//! What pods and the node use now: `kubectl top`, and what dashboards ask for their columns.
//!
//! The machine may be busy with something else, so how much a guest computes is bounded from above only where that must
//! hold: no guest uses more than a core, and one that sleeps uses next to none.

use std::collections::BTreeMap;

use serde_json::Value;

use super::harness::{Server, guest, job, wait_for};

const PODS: &str = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods";

/// What `hold` takes, in pages of 64 KiB, and what it then has in MiB.
const PAGES: &str = "638";
const HELD_MIB: u64 = 40;

/// A server whose node is `n1`, with the Job `busy`, whose pod computes, and `idle`, whose pod sleeps with 40 MiB and has
/// a second container. Waits until something is known of all of them.
fn server() -> Server {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--node-name", "n1"]);
    for name in ["loop", "hold", "hello"] {
        server.push(name, &guest(name));
    }
    server.create(&job("busy", "loop", &["loop"], ""));
    let two = "      - name: small\n        image: hold\n        command: [\"hold\", \"0\"]\n";
    server.create(&(job("idle", "hold", &["hold", PAGES], "") + two));
    wait_for("figures of three containers", || {
        let list = server.get(PODS);
        let containers = |item: &Value| item["containers"].as_array().unwrap().len();
        match list["items"].as_array().unwrap().iter().map(containers).sum::<usize>() {
            3 => Ok(()),
            _ => Err(list),
        }
    });
    server
}

/// The rows of a table by their first word, without the head.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines().skip(1).map(|line| line.split_whitespace().collect()).collect()
}

/// The number in `250m` or `40Mi`.
fn number(text: &str, unit: &str) -> u64 {
    text.strip_suffix(unit).and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{text} is not in {unit}"))
}

/// Millicores and MiB.
fn used(row: &[&str], column: usize) -> (u64, u64) {
    (number(row[column], "m"), number(row[column + 1], "Mi"))
}

fn name_of_pod(server: &Server, job: &str) -> String {
    server.pods(job)[0]["metadata"]["name"].as_str().unwrap().to_owned()
}

#[test]
fn pods_are_shown_with_what_they_use_until_they_end() {
    let server = server();
    let (busy, idle) = (name_of_pod(&server, "busy"), name_of_pod(&server, "idle"));

    let text = server.kubectl_ok(&["top", "pods"]);
    assert!(text.starts_with("NAME ") && text.contains("CPU(cores)") && text.contains("MEMORY(bytes)"), "{text}");
    let found: BTreeMap<&str, (u64, u64)> = rows(&text).iter().map(|row| (row[0], used(row, 1))).collect();
    let (of_busy, of_idle) = (found[busy.as_str()], found[idle.as_str()]);
    assert!((1..=1000).contains(&of_busy.0), "{text}");
    assert!(of_idle.0 < 200 && of_idle.1 >= HELD_MIB && of_idle.1 < HELD_MIB + 2, "{text}");

    let sorted = server.kubectl_ok(&["top", "pods", "--sort-by=memory"]);
    assert_eq!(rows(&sorted)[0][0], idle, "{sorted}");
    let sorted = server.kubectl_ok(&["top", "pods", "--sort-by=cpu"]);
    let cores: Vec<u64> = rows(&sorted).iter().map(|row| used(row, 1).0).collect();
    assert!(cores.is_sorted_by(|a, b| a >= b) && cores.len() == 2, "{sorted}");

    let of_job = server.kubectl_ok(&["top", "pods", "-l", "job-name=busy", "--no-headers"]);
    assert!(of_job.lines().count() == 1 && of_job.starts_with(&busy), "{of_job}");
    let one = server.kubectl_ok(&["top", "pod", &idle]);
    assert_eq!(rows(&one)[0][0], idle);
    let everywhere = server.kubectl_ok(&["top", "pods", "-A", "--sum"]);
    assert_eq!(rows(&everywhere)[0][0], "default", "{everywhere}");
    let chosen = server.kubectl_ok(&["top", "pods", &format!("--field-selector=metadata.name={busy}"), "--no-headers"]);
    assert!(chosen.lines().count() == 1 && chosen.starts_with(&busy), "{chosen}");

    let each = server.kubectl_ok(&["top", "pods", "--containers"]);
    let of_idle: BTreeMap<&str, u64> =
        rows(&each).iter().filter(|row| row[0] == idle).map(|row| (row[1], used(row, 2).1)).collect();
    assert!(of_idle["c"] >= HELD_MIB && of_idle["small"] == 0, "{each}");

    assert_eq!(server.kubectl_ok(&["delete", "job", "busy"]), "job.batch \"busy\" deleted from default namespace\n");
    let left = wait_for("the pod to be left out", || {
        let list = server.get(PODS);
        if list["items"].as_array().unwrap().len() == 1 { Ok(list) } else { Err(list) }
    });
    assert_eq!(left["items"][0]["metadata"]["name"], idle);
    let gone = server.kubectl_fails(&["top", "pod", &busy]);
    assert!(gone.contains(&format!("pods \"{busy}\" not found")), "{gone}");
}

#[test]
fn a_pod_that_has_ended_uses_nothing() {
    let server = Server::start();
    server.push("hello", &guest("hello"));
    server.create(&job("short", "hello", &["hello"], ""));
    server.wait_for_end("short");
    let pod = name_of_pod(&server, "short");
    assert_eq!(server.get(PODS)["items"].as_array().unwrap().len(), 0);
    let said = server.kubectl_fails(&["top", "pod", &pod]);
    assert!(said.contains(&format!("pods.metrics.k8s.io \"default/{pod}\" not found")), "{said}");
    // What kubectl says where there are pods and nothing is known of them.
    let said = server.kubectl_fails(&["top", "pods"]);
    assert!(said.contains("metrics not available yet"), "{said}");
}

#[test]
fn the_node_is_shown_with_what_its_machine_uses() {
    let server = server();
    let text = wait_for("the node's figures", || {
        let output = server.kubectl(&["top", "nodes"]);
        if output.status.success() { Ok(String::from_utf8(output.stdout).unwrap()) } else { Err(output) }
    });
    let table = rows(&text);
    assert_eq!((table.len(), table[0][0]), (1, "n1"), "{text}");
    // A pod computes, and the machine holds more than that pod does.
    let cores = u64::try_from(std::thread::available_parallelism().unwrap().get()).unwrap();
    let (cpu, memory) = (number(table[0][1], "m"), number(table[0][3], "Mi"));
    // The system counts in hundredths of a second, so a short window may be off by some per cent; and where a part of a
    // core is allowed, the number of cores is rounded.
    assert!(cpu > 0 && cpu <= (cores + 1) * 1000, "{text}");
    assert!(memory > HELD_MIB, "{text}");
    assert!(number(table[0][2], "%") <= 250 && number(table[0][4], "%") <= 100, "{text}");
    assert_eq!(rows(&server.kubectl_ok(&["top", "node", "n1"]))[0][0], "n1");
    assert_eq!(
        server.kubectl_ok(&["top", "nodes", "-l", "kubernetes.io/hostname=n1", "--no-headers"]).lines().count(),
        1
    );
}

#[test]
fn kubectl_tells_the_figures_from_the_pods() {
    let server = server();
    let idle = name_of_pod(&server, "idle");
    // The short words mean what they always mean.
    for word in ["pod", "pods", "po"] {
        let text = server.kubectl_ok(&["get", word]);
        assert!(text.contains("STATUS") && text.contains("Running"), "{word}: {text}");
    }
    assert!(server.kubectl_ok(&["get", "nodes"]).contains("Ready"));
    assert!(server.kubectl_ok(&["explain", "pods"]).contains("KIND:       Pod\n"));
    let all = server.kubectl_ok(&["get", "all"]);
    assert!(all.contains(&format!("pod/{idle}")) && !all.contains("metrics"), "{all}");

    let table = server.kubectl_ok(&["get", "pods.metrics.k8s.io", "-A"]);
    let row = rows(&table).into_iter().find(|row| row[1] == idle).unwrap();
    assert!(table.contains("WINDOW") && row[0] == "default" && row[3].ends_with('i'), "{table}");
    let yaml = server.kubectl_ok(&["get", "podmetrics", &idle, "-o", "yaml"]);
    assert!(yaml.contains("kind: PodMetrics\n") && yaml.contains("memory: 40Mi\n"), "{yaml}");
    let resources = server.kubectl_ok(&["api-resources", "--api-group=metrics.k8s.io", "--no-headers"]);
    let listed: Vec<Vec<&str>> = resources.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        listed,
        [
            ["nodes", "metrics.k8s.io/v1beta1", "false", "NodeMetrics"],
            ["pods", "metrics.k8s.io/v1beta1", "true", "PodMetrics"]
        ]
    );
    let explained =
        server.kubectl_ok(&["explain", "podmetrics.containers.usage", "--api-version=metrics.k8s.io/v1beta1"]);
    assert!(explained.contains("What is used: cpu in cores"), "{explained}");
    assert_eq!(server.kubectl_ok(&["auth", "can-i", "list", "pods.metrics.k8s.io"]), "yes\n");
    let deletes = server.kubectl(&["auth", "can-i", "delete", "pods.metrics.k8s.io"]);
    let said = String::from_utf8(deletes.stdout).unwrap();
    assert_eq!(said, "no - all that kiln can do with pods.metrics.k8s.io is get, list\n");

    for args in [&["delete", "podmetrics", &idle][..], &["get", "pods.metrics.k8s.io", "--watch"]] {
        let said = server.kubectl_fails(args);
        assert!(said.contains("neither written nor watched"), "{args:?}: {said}");
    }
    assert_eq!(server.kubectl_ok(&["get", "pod", &idle, "-o", "name"]), format!("pod/{idle}\n"));
    // What is deleted with a namespace does not wait for what is not stored.
    server.kubectl_ok(&["create", "namespace", "n"]);
    server.kubectl_ok(&["delete", "namespace", "n"]);
}
