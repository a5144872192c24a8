;; Copies 512 MiB of memory with one instruction, up and down with overlap, again and again, for ever.
(module
  (memory (export "memory") 16384)
  (func (export "_start")
    (loop $again
      (memory.copy (i32.const 0x10000000) (i32.const 0) (i32.const 0x20000000))
      (memory.copy (i32.const 0) (i32.const 0x10000000) (i32.const 0x20000000))
      (br $again))))
