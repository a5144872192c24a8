//! What goes wrong around modules: a full disk, a broken connection, a kill at any point of an upload, damaged files. Each is a
//! clear error or none at all; no half module is left, and nothing else is harmed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::harness::{KILN, Server, example, example_module, guest, job, padded, wait_for};

fn blobs(data: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(data.join("modules/blobs/sha256")).unwrap();
    files.map(|entry| entry.unwrap().path()).collect()
}

fn unfinished(data: &Path) -> usize {
    std::fs::read_dir(data.join("modules/blobs/unfinished")).unwrap().count()
}

/// Every blob is what its name says.
fn check_blobs(data: &Path) {
    for path in blobs(data) {
        let digest: String =
            Sha256::digest(std::fs::read(&path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(path.file_name().unwrap().to_string_lossy(), digest);
    }
}

fn digest(wasm: &[u8]) -> String {
    let hex: String = Sha256::digest(wasm).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Begins to send a module, and answers the connection after so many of its bytes.
fn begin(server: &Server, name: &str, module: &[u8], sent: usize) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "PUT /modules/{name} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n", module.len())
        .unwrap();
    // The server may be gone by now.
    let _ = stream.write_all(&module[..sent]);
    stream
}

#[test]
fn killed_at_any_point_of_an_upload_the_name_means_the_old_module_or_the_new() {
    let (old, new) = (guest("hello"), padded(6 << 20, 1));
    let mut server = Server::start();
    server.push("pi", &old);
    let (mut seen_old, mut seen_new) = (0, 0);
    // From before the first byte to after the answer: some points in the bytes, then some moments after the last, then the
    // answer itself.
    let within = (0..4).map(|n| (new.len() * n / 4 + n, Some(0)));
    let after =
        [Some(0), Some(5), Some(20), Some(60), Some(150), Some(400), Some(1200), None].map(|ms| (new.len(), ms));
    for (sent, wait) in within.chain(after) {
        let mut stream = begin(&server, "pi", &new, sent);
        match wait {
            Some(ms) => std::thread::park_timeout(Duration::from_millis(ms)),
            None => stream.read_exact(&mut [0; 12]).unwrap(),
        }
        let dir = server.kill();
        drop(stream);
        server = Server::start_in(dir);
        let data = server.dir.path().join("data");
        assert_eq!(unfinished(&data), 0);
        check_blobs(&data);
        let found = server.get("/modules/pi")["digest"].clone();
        assert!(wait.is_some() || found == json!(digest(&new)), "what was answered is lost");
        match found == json!(digest(&old)) {
            true => seen_old += 1,
            false => {
                assert_eq!(found, json!(digest(&new)));
                seen_new += 1;
            }
        }
        let kind = server.get("/apis/kiln.dev/v1/modules/pi")["status"]["kind"].clone();
        assert_eq!(kind, "Command");
        // Whatever it means can be run.
        server.create(&job("run", "pi", &["hello"], ""));
        assert_eq!(server.wait_for_end("run").1.0, "Complete");
        server.kubectl_ok(&["delete", "job", "run"]);
        // A plain retry, here of the old module, to begin anew.
        server.push("pi", &old);
    }
    eprintln!(
        "killed {} times in an upload: {seen_old} times the old module, {seen_new} times the new",
        seen_old + seen_new
    );
    assert!(seen_old > 0 && seen_new > 0);
}

#[test]
fn a_broken_connection_leaves_nothing_and_a_plain_retry_works() {
    let server = Server::start();
    let data = server.dir.path().join("data");
    let module = padded(2 << 20, 1);
    for part in [0, 1, 3] {
        drop(begin(&server, "pi", &module, module.len() * part / 4));
        wait_for("the half to go", || if unfinished(&data) == 0 { Ok(()) } else { Err(unfinished(&data)) });
        assert_eq!(server.send("GET", "/modules/pi", "", b"").0, 404);
        assert_eq!(blobs(&data).len(), 0);
    }
    server.push("pi", &module);
    server.push("pi:2", &module);
    // The module once, and what clients of registries are shown of it.
    assert_eq!(blobs(&data).len(), 3);
    check_blobs(&data);
}

#[test]
fn a_damaged_module_is_told_of_and_pushing_it_again_mends_it() {
    let server = Server::start();
    server.push("hello", &guest("hello"));
    server.push("other", &guest("exit0"));
    let data = server.dir.path().join("data");
    let dir = server.stop();
    let path = blobs(&data)
        .into_iter()
        .find(|p| digest(&guest("hello")).ends_with(&*p.file_name().unwrap().to_string_lossy()));
    std::fs::write(path.unwrap(), "garbage").unwrap();
    std::fs::remove_dir_all(data.join("modules/compiled")).unwrap();
    let server = Server::start_in(dir);
    server.create(&job("damaged", "hello", &["hello"], ""));
    server.create(&job("well", "other", &["x"], ""));
    assert_eq!(server.wait_for_end("well").1.0, "Complete");
    let waiting = wait_for("the pod to say why it waits", || {
        let pod = server.pods("damaged").into_iter().next().unwrap_or_default();
        let waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"].clone();
        if waiting["reason"] == "ErrImagePull" || waiting["reason"] == "ImagePullBackOff" {
            Ok(waiting)
        } else {
            Err(pod)
        }
    });
    let said = waiting["message"].as_str().unwrap();
    assert!(said.contains("is damaged") && said.contains("push the module again"), "{said}");
    server.push("hello", &guest("hello"));
    assert_eq!(server.wait_for_end("damaged").1.0, "Complete");
}

#[test]
fn damaged_compiled_code_is_made_again_and_never_run() {
    let server = Server::start();
    server.push("hello", &guest("hello"));
    let mut dir = server.stop();
    for damage in ["flip", "cut", "seal"] {
        let engine =
            std::fs::read_dir(dir.path().join("data/modules/compiled")).unwrap().next().unwrap().unwrap().path();
        for file in std::fs::read_dir(&engine).unwrap().map(|entry| entry.unwrap().path()) {
            let mut bytes = std::fs::read(&file).unwrap();
            match (damage, file.extension().unwrap() == "cwasm") {
                ("flip", true) => {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                }
                ("cut", true) => bytes.truncate(bytes.len() / 2),
                ("seal", false) => bytes = b"{}".to_vec(),
                _ => continue,
            }
            std::fs::write(&file, bytes).unwrap();
        }
        let server = Server::start_in(dir);
        server.create(&job("again", "hello", &["hello"], ""));
        assert_eq!(server.wait_for_end("again").1.0, "Complete", "{damage}");
        server.kubectl_ok(&["delete", "job", "again"]);
        dir = server.stop();
    }
}

/// A file system of so many MiB on a directory, taken away with it.
struct Small(PathBuf);

impl Small {
    fn mount(on: &Path, mebibytes: usize) -> Option<Small> {
        std::fs::create_dir_all(on).unwrap();
        let size = format!("size={mebibytes}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(on).stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then(|| Small(on.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_else_is_harmed() {
    let dir = tempfile::tempdir().unwrap();
    let modules = dir.path().join("data/modules");
    let Some(small) = Small::mount(&modules, 4) else {
        eprintln!("SKIPPED: a_full_disk_is_told_and_nothing_else_is_harmed: mounting a tmpfs needs root");
        return;
    };
    let server = Server::start_in(dir);
    server.push("hello", &guest("hello"));
    let data = server.dir.path().join("data");
    let too_large = padded(8 << 20, 1);
    let (code, answer) = server.send("PUT", "/modules/large", "application/wasm", &too_large);
    assert_eq!((code, answer["reason"].as_str()), (507, Some("InsufficientStorage")), "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("no space left on the disk"), "{answer}");
    assert_eq!((unfinished(&data), server.send("GET", "/modules/large", "", b"").0), (0, 404));
    // There is room for the module, and none for its code or what stands beside it.
    let mut room = 0;
    for n in 0..400 {
        let filled = std::fs::write(modules.join(format!("filler-{n}")), vec![0; 16 << 10]);
        room = n;
        if filled.is_err() {
            break;
        }
    }
    assert!(room < 399, "the disk is not full");
    let (code, answer) = server.send("PUT", "/modules/pi", "application/wasm", &example_module("pi"));
    assert_eq!(code, 507, "{answer}");
    assert_eq!((unfinished(&data), server.send("GET", "/modules/pi", "", b"").0), (0, 404));
    server.create(&job("goes-on", "hello", &["hello"], ""));
    assert_eq!(server.wait_for_end("goes-on").1.0, "Complete");
    for n in 0..=room {
        let _ = std::fs::remove_file(modules.join(format!("filler-{n}")));
    }
    server.push("pi", &example_module("pi"));
    check_blobs(&data);
    drop(server);
    drop(small);
}

#[test]
fn what_kiln_run_compiled_is_there_for_the_next_run_and_nobody_elses_is_believed() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let cache = tempfile::tempdir().unwrap();
    let run = || {
        let manifest = example("hello").join("job.yaml");
        let output = Command::new(KILN).arg("run").arg(manifest).env("XDG_CACHE_HOME", cache.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let root = cache.path().join("kiln/compiled");
    let code = || {
        let engines = std::fs::read_dir(&root).into_iter().flatten().map(|entry| entry.unwrap().path());
        let files = engines.flat_map(|engine| std::fs::read_dir(engine).unwrap().map(|entry| entry.unwrap().path()));
        let code = files.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm"));
        code.map(|path| std::fs::metadata(path).unwrap()).map(|m| (m.ino(), m.mode() & 0o777)).collect::<Vec<_>>()
    };
    run();
    let first = code();
    assert_eq!(first.iter().map(|(_, mode)| *mode).collect::<Vec<_>>(), [0o600]);
    assert!(!run().contains("compiled anew"));
    assert_eq!(code(), first, "it was not compiled again");
    std::fs::set_permissions(&root, PermissionsExt::from_mode(0o777)).unwrap();
    let said = run();
    assert!(said.contains("others may write there") && said.contains("compiled anew each time"), "{said}");
}
