;; Prints the files that its arguments name, one after the other. An argument is `DIGIT/PATH`: a path below the directory
;; with this number among those that the guest was given, the root being 0. Exits with the error code of the step that
;; failed, 0 if none did.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (func $check (param $error i32) (if (local.get $error) (then (call $proc_exit (local.get $error)))))
  ;; Prints one file: $path is `DIGIT/PATH`, $length of it without the digit and the slash.
  (func $cat (param $path i32) (param $length i32)
    (call $check (call $path_open
      (i32.add (i32.const 3) (i32.sub (i32.load8_u (local.get $path)) (i32.const 48)))
      (i32.const 0) (i32.add (local.get $path) (i32.const 2)) (local.get $length) (i32.const 0)
      (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 16)))
    (i32.store (i32.const 24) (i32.const 65536))
    (i32.store (i32.const 28) (i32.const 60000))
    (call $check (call $fd_read (i32.load (i32.const 16)) (i32.const 24) (i32.const 1) (i32.const 28)))
    (call $check (call $fd_write (i32.const 1) (i32.const 24) (i32.const 1) (i32.const 20))))
  (func (export "_start")
    (local $i i32) (local $at i32) (local $next i32)
    ;; At 0 the count, at 4 the length of all; pointers at 1024, bytes at 4096.
    (call $check (call $args_sizes_get (i32.const 0) (i32.const 4)))
    (call $check (call $args_get (i32.const 1024) (i32.const 4096)))
    (local.set $i (i32.const 1))
    (block $done
      (loop $more
        (br_if $done (i32.ge_u (local.get $i) (i32.load (i32.const 0))))
        (local.set $at (i32.load (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 4)))))
        (local.set $next (local.get $at))
        (block $end
          (loop $byte
            (br_if $end (i32.eqz (i32.load8_u (local.get $next))))
            (local.set $next (i32.add (local.get $next) (i32.const 1)))
            (br $byte)))
        (call $cat (local.get $at) (i32.sub (i32.sub (local.get $next) (local.get $at)) (i32.const 2)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $more)))))
