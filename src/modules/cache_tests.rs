use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::modules::blobs::Blobs;
use crate::modules::compiled::{CODE, SEAL, Seal, Sharing};
use crate::modules::compiler::{CompileIn, CompileLimits};
use crate::modules::describe::Description;
use crate::modules::testing::{PROGRAM, SANDBOX};

struct Cache {
    directory: tempfile::TempDir,
    blobs: Blobs,
}

impl Cache {
    fn new() -> Cache {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(directory.path()).unwrap();
        Cache { directory, blobs }
    }

    /// As after a restart.
    fn open(&self) -> Programs {
        self.open_with(Sharing::Own, CompileIn::ThisProcess)
    }

    fn open_with(&self, sharing: Sharing, compile: CompileIn) -> Programs {
        let root = self.directory.path().join("compiled");
        Programs::new(Files::open(&root, sharing, self.blobs.clone(), SANDBOX.clone(), compile).unwrap()).unwrap()
    }

    fn engine(&self) -> PathBuf {
        self.directory.path().join(format!("compiled/{:016x}", SANDBOX.compatibility()))
    }

    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let paths = fs::read_dir(self.engine()).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
    }
}

#[tokio::test]
async fn a_module_is_compiled_once_then_loaded_from_memory_and_after_a_restart_from_disk() {
    let cache = Cache::new();
    let digest = cache.blobs.put(PROGRAM).unwrap();
    let programs = cache.open();
    let first = programs.get(digest).await.unwrap();
    assert!(Arc::ptr_eq(&first, &programs.get(digest).await.unwrap()));
    assert_eq!(programs.compilations(), 1);
    let restarted = cache.open();
    restarted.get(digest).await.unwrap();
    assert_eq!(restarted.compilations(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_at_once_wait_for_one_compilation_even_if_the_first_loses_interest() {
    let cache = Cache::new();
    let digest = cache.blobs.put(PROGRAM).unwrap();
    let programs = cache.open();
    assert!(programs.get(digest).now_or_never().is_none());
    let all = futures::future::join_all((0..100).map(|_| programs.get(digest))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(programs.compilations(), 1);
    assert!(programs.shared.state.lock().under_way.is_empty());
}

fn sealed(code: &[u8]) -> Vec<u8> {
    let compiled = Compiled { seconds: 0.0, description: Description::default() };
    serde_json::to_vec(&Seal { code: Digest::of(code).to_string(), compiled }).unwrap()
}

#[tokio::test]
async fn what_was_noted_of_a_module_is_there_after_a_restart() {
    let cache = Cache::new();
    let digest = cache.blobs.put(PROGRAM).unwrap();
    let programs = cache.open();
    assert_eq!(programs.compiled(digest).await, None);
    programs.get(digest).await.unwrap();
    let noted = programs.compiled(digest).await.unwrap();
    assert_eq!(noted.description.exports, ["_start"]);
    assert_eq!(cache.open().compiled(digest).await, Some(noted));
}

#[tokio::test]
async fn code_that_is_damaged_torn_or_unsealed_is_made_again() {
    let cache = Cache::new();
    let digest = cache.blobs.put(PROGRAM).unwrap();
    cache.open().get(digest).await.unwrap();
    let (code, seal) = (cache.files(CODE).remove(0), cache.files(SEAL).remove(0));
    let whole = fs::read(&code).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for (case, code_now, seal_now) in [
        ("flipped bit", flipped, fs::read(&seal).unwrap()),
        ("torn code", whole[..middle].to_vec(), fs::read(&seal).unwrap()),
        ("torn seal", whole.clone(), b"sha2".to_vec()),
        ("sealed garbage", b"garbage".to_vec(), sealed(b"garbage")),
        ("a seal without end", whole.clone(), vec![b'{'; 1 << 20]),
    ] {
        fs::write(&code, code_now).unwrap();
        fs::write(&seal, seal_now).unwrap();
        let programs = cache.open();
        programs.get(digest).await.unwrap();
        assert_eq!(programs.compilations(), 1, "{case}");
        let sealed: Seal = serde_json::from_slice(&fs::read(&seal).unwrap()).unwrap();
        assert_eq!(Digest::of(&fs::read(&code).unwrap()).to_string(), sealed.code, "{case}");
    }
}

#[tokio::test]
async fn code_is_for_the_owner_only_and_that_of_other_engines_is_removed() {
    use std::os::unix::fs::PermissionsExt;
    let cache = Cache::new();
    let digest = cache.blobs.put(PROGRAM).unwrap();
    let old = cache.directory.path().join("compiled/0123456789abcdef");
    fs::create_dir_all(&old).unwrap();
    fs::write(old.join("x.cwasm"), "old").unwrap();
    cache.open().get(digest).await.unwrap();
    assert!(!old.exists());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&cache.files(CODE)[0]), mode(&cache.engine())), (0o600, 0o700));
    // A crash left a file half-written.
    fs::write(cache.engine().join(".tmpabc"), "half").unwrap();
    cache.open();
    assert_eq!(fs::read_dir(cache.engine()).unwrap().count(), 2);
}

#[tokio::test]
async fn what_is_missing_damaged_or_refused_is_told_and_not_remembered() {
    let cache = Cache::new();
    let programs = cache.open();
    let digest = Digest::of(PROGRAM);
    let missing = programs.get(digest).await.map(drop).unwrap_err();
    assert_eq!(missing.to_string(), format!("there is no module {digest}"));
    let text = cache.blobs.put(b"(module)").unwrap();
    let refused = programs.get(text).await.map(drop).unwrap_err();
    assert!(matches!(refused, ProgramError::Refused(Refusal::NotWasm { .. })), "{refused}");
    cache.blobs.put(PROGRAM).unwrap();
    fs::write(cache.blobs.path(digest), "bad").unwrap();
    let damaged = programs.get(digest).await.map(drop).unwrap_err();
    assert!(damaged.to_string().contains("damaged"), "{damaged}");
    cache.blobs.put(PROGRAM).unwrap();
    programs.get(digest).await.unwrap();
}

#[tokio::test]
async fn a_module_on_which_the_compiler_met_its_limits_is_not_tried_again() {
    use std::os::unix::fs::PermissionsExt;
    let cache = Cache::new();
    let digest = cache.blobs.put(PROGRAM).unwrap();
    let program = cache.directory.path().join("compiler");
    let limits = CompileLimits { memory_bytes: 7 << 20, cpu_seconds: 1, wall_seconds: 60 };
    // Ends as one that is out of memory, and as one that is killed, after which another try is due.
    for (ending, tries) in [("exit 4", 1), ("kill -KILL $$", 3)] {
        fs::write(&program, format!("#!/bin/sh\n{ending}\n")).unwrap();
        fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
        let compile = CompileIn::Child { program: program.clone(), limits };
        let programs = cache.open_with(Sharing::Own, compile);
        for _ in 0..3 {
            let error = programs.get(digest).await.map(drop).unwrap_err();
            let expected = if tries == 1 { "within 7 MiB of memory" } else { "was not compiled" };
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert_eq!(programs.compilations(), tries, "{ending}");
    }
    assert_eq!(cache.files(CODE).len(), 0);
}

#[tokio::test]
async fn a_forgotten_program_is_compiled_again_and_runs_of_it_keep_theirs() {
    let cache = Cache::new();
    let digest = cache.blobs.put(PROGRAM).unwrap();
    let programs = cache.open();
    let held = programs.get(digest).await.unwrap();
    programs.forget(digest);
    assert!(cache.files(CODE).is_empty());
    assert!(!Arc::ptr_eq(&held, &programs.get(digest).await.unwrap()));
    assert_eq!(programs.compilations(), 2);
}

#[tokio::test]
async fn memory_keeps_those_that_were_used_last() {
    let cache = Cache::new();
    let digest = cache.blobs.put(PROGRAM).unwrap();
    let program = cache.open().get(digest).await.unwrap();
    let mut state = State::default();
    let name = |i: usize| Digest::of(&i.to_le_bytes());
    for i in 0..KEPT {
        state.keep(name(i), program.clone());
    }
    assert!(state.kept(name(0)).is_some());
    state.keep(name(KEPT), program.clone());
    assert!(state.kept(name(0)).is_some() && state.kept(name(1)).is_none());
    assert_eq!(state.kept.len(), KEPT);
}

#[tokio::test]
async fn shared_code_is_used_by_all_and_taken_away_by_none() {
    let cache = Cache::new();
    let digest = cache.blobs.put(PROGRAM).unwrap();
    let stranger = cache.engine().join(".tmpabc");
    let first = cache.open_with(Sharing::Shared, CompileIn::ThisProcess);
    first.get(digest).await.unwrap();
    // Another process's, which is at work.
    fs::write(&stranger, "half").unwrap();
    let second = cache.open_with(Sharing::Shared, CompileIn::ThisProcess);
    second.get(digest).await.unwrap();
    assert_eq!((second.compilations(), second.on_disk().len()), (0, 0));
    second.forget(digest);
    assert!(stranger.exists() && cache.files(CODE).len() == 1);
    second.get(digest).await.unwrap();
    assert_eq!(second.compilations(), 0);
}

#[test]
fn a_root_where_others_may_write_is_not_shared() {
    use std::os::unix::fs::PermissionsExt;
    let cache = Cache::new();
    let root = cache.directory.path().join("compiled");
    let open =
        |sharing| Files::open(&root, sharing, cache.blobs.clone(), SANDBOX.clone(), CompileIn::ThisProcess).map(drop);
    open(Sharing::Shared).unwrap();
    fs::set_permissions(&root, PermissionsExt::from_mode(0o777)).unwrap();
    let refused = open(Sharing::Shared).unwrap_err().to_string();
    assert!(refused.contains("others may write there"), "{refused}");
}
