;; Takes memory, 1 MiB at a time and touching it, until it is refused; then gives up, as most programs do.
(module
  (memory (export "memory") 1)
  (func $allocate (local $at i32)
    (local.set $at (memory.grow (i32.const 16)))
    (if (i32.eq (local.get $at) (i32.const -1)) (then (unreachable)))
    (i32.store (i32.mul (local.get $at) (i32.const 65536)) (i32.const 1)))
  (func (export "_start") (loop $again (call $allocate) (br $again))))
