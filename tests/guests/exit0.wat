;; Ends at once, with code 0, by returning. It imports nothing.
(module
  (memory (export "memory") 1)
  (func (export "_start")))
