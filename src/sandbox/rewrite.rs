//! Makes long instructions short: `memory.fill`, `memory.copy` and `memory.init` become calls of functions, added to the
//! module, that do the same in pieces.
//!
//! Why: compiled code looks at the deadline between instructions and never within one, and one of these may touch 4 GiB,
//! at up to 1.2 ms per MiB that the guest had never touched. A piece of [`PIECE`] bytes takes 0.3 ms at most.
//!
//! Only long pieces take the call: the length is looked at first, for which a function gets one more local. The added
//! functions and their type come after all others, so nothing that the module says about its functions changes;
//! everything else is copied byte by byte. An instruction whose length is a constant of at most a piece stays as it is, as
//! does a module without long instructions, and instructions on tables, which take well below a millisecond even on the
//! largest. Cost, measured with copies of a length that the compiler cannot know: none that stands out from the noise of a
//! shared machine, from 16 bytes (7 to 13 ns each) to a mebibyte.
//!
//! Never: another behaviour than the instruction's. Out of bounds it traps before a byte is written, because then the
//! instruction itself is carried out; overlapping bytes are copied in the direction that does not lose any.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use wasm_encoder::{BlockType, CodeSection, Component, Encode, Function, Instruction, Module, NameMap, RawSection};
use wasmparser::{
    BinaryReader, BinaryReaderError, Chunk, CompositeInnerType, FunctionBody, Operator, Parser, Payload, TypeRef,
};

/// Bytes that one instruction may touch. Smaller costs more checks, larger more delay.
const PIECE: i32 = 256 << 10;

/// Components within components; no toolchain makes more than a few.
const MAX_DEPTH: usize = 32;

/// Goes into what tells compiled code of one version of kiln from that of another: to be raised with every change here.
pub(super) const VERSION: u64 = 1;

/// Why a module could not be rewritten.
#[derive(Debug, thiserror::Error)]
pub(super) enum RewriteError {
    #[error(transparent)]
    Unreadable(#[from] BinaryReaderError),
    #[error("components within components, more than {MAX_DEPTH} deep")]
    TooDeep,
}

type Result<T> = std::result::Result<T, RewriteError>;

/// The module or component, without instructions that take long. Fails if it cannot be read.
pub(super) fn interruptible(wasm: &[u8]) -> Result<Cow<'_, [u8]>> {
    let rewritten = if Parser::is_component(wasm) { component(wasm, 0)? } else { module(wasm)? };
    Ok(rewritten.map_or(Cow::Borrowed(wasm), Cow::Owned))
}

/// An instruction that may be long, with the memories and the segment that it names.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Bulk {
    Fill { memory: u32 },
    Copy { to: u32, from: u32 },
    Init { memory: u32, segment: u32 },
}

/// An instruction to replace: which, and where it is in the file.
struct Site {
    bulk: Bulk,
    at: Range<usize>,
}

/// What must be known of a module before it can be written anew.
#[derive(Default)]
struct Scan<'a> {
    /// How many parameters each type has, if it is one of functions.
    types: Vec<u32>,
    /// How many functions there are, imported ones included.
    functions: u32,
    /// The types of those that are not imported.
    defined: Vec<u32>,
    /// Bodies of functions, with the sites in each.
    bodies: Vec<(FunctionBody<'a>, Vec<Site>)>,
    /// Lengths of the data segments.
    segments: Vec<usize>,
}

impl<'a> Scan<'a> {
    fn of(wasm: &'a [u8]) -> Result<Scan<'a>> {
        let mut scan = Scan::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::TypeSection(groups) => {
                    for group in groups {
                        scan.types.extend(group?.types().map(|ty| match &ty.composite_type.inner {
                            CompositeInnerType::Func(function) => u32::try_from(function.params().len()).unwrap_or(0),
                            _ => 0,
                        }));
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        scan.functions += u32::from(matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
                    }
                }
                Payload::FunctionSection(functions) => {
                    scan.functions += functions.count();
                    scan.defined = functions.into_iter().collect::<std::result::Result<_, _>>()?;
                }
                Payload::CodeSectionEntry(body) => {
                    let sites = sites(&body)?;
                    scan.bodies.push((body, sites));
                }
                Payload::DataSection(segments) => {
                    for segment in segments {
                        scan.segments.push(segment?.data.len());
                    }
                }
                _ => {}
            }
        }
        // Only now is it known which segments are longer than a piece.
        let segments = &scan.segments;
        let is_short = |site: &Site| match site.bulk {
            Bulk::Init { segment, .. } => segments.get(segment as usize).is_none_or(|len| *len <= PIECE as usize),
            Bulk::Fill { .. } | Bulk::Copy { .. } => false,
        };
        for (_, sites) in &mut scan.bodies {
            sites.retain(|site| !is_short(site));
        }
        Ok(scan)
    }

    /// The index of the type of the functions to add.
    fn helper_type(&self) -> u32 {
        u32::try_from(self.types.len()).unwrap_or(u32::MAX)
    }

    /// The functions to add, in the order of their indices.
    fn helpers(&self) -> Vec<Bulk> {
        let mut helpers: HashMap<Bulk, usize> = HashMap::new();
        for site in self.bodies.iter().flat_map(|(_, sites)| sites) {
            let next = helpers.len();
            helpers.entry(site.bulk).or_insert(next);
        }
        let mut helpers: Vec<_> = helpers.into_iter().collect();
        helpers.sort_unstable_by_key(|(_, index)| *index);
        helpers.into_iter().map(|(bulk, _)| bulk).collect()
    }
}

/// The instructions of a function that may be long.
fn sites(body: &FunctionBody<'_>) -> Result<Vec<Site>> {
    let mut sites = Vec::new();
    let mut reader = body.get_operators_reader()?;
    let mut length_is_small = false;
    while !reader.eof() {
        let (operator, start) = reader.read_with_offset()?;
        let bulk = match operator {
            Operator::MemoryFill { mem } => Some(Bulk::Fill { memory: mem }),
            Operator::MemoryCopy { dst_mem, src_mem } => Some(Bulk::Copy { to: dst_mem, from: src_mem }),
            Operator::MemoryInit { data_index, mem } => Some(Bulk::Init { memory: mem, segment: data_index }),
            _ => None,
        };
        if let Some(bulk) = bulk.filter(|_| !length_is_small) {
            sites.push(Site { bulk, at: start..reader.original_position() });
        }
        // The length is what was pushed last, and a constant right before the instruction is that.
        length_is_small = matches!(operator, Operator::I32Const { value: 0..=PIECE });
    }
    Ok(sites)
}

/// `None` if there is nothing to change.
fn module(wasm: &[u8]) -> Result<Option<Vec<u8>>> {
    let scan = Scan::of(wasm)?;
    let helpers = scan.helpers();
    if helpers.is_empty() {
        return Ok(None);
    }
    let names = names(&scan, &helpers);
    let mut new = Module::new();
    let mut has_names = false;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        let Some((id, range)) = payload.as_section() else { continue };
        let contents = &wasm[range];
        match payload {
            Payload::TypeSection(_) => {
                // One function type: three 32-bit integers, no results.
                let i32 = [0x7f; 3];
                let ty = [[0x60, 3].as_slice(), &i32, &[0]].concat();
                new.section(&RawSection { id, data: &longer(contents, 1, &ty)? });
            }
            Payload::FunctionSection(_) => {
                let mut types = Vec::new();
                helpers.iter().for_each(|_| scan.helper_type().encode(&mut types));
                new.section(&RawSection { id, data: &longer(contents, helpers.len(), &types)? });
            }
            Payload::CodeSectionStart { .. } => {
                new.section(&code(wasm, &scan, &helpers)?);
            }
            Payload::CustomSection(custom) if custom.name() == "name" && !has_names => {
                has_names = true;
                // Names that cannot be read are nobody's loss.
                let data = with_names(custom.data(), &names).unwrap_or_else(|_| custom.data().to_vec());
                new.section(&wasm_encoder::CustomSection { name: "name".into(), data: data.into() });
            }
            _ => {
                new.section(&RawSection { id, data: contents });
            }
        }
    }
    if !has_names {
        let mut section = wasm_encoder::NameSection::new();
        section.functions(&names);
        new.section(&section);
    }
    Ok(Some(new.finish()))
}

/// A section that begins with a count, with more items at its end.
fn longer(contents: &[u8], more: usize, items: &[u8]) -> Result<Vec<u8>> {
    let mut reader = BinaryReader::new(contents, 0);
    let count = reader.read_var_u32()? as usize + more;
    let mut new = Vec::with_capacity(contents.len() + items.len() + 5);
    count.encode(&mut new);
    new.extend_from_slice(&contents[reader.current_position()..]);
    new.extend_from_slice(items);
    Ok(new)
}

fn code(wasm: &[u8], scan: &Scan<'_>, helpers: &[Bulk]) -> Result<CodeSection> {
    let index: HashMap<Bulk, u32> = helpers.iter().copied().zip(scan.functions..).collect();
    let mut code = CodeSection::new();
    for (number, (body, sites)) in scan.bodies.iter().enumerate() {
        if sites.is_empty() {
            code.raw(body.as_bytes());
            continue;
        }
        let params = scan.defined.get(number).and_then(|ty| scan.types.get(*ty as usize)).copied().unwrap_or(0);
        let mut locals = body.get_locals_reader()?;
        let (groups, groups_start) = (locals.get_count(), locals.original_position());
        let mut count = params;
        for _ in 0..groups {
            count = count.saturating_add(locals.read()?.0);
        }
        let mut copied = locals.original_position();
        let mut new = Vec::with_capacity(body.as_bytes().len() + 16 * sites.len());
        // One more local, a 32-bit integer, for the length: a short piece is dealt with here, without a call.
        (groups + 1).encode(&mut new);
        new.extend_from_slice(&wasm[groups_start..copied]);
        new.extend_from_slice(&[1, 0x7f]);
        for site in sites {
            use Instruction as I;
            new.extend_from_slice(&wasm[copied..site.at.start]);
            let is_short = [I::LocalTee(count), I::LocalGet(count), I::I32Const(PIECE), I::I32LeU];
            is_short.iter().for_each(|instruction| instruction.encode(&mut new));
            I::If(BlockType::FunctionType(scan.helper_type())).encode(&mut new);
            new.extend_from_slice(&wasm[site.at.clone()]);
            [I::Else, I::Call(index[&site.bulk]), I::End].iter().for_each(|instruction| instruction.encode(&mut new));
            copied = site.at.end;
        }
        new.extend_from_slice(&wasm[copied..body.range().end]);
        code.raw(&new);
    }
    for bulk in helpers {
        code.function(&helper(*bulk, scan));
    }
    Ok(code)
}

/// What the functions are called in backtraces.
fn names(scan: &Scan<'_>, helpers: &[Bulk]) -> NameMap {
    let mut names = NameMap::new();
    for (bulk, index) in helpers.iter().zip(scan.functions..) {
        let name = match bulk {
            Bulk::Fill { .. } => "memory.fill",
            Bulk::Copy { .. } => "memory.copy",
            Bulk::Init { .. } => "memory.init",
        };
        names.append(index, name);
    }
    names
}

/// The names of a module, with more names of functions.
fn with_names(data: &[u8], names: &NameMap) -> Result<Vec<u8>> {
    const FUNCTIONS: u8 = 1;
    let mut added = Vec::new();
    names.encode(&mut added);
    let mut reader = BinaryReader::new(&added, 0);
    let count = reader.read_var_u32()? as usize;
    let (added, more) = (&added[reader.current_position()..], count);

    let mut new = Vec::with_capacity(data.len() + added.len() + 16);
    let mut subsection = |id: u8, contents: &[u8]| {
        new.push(id);
        contents.encode(&mut new);
    };
    let mut reader = BinaryReader::new(data, 0);
    let mut done = false;
    while !reader.eof() {
        let id = reader.read_u8()?;
        let len = reader.read_var_u32()? as usize;
        let contents = reader.read_bytes(len)?;
        if id > FUNCTIONS && !done {
            subsection(FUNCTIONS, &longer(&[0], more, added)?);
            done = true;
        }
        if id == FUNCTIONS && !done {
            subsection(id, &longer(contents, more, added)?);
            done = true;
        } else {
            subsection(id, contents);
        }
    }
    if !done {
        subsection(FUNCTIONS, &longer(&[0], more, added)?);
    }
    Ok(new)
}

/// A function that does what the instruction does, with its three operands as parameters.
fn helper(bulk: Bulk, scan: &Scan<'_>) -> Function {
    use Instruction as I;
    const TO: u32 = 0;
    const FROM: u32 = 1;
    const LEN: u32 = 2;
    let mut function = Function::new([]);
    let mut emit = |instructions: &[I<'_>]| {
        instructions.iter().for_each(|i| {
            function.instruction(i);
        })
    };
    let instruction = match bulk {
        Bulk::Fill { memory } => I::MemoryFill(memory),
        Bulk::Copy { to, from } => I::MemoryCopy { src_mem: from, dst_mem: to },
        Bulk::Init { memory, segment } => I::MemoryInit { mem: memory, data_index: segment },
    };
    let local_end = |local| [I::LocalGet(local), I::I64ExtendI32U, I::LocalGet(LEN), I::I64ExtendI32U, I::I64Add];
    let memory_size = |memory| [I::MemorySize(memory), I::I64ExtendI32U, I::I64Const(16), I::I64Shl];
    let advance = |local| [I::LocalGet(local), I::I32Const(PIECE), I::I32Add, I::LocalSet(local)];

    // Whatever is short, or would trap, is left to the instruction itself: after this block.
    emit(&[I::Block(BlockType::Empty), I::LocalGet(LEN), I::I32Const(PIECE), I::I32LeU, I::BrIf(0)]);
    let (to, from) = match bulk {
        Bulk::Fill { memory } => (memory, None),
        Bulk::Copy { to, from } => (to, Some(memory_size(from).to_vec())),
        Bulk::Init { memory, segment } => {
            let len = scan.segments.get(segment as usize).copied().unwrap_or(0);
            (memory, Some(vec![I::I64Const(i64::try_from(len).unwrap_or(i64::MAX))]))
        }
    };
    emit(&local_end(TO));
    emit(&memory_size(to));
    emit(&[I::I64GtU, I::BrIf(0)]);
    if let Some(size) = &from {
        emit(&local_end(FROM));
        emit(size);
        emit(&[I::I64GtU, I::BrIf(0)]);
    }
    if matches!(bulk, Bulk::Copy { .. }) {
        // To higher addresses: the last piece first.
        emit(&[I::LocalGet(TO), I::LocalGet(FROM), I::I32GtU, I::If(BlockType::Empty), I::Loop(BlockType::Empty)]);
        emit(&[I::LocalGet(LEN), I::I32Const(PIECE), I::I32Sub, I::LocalSet(LEN)]);
        emit(&[I::LocalGet(TO), I::LocalGet(LEN), I::I32Add, I::LocalGet(FROM), I::LocalGet(LEN), I::I32Add]);
        emit(&[I::I32Const(PIECE), instruction.clone()]);
        emit(&[I::LocalGet(LEN), I::I32Const(PIECE), I::I32GtU, I::BrIf(0), I::End, I::Br(1), I::End]);
    }
    emit(&[I::Loop(BlockType::Empty)]);
    emit(&[I::LocalGet(TO), I::LocalGet(FROM), I::I32Const(PIECE), instruction.clone()]);
    emit(&advance(TO));
    if from.is_some() {
        emit(&advance(FROM));
    }
    emit(&[I::LocalGet(LEN), I::I32Const(PIECE), I::I32Sub, I::LocalTee(LEN)]);
    emit(&[I::I32Const(PIECE), I::I32GtU, I::BrIf(0), I::End, I::End]);
    emit(&[I::LocalGet(TO), I::LocalGet(FROM), I::LocalGet(LEN), instruction, I::End]);
    function
}

/// `None` if there is nothing to change in any of its modules.
fn component(wasm: &[u8], depth: usize) -> Result<Option<Vec<u8>>> {
    if depth > MAX_DEPTH {
        return Err(RewriteError::TooDeep);
    }
    let mut new = Component::new();
    let mut changed = false;
    let mut parser = Parser::new(0);
    let mut at = 0;
    while at < wasm.len() {
        let Chunk::Parsed { consumed, payload } = parser.parse(&wasm[at..], true)? else { break };
        at += consumed;
        let Some((id, range)) = payload.as_section() else { continue };
        let contents = wasm.get(range.clone()).unwrap_or_default();
        let inner = match payload {
            Payload::ModuleSection { .. } => module(contents)?,
            Payload::ComponentSection { .. } => component(contents, depth + 1)?,
            _ => None,
        };
        if matches!(payload, Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) {
            at += range.len();
        }
        changed |= inner.is_some();
        new.section(&RawSection { id, data: inner.as_deref().unwrap_or(contents) });
    }
    Ok(changed.then(|| new.finish()))
}
