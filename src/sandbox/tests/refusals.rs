//! What is not accepted, and what its owner is told.

use super::*;

/// The bytes of a module with these sections.
fn binary(sections: &[&[u8]]) -> Vec<u8> {
    [b"\0asm\x01\0\0\0".as_slice(), &sections.concat()].concat()
}

/// `(module (func (export "_start")))`.
fn program() -> Vec<u8> {
    let types = [1, 4, 1, 0x60, 0, 0].as_slice();
    let functions = [3, 2, 1, 0].as_slice();
    let exports = [[7, 10, 1, 6].as_slice(), b"_start", &[0, 0]].concat();
    let code = [10, 4, 1, 2, 0, 0x0b].as_slice();
    binary(&[types, functions, &exports, code])
}

fn refused(wasm: &[u8]) -> String {
    SANDBOX.compile(wasm).unwrap_err().to_string()
}

fn refused_text(wat: &str) -> String {
    refused(&wat::parse_str(wat).unwrap())
}

#[test]
fn a_binary_program_is_accepted_and_runs() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), SANDBOX.compile(&program()).unwrap()).unwrap();
    let program = SANDBOX.load_file(file.path()).unwrap();
    assert_eq!(run(&program, plain_run()).outcome, Outcome::Exited { code: 0 });
}

#[test]
fn what_is_no_module_is_named_for_what_it_looks_like() {
    let cases: [(&[u8], &str); 12] = [
        (b"", "empty"),
        (b"\0asm", "ends within its first eight bytes"),
        (b"\0asm\x07\0\0\0", "version of WebAssembly"),
        (b"  (module)", "WebAssembly text"),
        (b"<!DOCTYPE html><html>", "HTML page"),
        (b"\x7fELF\x02\x01\x01", "ELF"),
        (b"MZ\x90\0", "Windows"),
        (b"PK\x03\x04", "ZIP"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"#!/bin/sh\n", "script"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
        (b"\x89PNG\r\n\x1a\n", "does not start with the bytes of a module"),
    ];
    for (bytes, expected) in cases {
        let message = refused(bytes);
        assert!(message.starts_with("not a WebAssembly module: ") && message.contains(expected), "{message}");
    }
}

#[test]
fn a_truncated_or_damaged_module_is_refused_with_the_place() {
    let whole = program();
    for len in 8..whole.len() {
        // Some prefixes are modules: those that end between sections.
        let message = refused(&whole[..len]);
        assert!(message.contains("not a valid") || message.contains("library"), "{len}: {message}");
    }
    let message = refused(&whole[..whole.len() - 1]);
    assert!(message.contains("offset 0x") && message.contains("is the file complete?"), "{message}");
    for at in 8..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        // Whatever it is, it is answered.
        let _ = SANDBOX.compile(&damaged);
    }
}

#[test]
fn libraries_and_modules_for_other_hosts_are_told_what_to_build_instead() {
    let library = refused_text(r#"(module (func (export "_initialize")) (func (export "add")))"#);
    assert!(library.contains("build it as a command"), "{library}");
    let browser = refused_text(r#"(module (import "wbg" "__wbindgen_throw" (func (param i32 i32))))"#);
    assert!(browser.contains("wasm-bindgen") && browser.contains("wasm32-wasip1"), "{browser}");
    let go = refused_text(r#"(module (import "gojs" "runtime.wasmExit" (func (param i32))))"#);
    assert!(go.contains("GOOS=wasip1"), "{go}");
    let old =
        refused_text(r#"(module (import "wasi_unstable" "proc_exit" (func (param i32))) (func (export "_start")))"#);
    assert!(old.contains("wasi_unstable") && old.contains("Rust 1.41"), "{old}");
    let start = refused_text(r#"(module (func (export "_start") (param i32)))"#);
    assert!(start.contains("not a WASI command"), "{start}");
    let component = SANDBOX.compile(&wat::parse_str("(component)").unwrap()).unwrap_err();
    assert_eq!(component, Refusal::ComponentWithoutRun);
}

#[test]
fn missing_imports_are_named_and_so_is_what_is_offered() {
    let one = refused_text(r#"(module (import "env" "foo" (func)) (func (export "_start")))"#);
    assert_eq!(
        one,
        "imports env.foo, which kiln does not offer; offered: wasi_snapshot_preview1, or WASI 0.2 for components"
    );
    let many: String = (0..20).map(|i| format!(r#"(import "env" "f{i}" (func))"#)).collect();
    let many = refused_text(&format!("(module {many})"));
    assert!(many.contains("env.f0, env.f1") && many.contains("and 12 more"), "{many}");
    let unknown = refused_text(r#"(module (import "wasi_snapshot_preview1" "sock_open" (func)))"#);
    assert!(unknown.contains("wasi_snapshot_preview1.sock_open"), "{unknown}");
    let other_type = refused_text(r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)))"#);
    assert!(other_type.contains("fd_write"), "{other_type}");
    let component = refused_text(r#"(component (import "acme:db/store@1.0.0" (instance)))"#);
    assert!(component.contains("acme:db/store"), "{component}");
    let hostile = refused_text(r#"(module (import "env" "\1b[2Jx" (func)))"#);
    assert!(!hostile.contains('\u{1b}'), "{hostile}");
}

#[test]
fn what_a_node_does_not_offer_is_refused_before_anything_runs() {
    let shared = refused_text("(module (memory 1 1 shared))");
    assert!(shared.contains("threads"), "{shared}");
    let wide = refused_text("(module (memory i64 1))");
    assert!(wide.contains("64-bit memory"), "{wide}");
    let legacy = refused_text(r#"(module (tag) (func (export "_start") try (throw 0) catch_all end))"#);
    assert!(legacy.contains("first form") && legacy.contains("-wasm-use-legacy-eh=false"), "{legacy}");
    let table = refused_text(r#"(module (table 200000 funcref) (func (export "_start")))"#);
    assert!(table.contains("200000 entries"), "{table}");
    let tables = "(table 1 funcref)".repeat(5);
    let tables = refused_text(&format!("(module {tables} (func (export \"_start\")))"));
    assert!(tables.contains("5 tables") && tables.contains("at most 4"), "{tables}");
    let two = refused_text(r#"(module (memory 1) (memory 1) (func (export "_start")))"#);
    assert!(two.contains("2 memories"), "{two}");
    let import = r#"(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))"#;
    let hidden = refused_text(&format!(r#"(module {import} (memory 1) (func (export "_start")))"#));
    assert!(hidden.contains("does not export its memory"), "{hidden}");
    let config = SandboxConfig { max_memory_bytes: MIB, ..SandboxConfig::small() };
    let sandbox = Sandbox::new(config, Clock::real()).unwrap();
    let large = wat::parse_str(r#"(module (memory 17) (func (export "_start")))"#).unwrap();
    let large = sandbox.compile(&large).unwrap_err().to_string();
    assert!(large.contains("1114112 bytes") && large.contains("1048576"), "{large}");
}

#[test]
fn compiled_code_that_is_not_ours_is_not_loaded() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for bytes in [b"".as_slice(), b"garbage", &program()] {
        std::fs::write(file.path(), bytes).unwrap();
        assert!(matches!(SANDBOX.load_file(file.path()), Err(LoadError::Unusable(_))));
    }
    let compiled = SANDBOX.compile(&program()).unwrap();
    std::fs::write(file.path(), &compiled[..compiled.len() / 2]).unwrap();
    assert!(matches!(SANDBOX.load_file(file.path()), Err(LoadError::Unusable(_))));
    assert!(matches!(SANDBOX.load_file(std::path::Path::new("/does/not/exist")), Err(LoadError::Io(_))));

    // The work of another configuration: other code, in the same format.
    let other = wasmtime::Engine::default().precompile_module(&program()).unwrap();
    std::fs::write(file.path(), other).unwrap();
    assert!(matches!(SANDBOX.load_file(file.path()), Err(LoadError::Unusable(_))));
}
