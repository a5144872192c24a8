;; Gives up, three calls deep; the last function has the name that Rust gives to `guest::deep::down`.
(module
  (memory (export "memory") 1)
  (func $_ZN5guest4deep4down17h0123456789abcdefE (unreachable))
  (func $middle (call $_ZN5guest4deep4down17h0123456789abcdefE))
  (func (export "_start") (call $middle)))
