;; Takes as many pages of memory as its first argument spells, beyond the two that it has, and sleeps for an hour.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
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
  (func (export "_start")
    (if (i32.eq (memory.grow (call $number)) (i32.const -1)) (then (unreachable)))
    ;; One subscription at 64: kind 0 (clock) at +8, monotonic clock 1 at +16, nanoseconds at +24.
    (i32.store (i32.const 80) (i32.const 1))
    (i64.store (i32.const 88) (i64.const 3600000000000))
    (drop (call $poll_oneoff (i32.const 64) (i32.const 256) (i32.const 1) (i32.const 8)))))
