;; A component that computes for ever.
(component
  (core module $program (func (export "run") (result i32) (loop $again (br $again)) (i32.const 0)))
  (core instance $program (instantiate $program))
  (func $run (result (result)) (canon lift (core func $program "run")))
  (instance $cli (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $cli)))
