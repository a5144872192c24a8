;; Writes as many MiB as its first argument spells, in one call, to the file `out` in the second directory that it was
;; given, or in the first if there is no other. Exits with the error code of the step that failed, 0 if none did.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (data (i32.const 32) "out")
  (func $check (param $error i32) (if (local.get $error) (then (call $proc_exit (local.get $error)))))
  ;; The number that the first argument spells. Pointers at 1024, bytes at 65536.
  (func $number (result i32) (local $at i32) (local $digit i32) (local $number i32)
    (drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
    (drop (call $args_get (i32.const 1024) (i32.const 65536)))
    (local.set $at (i32.load (i32.const 1028)))
    (loop $next
      (local.set $digit (i32.load8_u (local.get $at)))
      (if (local.get $digit)
        (then
          (local.set $number (i32.add
            (i32.mul (local.get $number) (i32.const 10))
            (i32.sub (local.get $digit) (i32.const 48))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next))))
    (local.get $number))
  (func $open (param $directory i32) (result i32)
    (call $path_open
      (local.get $directory) (i32.const 0) (i32.const 32) (i32.const 3) (i32.const 1)
      (i64.const 64) (i64.const 64) (i32.const 0) (i32.const 16)))
  (func (export "_start") (local $bytes i32)
    (local.set $bytes (i32.mul (call $number) (i32.const 0x100000)))
    (if (i32.eq (memory.grow (i32.shr_u (local.get $bytes) (i32.const 16))) (i32.const -1)) (then (unreachable)))
    (if (call $open (i32.const 4)) (then (call $check (call $open (i32.const 3)))))
    (i32.store (i32.const 20) (i32.const 131072))
    (i32.store (i32.const 24) (local.get $bytes))
    (call $check (call $fd_write (i32.load (i32.const 16)) (i32.const 20) (i32.const 1) (i32.const 8)))))
