;; Makes directories, one in the other, as many as its first argument spells, and keeps none of them open. Exits with the
;; error code of the step that failed, 0 if none did.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 32) "d")
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
  (func (export "_start") (local $left i32) (local $fd i32)
    (local.set $left (call $number))
    (local.set $fd (i32.const 3))
    (loop $again
      (if (local.get $left)
        (then
          (call $check (call $mkdir (local.get $fd) (i32.const 32) (i32.const 1)))
          (call $check (call $path_open
            (local.get $fd) (i32.const 0) (i32.const 32) (i32.const 1) (i32.const 2)
            (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 16)))
          (if (i32.ne (local.get $fd) (i32.const 3)) (then (call $check (call $close (local.get $fd)))))
          (local.set $fd (i32.load (i32.const 16)))
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br $again))))))
