//! What a guest may hold: bytes of memory (its linear memories and its heap of garbage-collected objects together), table
//! elements, and instances.
//!
//! A request beyond the limit is answered as WebAssembly defines it: `memory.grow` returns -1, and the guest may cope.
//! That it was refused is remembered, because a guest that cannot cope ends in ways of its own choice (an abort, an
//! exit code), and only this memory tells "out of memory" from any other failure.
//!
//! The heap is another matter. wasmtime asks for twice as much as there is, and collects if that is refused; a guest that
//! needs more ends with an error of its own kind, and any other end has nothing to do with the refusal. And a heap has a
//! limit of its own, because a collection is not interrupted. wasmtime does not say for which memory it asks, so a memory
//! is taken for the heap if it began with the size of one and asks for twice as much: the heap always does, and a linear
//! memory that does is only kept from growing that way beyond the limit of heaps.

use wasmtime::{ResourceLimiter, Result};

use super::meter::Meter;

/// Core instances, memories and tables of one run; an adapted component needs four instances and about as many tables.
const MAX_INSTANCES: usize = 8;
const MAX_MEMORIES: usize = 8;
const MAX_TABLES: usize = 16;

/// Bytes of a heap at its start: seven pages, because hardly a linear memory begins with so many.
pub(super) const HEAP_AT_START: u64 = 7 << 16;

/// What 32 bits address: all that a memory without a declared maximum can grow to.
const MOST: usize = 1 << 32;

#[derive(Debug)]
pub(super) struct GuestLimits {
    memory_limit: usize,
    table_limit: usize,
    heap_limit: usize,
    memory: usize,
    peak_memory: usize,
    /// Sizes that the heap may have now: all that something that may be it has ever had. A few, because each is twice
    /// another.
    heaps: Vec<usize>,
    memory_denied: bool,
    heap_is_full: bool,
    /// Is told what the memories have now.
    meter: Meter,
}

impl GuestLimits {
    pub(super) fn new(memory_bytes: u64, heap_bytes: u64, table_elements: usize, meter: Meter) -> GuestLimits {
        let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        GuestLimits {
            memory_limit: size(memory_bytes),
            heap_limit: size(heap_bytes),
            table_limit: table_elements,
            memory: 0,
            peak_memory: 0,
            heaps: Vec::new(),
            memory_denied: false,
            heap_is_full: false,
            meter,
        }
    }

    pub(super) fn peak_memory(&self) -> u64 {
        self.peak_memory as u64
    }

    /// Whether the last request for linear memory was refused. A guest that asked again for less, and got it, has coped.
    pub(super) fn memory_denied(&self) -> bool {
        self.memory_denied
    }

    /// The limit that a heap which is full has met.
    pub(super) fn of_heap(&self) -> u64 {
        (if self.heap_is_full { self.heap_limit } else { self.memory_limit }) as u64
    }
}

impl ResourceLimiter for GuestLimits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        // Beyond its own declared maximum a memory cannot grow, whatever the limit: that is no want of memory.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let begins_as_heap = current == 0 && desired as u64 == HEAP_AT_START && maximum == Some(MOST);
        let is_heap = current > 0 && desired / 2 >= current && self.heaps.contains(&current);
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        let denied = total > self.memory_limit || (is_heap && desired > self.heap_limit);
        if is_heap {
            self.heap_is_full |= desired > self.heap_limit && total <= self.memory_limit;
        } else {
            self.memory_denied = denied;
        }
        if denied {
            return Ok(false);
        }
        if is_heap || begins_as_heap {
            self.heaps.push(desired);
        }
        self.memory = total;
        self.peak_memory = self.peak_memory.max(total);
        self.meter.set_memory(total as u64);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> Result<()> {
        // More than its type can hold (then we were not asked), or refused by the system after we had granted it. What
        // was granted stays counted: which memory it was for is not said, and too much is the safe side.
        self.memory_denied = true;
        Ok(())
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= self.table_limit)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 65_536;

    fn limits(pages: u64) -> GuestLimits {
        GuestLimits::new(pages << 16, u64::MAX, 10, Meter::default())
    }

    #[test]
    fn growth_is_granted_up_to_the_limit_and_not_a_page_beyond() {
        let mut limits = limits(4);
        assert!(limits.memory_growing(0, 2 * PAGE, None).unwrap());
        assert!(limits.memory_growing(2 * PAGE, 4 * PAGE, None).unwrap());
        assert!(!limits.memory_denied());
        assert!(!limits.memory_growing(4 * PAGE, 5 * PAGE, None).unwrap());
        assert!(limits.memory_denied());
        assert_eq!(limits.peak_memory(), 4 * PAGE as u64);
    }

    #[test]
    fn several_memories_share_one_limit() {
        let mut limits = limits(4);
        assert!(limits.memory_growing(0, 3 * PAGE, None).unwrap());
        assert!(!limits.memory_growing(0, 2 * PAGE, None).unwrap());
        assert!(limits.memory_growing(0, PAGE, None).unwrap());
    }

    #[test]
    fn a_guest_that_asks_for_less_and_gets_it_has_coped() {
        let mut limits = limits(4);
        assert!(!limits.memory_growing(0, 8 * PAGE, None).unwrap());
        assert!(limits.memory_growing(0, PAGE, None).unwrap());
        assert!(!limits.memory_denied());
    }

    #[test]
    fn a_refusal_to_the_heap_is_not_one_to_the_linear_memory() {
        let mut limits = limits(20);
        assert!(limits.memory_growing(0, 7 * PAGE, Some(MOST)).unwrap());
        assert!(limits.memory_growing(0, PAGE, Some(MOST)).unwrap());
        assert!(limits.memory_growing(7 * PAGE, 14 * PAGE, Some(MOST)).unwrap());
        assert!(!limits.memory_growing(14 * PAGE, 28 * PAGE, Some(MOST)).unwrap());
        assert!(!limits.memory_denied());
        assert!(!limits.memory_growing(PAGE, 9 * PAGE, Some(MOST)).unwrap());
        assert!(limits.memory_denied());
        assert_eq!(limits.peak_memory(), 15 * PAGE as u64);
    }

    #[test]
    fn a_heap_grows_up_to_its_own_limit_and_a_linear_memory_of_the_same_size_cannot_hide_it() {
        let mut limits = GuestLimits::new(1 << 32, 40 * PAGE as u64, 10, Meter::default());
        for _ in 0..2 {
            assert!(limits.memory_growing(0, 7 * PAGE, Some(MOST)).unwrap());
        }
        for _ in 0..2 {
            assert!(limits.memory_growing(7 * PAGE, 14 * PAGE, Some(MOST)).unwrap());
        }
        assert!(limits.memory_growing(14 * PAGE, 28 * PAGE, Some(MOST)).unwrap());
        assert!(!limits.memory_growing(14 * PAGE, 41 * PAGE, Some(MOST)).unwrap());
        assert!(!limits.memory_growing(28 * PAGE, 56 * PAGE, Some(MOST)).unwrap());
        // What grows by less is no heap, nor is what began with another size.
        assert!(limits.memory_growing(28 * PAGE, 50 * PAGE, Some(MOST)).unwrap());
        assert!(limits.memory_growing(0, 30 * PAGE, Some(MOST)).unwrap());
        assert!(limits.memory_growing(30 * PAGE, 60 * PAGE, Some(MOST)).unwrap());
    }

    #[test]
    fn what_the_system_refuses_counts_as_refused() {
        let mut limits = limits(4);
        assert!(limits.memory_growing(0, PAGE, None).unwrap());
        limits.memory_grow_failed(wasmtime::format_err!("no more")).unwrap();
        assert!(limits.memory_denied());
    }

    #[test]
    fn a_memory_that_meets_its_own_declared_maximum_is_not_out_of_memory() {
        let mut limits = limits(4);
        assert!(!limits.memory_growing(PAGE, 2 * PAGE, Some(PAGE)).unwrap());
        assert!(!limits.memory_denied());
    }

    #[test]
    fn tables_grow_up_to_their_limit() {
        let mut limits = limits(0);
        assert!(limits.table_growing(0, 10, None).unwrap());
        assert!(!limits.table_growing(10, 11, None).unwrap());
    }
}
