;; Asks for random bytes, of which the last one is beyond its memory.
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 4)
  (func (export "_start") (drop (call $random_get (i32.const 1) (i32.const 262144)))))
