;; Makes garbage-collected objects without end and keeps them all.
(module
  (type $node (struct (field $value i64) (field $next (ref null $node))))
  (func (export "_start") (local $list (ref null $node))
    (loop $again
      (local.set $list (struct.new $node (i64.const 1) (local.get $list)))
      (br $again))))
