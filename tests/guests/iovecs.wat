;; Writes eight million empty buffers to stdout in a single call, again and again, for ever.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1025)
  (func (export "_start")
    (loop $again
      (drop (call $fd_write (i32.const 1) (i32.const 65536) (i32.const 8388000) (i32.const 8)))
      (br $again))))
