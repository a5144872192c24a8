;; Makes garbage-collected objects without end and drops each, among them a long list at a time.
(module
  (type $node (struct (field $value i64) (field $next (ref null $node))))
  (func (export "_start") (local $list (ref null $node)) (local $i i32)
    (loop $again
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (local.set $list (struct.new $node (i64.const 1) (local.get $list)))
      (if (i32.eqz (i32.rem_u (local.get $i) (i32.const 500000))) (then (local.set $list (ref.null $node))))
      (br $again))))
