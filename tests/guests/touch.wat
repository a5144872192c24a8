;; Creates empty files in the first directory that it was given, named by a number each, for ever.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $n i64) (local $rest i64) (local $at i32) (local $error i32)
    (loop $again
      (local.set $rest (local.get $n))
      (local.set $at (i32.const 32))
      (loop $digit
        (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $rest) (i64.const 10)))))
        (local.set $rest (i64.div_u (local.get $rest) (i64.const 10)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $digit (i64.ne (local.get $rest) (i64.const 0))))
      (local.set $error (call $path_open
        (i32.const 3) (i32.const 0) (i32.const 32) (i32.sub (local.get $at) (i32.const 32)) (i32.const 1)
        (i64.const 64) (i64.const 64) (i32.const 0) (i32.const 16)))
      (if (local.get $error) (then (call $proc_exit (local.get $error))))
      (drop (call $close (i32.load (i32.const 16))))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br $again))))
