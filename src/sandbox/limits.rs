//! What a guest may hold: bytes of linear memory (all its memories together), table elements, and instances.
//!
//! A request beyond the limit is answered as WebAssembly defines it: `memory.grow` returns -1, and the guest may cope.
//! That it was refused is remembered, because a guest that cannot cope ends in ways of its own choice (an abort, an
//! exit code), and only this memory tells "out of memory" from any other failure.

use wasmtime::{ResourceLimiter, Result};

/// Core instances, memories and tables of one run; an adapted component needs four instances and about as many tables.
const MAX_INSTANCES: usize = 8;
const MAX_MEMORIES: usize = 8;
const MAX_TABLES: usize = 16;

#[derive(Debug)]
pub(super) struct GuestLimits {
    memory_limit: usize,
    table_limit: usize,
    memory: usize,
    peak_memory: usize,
    memory_denied: bool,
}

impl GuestLimits {
    pub(super) fn new(memory_bytes: u64, table_elements: usize) -> GuestLimits {
        GuestLimits {
            memory_limit: usize::try_from(memory_bytes).unwrap_or(usize::MAX),
            table_limit: table_elements,
            memory: 0,
            peak_memory: 0,
            memory_denied: false,
        }
    }

    pub(super) fn peak_memory(&self) -> u64 {
        self.peak_memory as u64
    }

    /// Whether the last request for memory was refused. A guest that asked again for less, and got it, has coped.
    pub(super) fn memory_denied(&self) -> bool {
        self.memory_denied
    }
}

impl ResourceLimiter for GuestLimits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        // Beyond its own declared maximum a memory cannot grow, whatever the limit: that is no want of memory.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        self.memory_denied = total > self.memory_limit;
        if !self.memory_denied {
            self.memory = total;
            self.peak_memory = self.peak_memory.max(total);
        }
        Ok(!self.memory_denied)
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

    #[test]
    fn growth_is_granted_up_to_the_limit_and_not_a_page_beyond() {
        let mut limits = GuestLimits::new(4 * PAGE as u64, 10);
        assert!(limits.memory_growing(0, 2 * PAGE, None).unwrap());
        assert!(limits.memory_growing(2 * PAGE, 4 * PAGE, None).unwrap());
        assert!(!limits.memory_denied());
        assert!(!limits.memory_growing(4 * PAGE, 5 * PAGE, None).unwrap());
        assert!(limits.memory_denied());
        assert_eq!(limits.peak_memory(), 4 * PAGE as u64);
    }

    #[test]
    fn several_memories_share_one_limit() {
        let mut limits = GuestLimits::new(4 * PAGE as u64, 10);
        assert!(limits.memory_growing(0, 3 * PAGE, None).unwrap());
        assert!(!limits.memory_growing(0, 2 * PAGE, None).unwrap());
        assert!(limits.memory_growing(0, PAGE, None).unwrap());
    }

    #[test]
    fn a_guest_that_asks_for_less_and_gets_it_has_coped() {
        let mut limits = GuestLimits::new(4 * PAGE as u64, 10);
        assert!(!limits.memory_growing(0, 8 * PAGE, None).unwrap());
        assert!(limits.memory_growing(0, PAGE, None).unwrap());
        assert!(!limits.memory_denied());
    }

    #[test]
    fn what_the_system_refuses_counts_as_refused() {
        let mut limits = GuestLimits::new(4 * PAGE as u64, 10);
        assert!(limits.memory_growing(0, PAGE, None).unwrap());
        limits.memory_grow_failed(wasmtime::format_err!("no more")).unwrap();
        assert!(limits.memory_denied());
    }

    #[test]
    fn a_memory_that_meets_its_own_declared_maximum_is_not_out_of_memory() {
        let mut limits = GuestLimits::new(4 * PAGE as u64, 10);
        assert!(!limits.memory_growing(PAGE, 2 * PAGE, Some(PAGE)).unwrap());
        assert!(!limits.memory_denied());
    }

    #[test]
    fn tables_grow_up_to_their_limit() {
        let mut limits = GuestLimits::new(0, 10);
        assert!(limits.table_growing(0, 10, None).unwrap());
        assert!(!limits.table_growing(10, 11, None).unwrap());
    }
}
