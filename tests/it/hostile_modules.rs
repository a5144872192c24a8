//! Modules that nobody would write: random valid ones (wasm-smith), real ones that were changed (wasm-mutate) or cut or
//! flipped, huge and deeply nested ones. Each is refused with a reason, or runs to an end within its limits; none stops the
//! process, and nothing of its own may panic.
//!
//! Most are compiled in this process, by the same code that the compiler's child runs, where a panic or an overflown stack
//! ends the test; some go through the real server, which must be well afterwards. `make fuzz-modules COUNT=10000 SEED=2`
//! tries more of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arbitrary::{Arbitrary, Unstructured};
use kiln::clock::Clock;
use kiln::sandbox::{
    Cancel, Deadline, Disk, Limits, Meter, Network, Outcome, Run, Sandbox, SandboxConfig, Sink, Stream,
};
use wasm_encoder::{Encode, Function, Instruction, Module, RawSection};
use wasm_mutate::WasmMutate;
use wasmparser::{BinaryReader, CompositeInnerType, Parser, Payload, ValType};

use super::harness::{Server, example_module, guest, job, padded};

/// How long each may run, and how much later its end must have been told on a busy machine.
const DEADLINE: Duration = Duration::from_millis(100);
const LATE: Duration = Duration::from_secs(10);

const EXAMPLES: [&str; 5] = ["hello", "pi", "exit-code", "fail-once", "memory-hog"];
const COMPONENTS: [&str; 3] = ["component", "component-fails", "component-loop"];

/// Random numbers that a seed repeats.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).take(n).collect()
    }
}

/// One module of each kind in turn; `None` where the dice make none.
fn module(dice: &mut Dice, n: usize) -> Option<Vec<u8>> {
    let seed = dice.bytes(4096);
    let mut random = Unstructured::new(&seed);
    match n % 6 {
        // Anything valid: most have no `_start`, or imports that nobody offers.
        0 => Some(
            wasm_smith::Module::new(wasm_smith::Config::arbitrary(&mut random).ok()?, &mut random).ok()?.to_bytes(),
        ),
        // Programs: a `_start` that calls all functions.
        1 | 2 => {
            let mut config = wasm_smith::Config::arbitrary(&mut random).ok()?;
            config.memory64_enabled = false;
            config.threads_enabled = false;
            config.shared_everything_threads_enabled = false;
            config.custom_page_sizes_enabled = false;
            config.custom_descriptors_enabled = false;
            config.wide_arithmetic_enabled = false;
            config.allow_invalid_funcs = false;
            config.export_everything = true;
            config.max_imports = 0;
            config.min_imports = 0;
            config.max_memories = 1;
            (config.min_types, config.max_types) = (1, 50);
            (config.min_funcs, config.max_funcs) = (1, 50);
            startable(&wasm_smith::Module::new(config, &mut random).ok()?.to_bytes())
        }
        3 => Some(damaged(guest(COMPONENTS[dice.below(COMPONENTS.len())]), dice)),
        4 => {
            let mut wasm = example_module(EXAMPLES[dice.below(EXAMPLES.len())]);
            for _ in 0..=dice.below(3) {
                let mut mutate = WasmMutate::default();
                mutate.seed(dice.next()).fuel(300);
                let next = mutate.run(&wasm).ok()?.find_map(Result::ok);
                wasm = next?;
            }
            Some(wasm)
        }
        _ => Some(damaged(example_module(EXAMPLES[dice.below(EXAMPLES.len())]), dice)),
    }
}

/// Cut off somewhere, or with some bits flipped.
fn damaged(mut wasm: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    if dice.below(2) == 0 {
        wasm.truncate(dice.below(wasm.len()));
    } else {
        for _ in 0..=dice.below(8) {
            let at = dice.below(wasm.len());
            wasm[at] ^= 1 << dice.below(8);
        }
    }
    wasm
}

/// The module with one more function, `_start`, that calls those that take numbers only. `None` if a section is missing.
fn startable(wasm: &[u8]) -> Option<Vec<u8>> {
    let (mut types, mut defined) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.unwrap() {
            Payload::TypeSection(groups) => {
                let all = groups.into_iter().flat_map(|group| group.unwrap().into_types());
                types.extend(all.map(|ty| match ty.composite_type.inner {
                    CompositeInnerType::Func(function) => Some(function),
                    _ => None,
                }));
            }
            Payload::FunctionSection(functions) => defined.extend(functions.into_iter().map(Result::unwrap)),
            _ => {}
        }
    }
    let mut start = Function::new([]);
    for (index, ty) in defined.iter().enumerate() {
        let function = types[*ty as usize].as_ref()?;
        let zero = |ty: &ValType| match ty {
            ValType::I32 => Some(Instruction::I32Const(7)),
            ValType::I64 => Some(Instruction::I64Const(7)),
            ValType::F32 => Some(Instruction::F32Const(0.5.into())),
            ValType::F64 => Some(Instruction::F64Const(0.5.into())),
            _ => None,
        };
        let Some(arguments) = function.params().iter().map(zero).collect::<Option<Vec<_>>>() else { continue };
        for argument in &arguments {
            start.instruction(argument);
        }
        start.instruction(&Instruction::Call(index as u32));
        for _ in function.results() {
            start.instruction(&Instruction::Drop);
        }
    }
    start.instruction(&Instruction::End);
    let mut body = Vec::new();
    start.encode(&mut body);
    let (mut ty, mut export) = (Vec::new(), Vec::new());
    (types.len() as u32).encode(&mut ty);
    "_start".encode(&mut export);
    export.push(0);
    (defined.len() as u32).encode(&mut export);
    let mut module = Module::new();
    let mut added = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.unwrap();
        let Some((id, range)) = payload.as_section() else { continue };
        let item: &[u8] = match id {
            1 => &[0x60, 0, 0],
            3 => &ty,
            7 => &export,
            10 => &body,
            _ => &[],
        };
        let mut data = wasm[range].to_vec();
        if !item.is_empty() {
            added += 1;
            let mut reader = BinaryReader::new(&data, 0);
            let mut longer = Vec::new();
            (reader.read_var_u32().unwrap() + 1).encode(&mut longer);
            longer.extend_from_slice(&data[reader.current_position()..]);
            longer.extend_from_slice(item);
            data = longer;
        }
        module.section(&RawSection { id, data: &data });
    }
    (added == 4).then(|| module.finish())
}

struct Nowhere;

impl Sink for Nowhere {
    fn write(&self, _: Stream, _: &[u8]) {}
}

/// What came of all that were tried.
#[derive(Debug, Default)]
struct Count {
    tried: usize,
    none: usize,
    refused: usize,
    exited: usize,
    trapped: usize,
    stopped: usize,
}

/// Compiles, loads and runs one, and says how it ended.
async fn try_one(sandbox: &Sandbox, directory: &std::path::Path, wasm: &[u8], count: &mut Count) {
    count.tried += 1;
    let code = match sandbox.compile(wasm) {
        Ok(code) => code,
        Err(refusal) => {
            let said = refusal.to_string();
            assert!(!said.is_empty() && said.len() < 16 << 10 && !said.contains("panicked"), "{said}");
            assert!(!refusal.is_hopeless(), "the compiler failed: {said}");
            count.refused += 1;
            return;
        }
    };
    let file = directory.join(format!("{}.cwasm", count.tried));
    std::fs::write(&file, code).unwrap();
    let program = sandbox.load_file(&file).unwrap();
    let begun = Instant::now();
    let run = Run {
        argv: vec!["hostile".to_owned(), "1".to_owned()],
        env: Vec::new(),
        mounts: Vec::new(),
        disk: Disk::unlimited(),
        network: Network::none(),
        sink: Arc::new(Nowhere),
        limits: Limits { memory_bytes: 64 << 20, table_elements: 10_000, fuel: Some(50_000_000) },
        deadline: Deadline::at(begun + DEADLINE),
        cancel: Cancel::new(),
        meter: Meter::default(),
    };
    let ending = sandbox.run(&program, run).await;
    assert!(begun.elapsed() < DEADLINE + LATE, "{:?} took {:?}", ending.outcome, begun.elapsed());
    assert!(ending.usage.peak_memory_bytes <= 64 << 20, "{:?}", ending.usage);
    match ending.outcome {
        Outcome::Exited { .. } => count.exited += 1,
        Outcome::Trap { .. } => count.trapped += 1,
        _ => count.stopped += 1,
    }
    std::fs::remove_file(file).unwrap();
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

#[test]
fn random_and_mutated_modules_are_refused_or_run_within_limits() {
    let (count, seed) = (number("KILN_FUZZ_MODULES", 240), number("KILN_FUZZ_SEED", 1));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let sandbox = Sandbox::new(SandboxConfig::small(), Clock::real()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut done = Count::default();
    for n in 0..count as usize {
        // Each has a seed of its own, by which it can be made again.
        let mut dice = Dice(seed.wrapping_mul(1_000_003).wrapping_add(n as u64));
        let Some(wasm) = module(&mut dice, n) else {
            done.none += 1;
            continue;
        };
        let tried =
            std::panic::AssertUnwindSafe(|| runtime.block_on(try_one(&sandbox, directory.path(), &wasm, &mut done)));
        if let Err(panic) = std::panic::catch_unwind(tried) {
            let kept = std::env::temp_dir().join(format!("kiln-hostile-{seed}-{n}.wasm"));
            std::fs::write(&kept, &wasm).unwrap();
            eprintln!("module {n} of seed {seed}: kept as {}", kept.display());
            std::panic::resume_unwind(panic);
        }
    }
    eprintln!("hostile modules, seed {seed}: {done:?}");
    assert!(done.tried as u64 > count / 2 && done.refused > 0, "{done:?}");
    // Enough of what is made to be a program is one.
    assert!(done.exited + done.trapped + done.stopped > done.tried / 8, "{done:?}");
}

/// A module with so many functions, each of so many nested blocks.
fn nested(functions: usize, depth: usize) -> Vec<u8> {
    let body = format!("{}{}", "(block ".repeat(depth), ")".repeat(depth));
    let functions = format!("(func {body})").repeat(functions);
    wat::parse_str(format!("(module {functions} (func (export \"_start\")))")).unwrap()
}

/// A component in a component, and so on.
fn onion(layers: usize) -> Vec<u8> {
    let mut inner = b"\0asm\x0d\0\x01\0".to_vec();
    for _ in 0..layers {
        let mut size = Vec::new();
        let mut left = inner.len();
        while left >= 0x80 {
            size.push((left & 0x7f) as u8 | 0x80);
            left >>= 7;
        }
        size.push(left as u8);
        inner = [b"\0asm\x0d\0\x01\0\x04".as_slice(), &size, &inner].concat();
    }
    inner
}

#[test]
fn the_server_takes_hostile_modules_or_refuses_them_and_is_well() {
    let limits = ["--compile-seconds", "20", "--compile-memory", "1024"];
    let server = Server::start_with(tempfile::tempdir().unwrap(), &limits);
    let mut all: Vec<Vec<u8>> = vec![
        nested(1, 10_000),
        nested(1, 100_000),
        nested(5_000, 10),
        onion(30),
        onion(2_000),
        padded(20 << 20, 0),
        b"\0asm\x01\0\0\0".to_vec(),
        // Sections that say that they are four gibibytes long, or have as many entries.
        b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\x0f".to_vec(),
        b"\0asm\x01\0\0\0\x01\x05\xff\xff\xff\xff\x0f".to_vec(),
        b"\0asm\x01\0\0\0\x0a\x05\xff\xff\xff\xff\x0f".to_vec(),
        b"\0asm\x0d\0\x01\0\x01\x05\xff\xff\xff\xff\x0f".to_vec(),
        wat::parse_str("(module (memory 65536) (func (export \"_start\")))").unwrap(),
        wat::parse_str("(module (table 4000000000 funcref) (func (export \"_start\")))").unwrap(),
        wat::parse_str(format!("(module {} (func (export \"_start\")))", "(table 1 funcref)".repeat(6))).unwrap(),
        wat::parse_str("(module (func $f (export \"_start\") (call $f)))").unwrap(),
    ];
    let mut dice = Dice(7);
    all.extend((0..12).filter_map(|n| module(&mut dice, n)));
    let (mut taken, mut refused) = (0, 0);
    for (n, wasm) in all.iter().enumerate() {
        let (code, answer) = server.send("PUT", &format!("/modules/hostile:{n}"), "application/wasm", wasm);
        match code {
            201 => {
                taken += 1;
                server.create(&job(
                    &format!("hostile-{n}"),
                    &format!("hostile:{n}"),
                    &["h"],
                    "  backoffLimit: 0\n  activeDeadlineSeconds: 5",
                ));
            }
            422 => {
                let said = answer["message"].as_str().unwrap();
                assert!(!said.is_empty() && said.len() < 16 << 10, "{n}: {said}");
                refused += 1;
            }
            other => panic!("{n}: {other} {answer}"),
        }
    }
    for n in 0..all.len() {
        let name = format!("hostile-{n}");
        if server.send("GET", &format!("/apis/batch/v1/namespaces/default/jobs/{name}"), "", b"").0 == 200 {
            server.wait_for_end(&name);
        }
    }
    eprintln!("hostile modules through the server: {} tried, {taken} taken, {refused} refused", all.len());
    assert!(taken > 2 && refused > 5);
    // As if nothing had been.
    server.push("hello", &guest("hello"));
    server.create(&job("well", "hello", &["hello"], ""));
    assert_eq!(server.wait_for_end("well").1.0, "Complete");
    assert_eq!(server.send("GET", "/readyz", "", b"").0, 200);
}
