//! Starts the real binary, talks to it, and says what it last saw when something does not come true.

use std::fmt::Debug;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use wasm_encoder::Section;

pub const KILN: &str = env!("CARGO_BIN_EXE_kiln");
/// How long anything that should happen soon may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(60);

pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guest-examples").join(name)
}

/// The module of an example.
pub fn example_module(name: &str) -> Vec<u8> {
    std::fs::read(example(name).join(format!("{name}.wasm"))).unwrap()
}

/// A module from its text under `tests/guests`.
pub fn guest(name: &str) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests").join(format!("{name}.wat"));
    wat::parse_file(file).unwrap()
}

/// `hello` with a section of so many bytes that nobody reads.
pub fn padded(bytes: usize, with: u8) -> Vec<u8> {
    let mut wasm = guest("hello");
    wasm_encoder::CustomSection { name: "x".into(), data: vec![with; bytes].into() }.append_to(&mut wasm);
    wasm
}

/// A Job of one container named `c`; `spec` is YAML lines of the Job's spec, indented by two.
pub fn job(name: &str, image: &str, command: &[&str], spec: &str) -> String {
    let command = serde_json::to_string(command).unwrap();
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\nspec:\n{spec}\n  template:\n    spec:\n      \
         restartPolicy: Never\n      containers:\n      - name: c\n        image: {image}\n        command: {command}\n"
    )
}

/// Asks until the answer is there; panics with the last thing seen.
pub fn wait_for<T, S: Debug>(what: &str, mut ask: impl FnMut() -> Result<T, S>) -> T {
    let end = Instant::now() + SOON;
    loop {
        match ask() {
            Ok(found) => return found,
            Err(seen) if Instant::now() > end => panic!("{what}: not within {SOON:?}; last seen: {seen:#?}"),
            Err(_) => std::thread::park_timeout(Duration::from_millis(20)),
        }
    }
}

pub struct Server {
    pub child: Child,
    pub url: String,
    pub dir: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Server {
        Server::start_in(tempfile::tempdir().unwrap())
    }

    /// Starts on the state in `dir`, on a free port.
    pub fn start_in(dir: tempfile::TempDir) -> Server {
        Server::start_with(dir, &[])
    }

    pub fn start_with(dir: tempfile::TempDir, more: &[&str]) -> Server {
        let mut child = Command::new(KILN)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(dir.path().join("data"))
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (told, address) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Some(address) = line.split("address=").nth(1).and_then(|rest| rest.split(' ').next()) {
                    let _ = told.send(address.to_owned());
                }
                eprintln!("server: {line}");
            }
        });
        let address = address.recv_timeout(SOON).expect("the server says where it listens");
        Server { child, url: format!("http://{address}"), dir }
    }

    /// Ends it as a power cut would end a process: at once.
    pub fn kill(mut self) -> tempfile::TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap())
    }

    /// Ends it as an operator does, with SIGTERM, and waits until it has brought everything to disk.
    pub fn stop(mut self) -> tempfile::TempDir {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "{ended}");
        std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap())
    }

    pub fn push(&self, name: &str, module: &[u8]) {
        let (code, answer) = self.send("PUT", &format!("/modules/{name}"), "application/wasm", module);
        assert!((200..300).contains(&code), "{code} {answer}");
    }

    pub fn push_example(&self, name: &str) {
        self.push(name, &example_module(name));
    }

    /// One request; the answer's code and body (as a string if it is not JSON).
    pub fn send(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> (u16, Value) {
        self.send_with(method, path, &[("Content-Type", content_type)], body)
    }

    pub fn send_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Value) {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(SOON)).build().into();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = agent.run(request.body(body.to_vec()).unwrap()).unwrap();
        let mut text = String::new();
        answer.body_mut().as_reader().read_to_string(&mut text).unwrap();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub fn get(&self, path: &str) -> Value {
        let (code, answer) = self.send("GET", path, "application/json", b"");
        assert_eq!(code, 200, "GET {path}: {answer}");
        answer
    }

    pub fn create(&self, yaml: &str) {
        let (code, answer) =
            self.send("POST", "/apis/batch/v1/namespaces/default/jobs", "application/yaml", yaml.as_bytes());
        assert_eq!(code, 201, "{answer}");
    }

    pub fn job(&self, name: &str) -> Value {
        self.get(&format!("/apis/batch/v1/namespaces/default/jobs/{name}"))
    }

    /// The pods of a Job.
    pub fn pods(&self, job: &str) -> Vec<Value> {
        let list = self.get(&format!("/api/v1/namespaces/default/pods?labelSelector=job-name%3D{job}"));
        list["items"].as_array().unwrap().clone()
    }

    /// A log as it is; a guest may write anything.
    pub fn log_bytes(&self, pod: &Value) -> Vec<u8> {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let url = format!("{}/api/v1/namespaces/default/pods/{name}/log", self.url);
        ureq::get(url).call().unwrap().body_mut().with_config().limit(64 << 20).read_to_vec().unwrap()
    }

    pub fn log(&self, pod: &Value) -> String {
        let name = pod["metadata"]["name"].as_str().unwrap();
        match self.send("GET", &format!("/api/v1/namespaces/default/pods/{name}/log"), "text/plain", b"") {
            (200, Value::String(text)) => text,
            (200, other) => other.to_string(),
            (code, answer) => panic!("log of {name}: {code} {answer}"),
        }
    }

    /// Waits until the Job has ended; answers it and its last condition as (type, reason).
    pub fn wait_for_end(&self, name: &str) -> (Value, (String, String)) {
        wait_for(&format!("the end of job {name}"), || {
            let job = self.job(name);
            let last = job["status"]["conditions"].as_array().and_then(|c| c.last()).cloned().unwrap_or_default();
            let text = |field: &str| last[field].as_str().unwrap_or_default().to_owned();
            match text("type").as_str() {
                "Complete" | "Failed" => Ok((job, (text("type"), text("reason")))),
                _ => Err(job["status"].clone()),
            }
        })
    }

    /// Writes a file beside the state of the server, and answers its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    pub fn kubectl(&self, args: &[&str]) -> Output {
        self.kubectl_command().args(["--server", &self.url]).args(args).output().unwrap()
    }

    /// kubectl without any configuration.
    pub fn kubectl_command(&self) -> Command {
        let bundled = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../tools/bin/kubectl");
        let kubectl = std::env::var_os("KILN_KUBECTL").map_or(bundled, PathBuf::from);
        assert!(kubectl.exists(), "{} is not there: run `make tools`", kubectl.display());
        let home = self.dir.path().join("home");
        std::fs::create_dir_all(&home).unwrap();
        let mut command = Command::new(kubectl);
        command
            .env("HOME", &home)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        command
    }

    /// The stdout of a `kubectl` that succeeds.
    pub fn kubectl_ok(&self, args: &[&str]) -> String {
        let output = self.kubectl(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "kubectl {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// The stdout of a `kubectl` that succeeds when it is given this on its stdin.
    pub fn kubectl_given(&self, args: &[&str], input: &str) -> String {
        let mut command = self.kubectl_command();
        command.args(["--server", &self.url]).args(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "kubectl {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// The stderr of a `kubectl` that fails, with exit code 1 and without having crashed.
    pub fn kubectl_fails(&self, args: &[&str]) -> String {
        let output = self.kubectl(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (said, code) = (text(&output.stderr), output.status.code());
        assert!(
            code == Some(1) && !said.contains("panic"),
            "kubectl {args:?}: {code:?} {}{said}",
            text(&output.stdout)
        );
        said
    }

    /// Starts a `kubectl` whose lines are read as they come.
    pub fn kubectl_follow(&self, args: &[&str]) -> Follow {
        let mut command = self.kubectl_command();
        let mut child = command.args(["--server", &self.url]).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Follow { child, lines, seen: Vec::new() }
    }
}

/// A program that goes on writing.
pub struct Follow {
    child: Child,
    lines: mpsc::Receiver<String>,
    pub seen: Vec<String>,
}

impl Follow {
    /// Reads until a line is right, and answers it.
    pub fn until(&mut self, what: &str, right: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + SOON;
        loop {
            let line = self.lines.recv_timeout(end.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|e| panic!("{what}: {e}; seen: {:#?}", self.seen));
            self.seen.push(line.clone());
            if right(&line) {
                return line;
            }
        }
    }

    /// A line, if one is there.
    pub fn try_line(&mut self) -> Option<String> {
        let line = self.lines.try_recv().ok()?;
        self.seen.push(line.clone());
        Some(line)
    }

    /// Reads to the end of the program, which must succeed.
    pub fn rest(mut self) -> Vec<String> {
        let ended = self.child.wait().unwrap();
        self.seen.extend(self.lines.iter());
        assert!(ended.success(), "{ended}: {:#?}", self.seen);
        std::mem::take(&mut self.seen)
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        // Ended already, or of no more interest.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already if the test killed it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // What guests left may be nested too deep for the removal of `dir`, which recurses.
        let _ = Command::new("rm").arg("-rf").arg(self.dir.path().join("data/pods")).status();
    }
}
