;; Asks for 3 GiB, is content with 64 KiB instead, and then exits with code 3 for reasons of its own.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (memory.grow (i32.const 49152)))
    (drop (memory.grow (i32.const 1)))
    (call $proc_exit (i32.const 3))))
