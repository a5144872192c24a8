;; A loop of a million turns made of calls: each is the last thing that its caller does, so none needs more stack.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func $even (param i32 i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call $odd (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 1) (i32.const 1))))
  (func $odd (param i32 i32) (result i32)
    (return_call $even (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 1) (i32.const 1))))
  (func (export "_start")
    (call $proc_exit (i32.ne (call $even (i32.const 1000000) (i32.const 0)) (i32.const 1000000)))))
