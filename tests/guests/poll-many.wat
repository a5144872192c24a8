;; Waits for 10,000 timers at once: more than the sandbox lets one guest hold.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 16)
  (func (export "_start") (local $i i32) (local $at i32)
    (loop $next
      (local.set $at (i32.mul (local.get $i) (i32.const 48)))
      (i32.store (i32.add (local.get $at) (i32.const 16)) (i32.const 1))
      (i64.store (i32.add (local.get $at) (i32.const 24)) (i64.const 3600000000000))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 10000))))
    (drop (call $poll_oneoff (i32.const 0) (i32.const 524288) (i32.const 10000) (i32.const 1048560)))))
