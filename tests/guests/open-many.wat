;; Opens the first directory that it was given again and again, without ever closing it.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 32) ".")
  (func (export "_start")
    (loop $again
      (drop (call $path_open
        (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 1) (i32.const 2)
        (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 16)))
      (br $again))))
