;; Fills 1 GiB of memory with one instruction, again and again, for ever.
(module
  (memory (export "memory") 16384)
  (func (export "_start")
    (loop $again
      (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x40000000))
      (br $again))))
