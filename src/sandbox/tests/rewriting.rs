//! Rewritten modules do what they did, and can be stopped while they do it.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use wasmtime::{Config, Engine, Instance, Memory, Module, Store, Trap};

use super::super::rewrite::interruptible;
use super::*;

const PAGE: u32 = 65_536;
const PAGES: u32 = 20;
const SEGMENT: u32 = 700_000;
const BYTES: u32 = PAGES * PAGE;

/// A module whose exports are the three instructions, and its bytes.
fn subject() -> Vec<u8> {
    let segment: String = (0..SEGMENT).map(|i| char::from(b'a' + (i % 23) as u8)).collect();
    wat::parse_str(format!(
        r#"(module $subject
          (import "" "f" (func $imported (param i32) (result i32)))
          (memory (export "memory") {PAGES})
          (data $data "{segment}")
          (func $fill (export "fill") (param i32 i32 i32)
            (memory.fill (local.get 0) (local.get 1) (local.get 2)))
          (func $copy (export "copy") (param i32 i32 i32) (local i64 f32) (local i64 i64)
            (memory.copy (local.get 0) (local.get 1) (local.get 2)))
          (func $init (export "init") (param i32 i32 i32)
            (memory.init $data (local.get 0) (local.get 1) (local.get 2)))
          (func $drop (export "drop") (param i32 i32 i32) (data.drop $data)))"#
    ))
    .unwrap()
}

struct Machine {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
}

impl Machine {
    fn new(engine: &Engine, wasm: &[u8]) -> Machine {
        let module = Module::new(engine, wasm).unwrap();
        let mut store = Store::new(engine, ());
        let imported = wasmtime::Func::wrap(&mut store, |x: i32| x);
        let instance = Instance::new(&mut store, &module, &[imported.into()]).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        let mut x = 1_u32;
        memory.data_mut(&mut store).fill_with(|| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 24) as u8
        });
        Machine { store, instance, memory }
    }

    fn call(&mut self, name: &str, args: (u32, u32, u32)) -> Option<Trap> {
        let function = self.instance.get_typed_func::<(u32, u32, u32), ()>(&mut self.store, name).unwrap();
        function.call(&mut self.store, args).err().map(|error| *error.downcast_ref::<Trap>().unwrap())
    }
}

/// Addresses and lengths, with the edges of memory, segment and pieces among them more often than chance has it.
fn number() -> impl Strategy<Value = u32> {
    let piece = 256 << 10;
    let edges = vec![0, piece, 2 * piece, BYTES, SEGMENT, BYTES - piece, u32::MAX, 1 << 31];
    prop_oneof![
        3 => 0..BYTES,
        2 => (prop::sample::select(edges), -2..3_i32).prop_map(|(edge, by)| edge.wrapping_add_signed(by)),
        1 => 0..300_u32,
        1 => any::<u32>(),
    ]
}

#[test]
fn the_same_bytes_and_the_same_traps_as_before_the_rewrite() {
    let engine = Engine::default();
    let wasm = subject();
    let rewritten = interruptible(&wasm).unwrap();
    assert_ne!(*rewritten, *wasm);
    wasmparser::validate(&rewritten).unwrap();
    let machines = RefCell::new((Machine::new(&engine, &wasm), Machine::new(&engine, &rewritten)));
    let counts = RefCell::new([0; 2]);
    let config = ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&(prop::sample::select(vec!["fill", "copy", "init"]), number(), number(), number()), |(name, a, b, n)| {
            let (before, after) = &mut *machines.borrow_mut();
            let traps = (before.call(name, (a, b, n)), after.call(name, (a, b, n)));
            prop_assert_eq!(traps.0, traps.1, "{} {} {} {}", name, a, b, n);
            counts.borrow_mut()[usize::from(traps.0.is_some())] += 1;
            let same = before.memory.data(&before.store) == after.memory.data(&after.store);
            prop_assert!(same, "{} {} {} {}: other bytes", name, a, b, n);
            Ok(())
        })
        .unwrap();
    let (mut before, mut after) = machines.into_inner();
    let counts = counts.into_inner();
    eprintln!("done and trapped: {counts:?}");
    assert!(counts.iter().all(|count| *count > 200), "{counts:?}");
    // A segment that was dropped is empty.
    for machine in [&mut before, &mut after] {
        assert_eq!(machine.call("drop", (0, 0, 0)), None);
        assert_eq!(machine.call("init", (0, 0, 0)), None);
        assert_eq!(machine.call("init", (0, 0, 300_000)), Some(Trap::MemoryOutOfBounds));
    }
    assert_eq!(before.memory.data(&before.store), after.memory.data(&after.store));
}

#[test]
fn a_module_without_long_instructions_stays_as_it_is() {
    let short = r#"(module (memory 1) (data $d "abc") (func (param i32)
        (memory.fill (i32.const 0) (local.get 0) (i32.const 262144))
        (memory.copy (i32.const 0) (local.get 0) (i32.const 12))
        (memory.init $d (i32.const 0) (i32.const 0) (local.get 0))))"#;
    for wat in ["(module)", "(component)", "(component (core module))", short] {
        let wasm = wat::parse_str(wat).unwrap();
        assert!(matches!(interruptible(&wasm).unwrap(), std::borrow::Cow::Borrowed(_)), "{wat}");
    }
    // One more byte, or a length that is not known to be small, and it does not.
    for (from, to) in [("262144", "262145"), ("262144", "-1"), ("(i32.const 12)", "(local.get 0)")] {
        let wasm = wat::parse_str(short.replace(from, to)).unwrap();
        let rewritten = interruptible(&wasm).unwrap();
        assert_ne!(*rewritten, *wasm, "{to}");
        wasmparser::validate(&rewritten).unwrap();
    }
}

#[test]
fn modules_within_components_are_rewritten_and_the_rest_is_kept() {
    let fill = r#"(core module $m (memory (export "m") 1) (func (export "f") (param i32)
        (memory.fill (i32.const 0) (i32.const 0) (local.get 0))))"#;
    let rest = r#"(core instance $i (instantiate $m)) (alias core export $i "f" (core func $f))
        (func (export "run") (param "n" u32) (canon lift (core func $f)))"#;
    let plain = wat::parse_str(format!("(component {fill} {rest})")).unwrap();
    let nested = wat::parse_str(format!("(component (component {fill} {rest}) (core module) {fill} {rest})")).unwrap();
    for wasm in [plain, nested] {
        let rewritten = interruptible(&wasm).unwrap();
        assert!(rewritten.len() > wasm.len());
        wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(&rewritten).unwrap();
        assert_eq!(*interruptible(&wasm).unwrap(), *rewritten);
    }
    let deep = wat::parse_str("(component".repeat(40) + &")".repeat(40)).unwrap();
    assert!(interruptible(&deep).unwrap_err().to_string().contains("deep"));
}

#[test]
fn what_cannot_be_read_is_an_error_or_left_alone_and_never_a_panic() {
    let whole = wat::parse_str(include_str!("../../../tests/guests/fill-large.wat")).unwrap();
    for at in 8..whole.len() {
        let _ = interruptible(&whole[..at]);
        for flip in [1, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            let _ = interruptible(&damaged);
        }
    }
}

#[test]
fn the_names_of_the_guests_functions_stay_and_the_added_ones_have_theirs() {
    let wat = r#"(module $guest (memory (export "memory") 1)
        (func $guest::clear (param i32) (memory.fill (i32.const 0) (i32.const 0) (local.get 0)))
        (func $guest::main (export "_start") (call $guest::clear (i32.const 700000))))"#;
    let ending = run(&load(wat), plain_run());
    let (kind, message) = trap_of(&ending);
    assert_eq!(kind, TrapKind::MemoryOutOfBounds);
    let frames: Vec<&str> = message.lines().filter_map(|line| line.split("guest!").nth(1)).collect();
    assert_eq!(frames, ["memory.fill", "guest::clear", "guest::main"], "{message}");
    // Without names of its own.
    let nameless = r#"(module (memory (export "memory") 1) (func (export "_start") (local i32)
        (local.set 0 (i32.const 700000)) (memory.fill (i32.const 0) (i32.const 0) (local.get 0))))"#;
    let ending = run(&load(nameless), plain_run());
    assert!(trap_of(&ending).1.contains("memory.fill"), "{ending:?}");
}

/// Instructions on tables stay as they are: a table has an end that a few milliseconds reach.
#[test]
fn an_instruction_on_a_whole_table_of_the_largest_size_is_short() {
    let entries = SandboxConfig::default().max_table_elements;
    let functions = "$f ".repeat(entries);
    let wasm = wat::parse_str(format!(
        r#"(module (table $a {entries} funcref) (table $b {entries} funcref) (table $any {entries} anyref)
          (type $s (struct)) (func $f) (elem $e func {functions})
          (func (export "fill") (table.fill $a (i32.const 0) (ref.func $f) (i32.const {entries})))
          (func (export "init") (table.init $a $e (i32.const 0) (i32.const 0) (i32.const {entries})))
          (func (export "copy") (table.copy $b $a (i32.const 0) (i32.const 0) (i32.const {entries})))
          (func (export "fill objects")
            (table.fill $any (i32.const 0) (struct.new $s) (i32.const {entries})))
          (func (export "copy objects")
            (table.copy $any $any (i32.const 1) (i32.const 0) (i32.const {}))))"#,
        entries - 1
    ))
    .unwrap();
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &Module::new(&engine, wasm).unwrap(), &[]).unwrap();
    for name in ["fill", "init", "copy", "fill objects", "copy objects", "fill objects"] {
        let function = instance.get_typed_func::<(), ()>(&mut store, name).unwrap();
        let start = now();
        function.call(&mut store, ()).unwrap();
        let took = now() - start;
        eprintln!("{name} of {entries} entries: {took:?}");
        assert!(took < PROMPT, "{name}: {took:?}");
    }
}

/// Not a test of a promise: prints what the rewrite costs.
#[test]
fn what_the_rewrite_costs_is_printed() {
    let mut config = Config::new();
    config.consume_fuel(true).epoch_interruption(true);
    let engine = Engine::new(&config).unwrap();
    let wasm = wat::parse_str(
        r#"(module (memory (export "memory") 64) (func (export "copies") (param $n i32) (param $times i32)
          (loop $again
            (memory.copy (i32.const 0) (i32.const 2000000) (local.get $n))
            (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))))"#,
    )
    .unwrap();
    let rewritten = interruptible(&wasm).unwrap();
    for (n, times) in [(16, 1_000_000), (256, 1_000_000), (4096, 200_000), (65_536, 20_000), (1 << 20, 500)] {
        let timed = |wasm: &[u8]| {
            let mut store = Store::new(&engine, ());
            store.set_fuel(u64::MAX).unwrap();
            store.set_epoch_deadline(1 << 40);
            let instance = Instance::new(&mut store, &Module::new(&engine, wasm).unwrap(), &[]).unwrap();
            let copies = instance.get_typed_func::<(u32, u32), ()>(&mut store, "copies").unwrap();
            let mut best = Duration::MAX;
            for _ in 0..5 {
                let start = now();
                copies.call(&mut store, (n, times)).unwrap();
                best = best.min(now() - start);
            }
            best
        };
        let (before, after) = (timed(&wasm), timed(&rewritten));
        let ratio = after.as_secs_f64() / before.as_secs_f64();
        eprintln!("copy of {n} bytes: {:?} each, rewritten {:?}, {ratio:.2}", before / times, after / times);
    }
}
