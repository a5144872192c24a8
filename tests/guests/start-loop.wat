;; Computes for ever before it has even started: in the start function, during instantiation.
(module
  (memory (export "memory") 1)
  (func $start (loop $again (br $again)))
  (start $start)
  (func (export "_start")))
