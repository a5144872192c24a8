;; Meets another guest in the first volume that it was given, which both share: creates a file there with its first
;; argument as name and content, waits until there is one of the name that its second argument spells with something in
;; it, and prints that. Exits with the error code of the step that failed, 0 if none did.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (func $check (param $error i32) (if (local.get $error) (then (call $proc_exit (local.get $error)))))
  ;; Pointers to the arguments are at 1024, their bytes from 65536 on, the iovec at 24.
  (func $argument (param $n i32) (result i32)
    (i32.load (i32.add (i32.const 1024) (i32.mul (local.get $n) (i32.const 4)))))
  (func $length (param $at i32) (result i32) (local $end i32)
    (local.set $end (local.get $at))
    (block $done
      (loop $byte
        (br_if $done (i32.eqz (i32.load8_u (local.get $end))))
        (local.set $end (i32.add (local.get $end) (i32.const 1)))
        (br $byte)))
    (i32.sub (local.get $end) (local.get $at)))
  ;; Opens a file of the volume; the new descriptor goes to 16. The root is directory 3, the volume 4.
  (func $open (param $name i32) (param $flags i32) (param $rights i64) (result i32)
    (call $path_open
      (i32.const 4) (i32.const 0) (local.get $name) (call $length (local.get $name)) (local.get $flags)
      (local.get $rights) (local.get $rights) (i32.const 0) (i32.const 16)))
  ;; One subscription at 64: kind 0 (clock) at +8, monotonic clock 1 at +16, nanoseconds at +24.
  (func $nap
    (i32.store (i32.const 80) (i32.const 1))
    (i64.store (i32.const 88) (i64.const 2000000))
    (call $check (call $poll_oneoff (i32.const 64) (i32.const 256) (i32.const 1) (i32.const 8))))
  ;; What there is to read in the file of this name goes to 32768; how much, 0 if it is not there (44 is ENOENT).
  (func $look (param $name i32) (result i32) (local $error i32)
    (local.set $error (call $open (local.get $name) (i32.const 0) (i64.const 2)))
    (if (i32.eq (local.get $error) (i32.const 44)) (then (return (i32.const 0))))
    (call $check (local.get $error))
    (i32.store (i32.const 24) (i32.const 32768))
    (i32.store (i32.const 28) (i32.const 1000))
    (call $check (call $fd_read (i32.load (i32.const 16)) (i32.const 24) (i32.const 1) (i32.const 20)))
    (call $check (call $fd_close (i32.load (i32.const 16))))
    (i32.load (i32.const 20)))
  (func (export "_start") (local $found i32)
    (call $check (call $args_sizes_get (i32.const 0) (i32.const 4)))
    (call $check (call $args_get (i32.const 1024) (i32.const 65536)))
    (call $check (call $open (call $argument (i32.const 1)) (i32.const 1) (i64.const 64)))
    (i32.store (i32.const 24) (call $argument (i32.const 1)))
    (i32.store (i32.const 28) (call $length (call $argument (i32.const 1))))
    (call $check (call $fd_write (i32.load (i32.const 16)) (i32.const 24) (i32.const 1) (i32.const 20)))
    (loop $again
      (local.set $found (call $look (call $argument (i32.const 2))))
      (if (i32.eqz (local.get $found)) (then (call $nap) (br $again))))
    (i32.store (i32.const 24) (i32.const 32768))
    (i32.store (i32.const 28) (local.get $found))
    (call $check (call $fd_write (i32.const 1) (i32.const 24) (i32.const 1) (i32.const 20)))))
