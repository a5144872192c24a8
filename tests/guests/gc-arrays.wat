;; Makes, fills and copies arrays of 40 MiB each, without end.
(module
  (type $bytes (array (mut i8)))
  (func (export "_start") (local $a (ref $bytes)) (local $b (ref $bytes))
    (loop $again
      (local.set $a (array.new $bytes (i32.const 1) (i32.const 0x2800000)))
      (local.set $b (array.new_default $bytes (i32.const 0x2800000)))
      (array.fill $bytes (local.get $a) (i32.const 0) (i32.const 9) (i32.const 0x2800000))
      (array.copy $bytes $bytes (local.get $b) (i32.const 0) (local.get $a) (i32.const 0) (i32.const 0x2800000))
      (br $again))))
