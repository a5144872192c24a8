;; Fills 16 KiB of memory with one instruction, again and again, for ever: the most fuel per second that real work burns.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (loop $again
      (memory.fill (i32.const 0) (i32.const 1) (i32.const 16384))
      (br $again))))
