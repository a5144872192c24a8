;; Asks for 3 GiB at once and, if refused, exits with code 7, as programs do that check their allocations.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i32.eq (memory.grow (i32.const 49152)) (i32.const -1)) (then (call $proc_exit (i32.const 7))))))
