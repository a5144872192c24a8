;; Asks for 1 GiB of random bytes in one call, and exits with 1 if the last eight are still zero.
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 16385)
  (func (export "_start")
    (drop (call $random_get (i32.const 16) (i32.const 0x40000000)))
    (call $proc_exit (i64.eqz (i64.load (i32.const 0x40000008))))))
