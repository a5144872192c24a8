;; Makes a million garbage-collected objects and keeps the last of each 60,000; then exits with as many as it
;; was told by its arguments (the name of the program counts).
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (type $node (struct (field $value (mut i32)) (field $next (ref null $node))))
  (type $bytes (array (mut i8)))
  (func (export "_start") (local $i i32) (local $list (ref null $node)) (local $array (ref $bytes))
    (loop $again
      (if (i32.eqz (i32.rem_u (local.get $i) (i32.const 60000))) (then (local.set $list (ref.null $node))))
      (local.set $list (struct.new $node (local.get $i) (local.get $list)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 1000000))))
    (local.set $array (array.new $bytes (i32.const 7) (i32.const 1000)))
    (if (i32.ne (array.get_u $bytes (local.get $array) (i32.const 999)) (i32.const 7)) (then (unreachable)))
    (if (i32.ne (struct.get $node $value (local.get $list)) (i32.const 999999)) (then (unreachable)))
    (drop (call $args_sizes (i32.const 0) (i32.const 4)))
    (call $proc_exit (i32.load (i32.const 0)))))
