;; Grows a table until it is refused, and exits with code 0 if it got no more than 10,000 entries, with 1 otherwise.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (table $table 1 funcref)
  (func (export "_start")
    (loop $again
      (br_if $again (i32.ne (table.grow $table (ref.null func) (i32.const 100)) (i32.const -1))))
    (call $proc_exit (i32.gt_u (table.size $table) (i32.const 10000)))))
