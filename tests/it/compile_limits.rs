//! A module that is made to keep the compiler busy is refused, and pods and the API do not notice.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, FunctionSection, Instruction, MemArg, MemorySection, MemoryType,
    Module, TypeSection, ValType,
};

use super::harness::{Server, guest, job, wait_for};

/// A program of four long functions without any structure, 26 MB together. They take the compiler 15 seconds or more,
/// and above a gibibyte.
fn costly() -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    let at = MemArg { offset: 0, align: 3, memory_index: 0 };
    for seed in 0..4 {
        let mut function = Function::new([(50, ValType::I64)]);
        let mut x: u32 = seed + 1;
        for _ in 0..350_000 {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let local = |shift: u32| Instruction::LocalGet((x >> shift) % 50);
            // Stores, so that nothing is left out as useless.
            function.instruction(&Instruction::I32Const((x >> 18).cast_signed()));
            function.instruction(&local(8)).instruction(&local(16)).instruction(&Instruction::I64Mul);
            function.instruction(&Instruction::I64Store(at));
            function.instruction(&local(8)).instruction(&local(20)).instruction(&Instruction::I64Add);
            function.instruction(&Instruction::LocalSet((x >> 24) % 50));
        }
        function.instruction(&Instruction::End);
        functions.function(0);
        code.function(&function);
    }
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
    let mut exports = ExportSection::new();
    exports.export("_start", ExportKind::Func, 0);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memories).section(&exports).section(&code);
    module.finish()
}

fn push(server: &Server, name: &str, module: &[u8]) -> (u16, Value) {
    server.send("PUT", &format!("/modules/{name}"), "application/wasm", module)
}

fn server(args: &[&str]) -> Server {
    Server::start_with(tempfile::tempdir().unwrap(), args)
}

/// The compilers at work for the state in `dir`, by process id.
fn compilers(dir: &Path) -> Vec<String> {
    let own = dir.to_string_lossy().into_owned();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let is_one = |process: &std::fs::DirEntry| {
        let words = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words);
        words.contains("compile-module") && words.contains(&own)
    };
    processes.filter(is_one).map(|process| process.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_module_that_takes_the_compiler_too_long_is_refused_and_nobody_else_notices() {
    let server = server(&["--compile-seconds", "3"]);
    server.push("ok", &guest("exit0"));
    let module = costly();
    let begun = Instant::now();
    let (code, status) = std::thread::scope(|scope| {
        let upload = scope.spawn(|| push(&server, "costly", &module));
        wait_for("the compiler", || match compilers(server.dir.path()) {
            found if found.len() == 1 => Ok(()),
            found => Err(found),
        });
        server.create(&job("meanwhile", "ok", &["ok"], ""));
        assert_eq!(server.wait_for_end("meanwhile").1.0, "Complete");
        let asked = Instant::now();
        assert_eq!(server.send("GET", "/readyz", "text/plain", b"").0, 200);
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        assert!(!upload.is_finished(), "it was compiled, or given up, too early");
        upload.join().unwrap()
    });
    let first = begun.elapsed();
    eprintln!("refused after {first:?}");
    let says = "cannot be compiled within 3 s of computing";
    assert!(code == 422 && status["message"].as_str().unwrap().contains(says), "{code} {status}");
    assert!(compilers(server.dir.path()).is_empty());
    // It is remembered, without another try.
    let begun = Instant::now();
    let (code, status) = push(&server, "again", &module);
    assert!(code == 422 && status["message"].as_str().unwrap().contains(says), "{code} {status}");
    assert!(begun.elapsed() < first / 2, "{:?} after {first:?}", begun.elapsed());
    server.push("another", &guest("hello"));
}

#[test]
fn a_module_that_takes_the_compiler_too_much_memory_is_refused() {
    let server = server(&["--compile-memory", "512"]);
    server.push("ok", &guest("hello"));
    let (code, status) = push(&server, "costly", &costly());
    let says = "cannot be compiled within 512 MiB of memory";
    assert!(code == 422 && status["message"].as_str().unwrap().contains(says), "{code} {status}");
    server.push("another", &guest("exit0"));
}

#[test]
fn a_compiler_ends_with_its_server() {
    let server = server(&[]);
    let (url, dir) = (server.url.clone(), server.dir.path().to_owned());
    let upload = std::thread::spawn(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().build().into();
        // It breaks off.
        let _ = agent.put(format!("{url}/modules/costly")).send(&costly()[..]);
    });
    wait_for("the compiler", || match compilers(&dir) {
        found if found.len() == 1 => Ok(()),
        found => Err(found),
    });
    let _kept = server.kill();
    wait_for("its end", || match compilers(&dir) {
        found if found.is_empty() => Ok(()),
        found => Err(found),
    });
    upload.join().unwrap();
}
