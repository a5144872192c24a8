;; Vectors, relaxed ones too, several results, saturating conversions, sign extension and typed function references; exits
;; with code 0 if all is right.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (type $unary (func (param i32) (result i32)))
  (func $twice (type $unary) (i32.mul (local.get 0) (i32.const 2)))
  (elem declare func $twice)
  (func $both (result i32 i32) (i32.const 3) (i32.const 4))
  (func $fail (param i32) (if (local.get 0) (then (call $proc_exit (i32.const 1)))))
  (func (export "_start") (local $sum v128)
    (local.set $sum (i32x4.add (v128.const i32x4 1 2 3 4) (i32x4.splat (i32.const 10))))
    (call $fail (i32.ne (i32x4.extract_lane 3 (local.get $sum)) (i32.const 14)))
    (call $fail (f32.ne
      (f32x4.extract_lane 0
        (f32x4.relaxed_madd (f32x4.splat (f32.const 2)) (f32x4.splat (f32.const 3)) (f32x4.splat (f32.const 1))))
      (f32.const 7)))
    (call $both)
    (call $fail (i32.ne (i32.mul) (i32.const 12)))
    (call $fail (i32.ne (i32.trunc_sat_f32_s (f32.const nan)) (i32.const 0)))
    (call $fail (i32.ne (i32.extend8_s (i32.const 255)) (i32.const -1)))
    (call $fail (i32.ne (call_ref $unary (i32.const 21) (ref.func $twice)) (i32.const 42)))
    (call $proc_exit (i32.const 0))))
