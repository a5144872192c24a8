;; The most fuel per second that straight code can burn: a long run of the cheapest instructions per turn of the loop.
(module
  (memory (export "memory") 1)
  (func (export "_start") (local $x i64) (local $y i64)
    (loop $again
      (local.set $x (i64.add (local.get $x) (i64.const 1)))
      (local.set $y (i64.add (local.get $y) (i64.const 3)))
      (local.set $x (i64.add (local.get $x) (i64.const 5)))
      (local.set $y (i64.add (local.get $y) (i64.const 7)))
      (br $again))))
