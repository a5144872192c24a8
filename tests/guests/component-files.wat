;; A component that writes to the first directory it is given, in the way that MODE says: 1 appends 64 KiB through a
;; stream COUNT times, each time without waiting for what was written before longer than it must; 2 writes them through
;; a descriptor, one after the other; 3 makes COUNT directories; 4 writes to dev/null through a stream. Fails if any
;; call does.
(component $C
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $io-error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer $C $io-error (type $io-error))
    (alias outer $C $pollable (type $pollable))
    (export "output-stream" (type $output (sub resource)))
    (type $failure-type (variant (case "last-operation-failed" (own $io-error)) (case "closed")))
    (export "stream-error" (type $failure (eq $failure-type)))
    (export "[method]output-stream.check-write" (func (param "self" (borrow $output))
      (result (result u64 (error $failure)))))
    (export "[method]output-stream.write" (func (param "self" (borrow $output)) (param "contents" (list u8))
      (result (result (error $failure)))))
    (export "[method]output-stream.subscribe" (func (param "self" (borrow $output)) (result (own $pollable))))))
  (alias export $streams "output-stream" (type $output))
  (import "wasi:filesystem/types@0.2.0" (instance $types
    (alias outer $C $output (type $output))
    (export "descriptor" (type $descriptor (sub resource)))
    (type $codes (enum
      "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist" "file-too-large"
      "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io" "is-directory" "loop" "too-many-links"
      "message-size" "name-too-long" "no-device" "no-entry" "no-lock" "insufficient-memory" "insufficient-space"
      "not-directory" "not-empty" "not-recoverable" "unsupported" "no-tty" "no-such-device" "overflow" "not-permitted"
      "pipe" "read-only" "invalid-seek" "text-file-busy" "cross-device"))
    (export "error-code" (type $error-code (eq $codes)))
    (type $path-type (flags "symlink-follow"))
    (export "path-flags" (type $path-flags (eq $path-type)))
    (type $open-type (flags "create" "directory" "exclusive" "truncate"))
    (export "open-flags" (type $open-flags (eq $open-type)))
    (type $flags-type (flags "read" "write" "file-integrity-sync" "data-integrity-sync" "requested-write-sync"
      "mutate-directory"))
    (export "descriptor-flags" (type $flags (eq $flags-type)))
    (export "[method]descriptor.write" (func (param "self" (borrow $descriptor)) (param "buffer" (list u8))
      (param "offset" u64) (result (result u64 (error $error-code)))))
    (export "[method]descriptor.append-via-stream"
      (func (param "self" (borrow $descriptor)) (result (result (own $output) (error $error-code)))))
    (export "[method]descriptor.create-directory-at" (func (param "self" (borrow $descriptor)) (param "path" string)
      (result (result (error $error-code)))))
    (export "[method]descriptor.open-at" (func (param "self" (borrow $descriptor)) (param "path-flags" $path-flags)
      (param "path" string) (param "open-flags" $open-flags) (param "flags" $flags)
      (result (result (own $descriptor) (error $error-code)))))))
  (alias export $types "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer $C $descriptor (type $descriptor))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))

  (core module $libc
    (memory (export "memory") 3)
    (data (i32.const 512) "f")
    (data (i32.const 520) "dev/null")
    (data (i32.const 536) "directory0000")
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $next)
      (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 7)) (i32.const -8)))))
  (core instance $libc (instantiate $libc))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $check (canon lower (func $streams "[method]output-stream.check-write") (memory (core memory $libc "memory"))))
  (core func $put (canon lower (func $streams "[method]output-stream.write") (memory (core memory $libc "memory"))))
  (core func $subscribe (canon lower (func $streams "[method]output-stream.subscribe")))
  (core func $drop (canon resource.drop $pollable))
  (core func $write (canon lower (func $types "[method]descriptor.write") (memory (core memory $libc "memory"))))
  (core func $append (canon lower (func $types "[method]descriptor.append-via-stream") (memory (core memory $libc "memory"))))
  (core func $mkdir (canon lower (func $types "[method]descriptor.create-directory-at") (memory (core memory $libc "memory"))))
  (core func $open (canon lower (func $types "[method]descriptor.open-at") (memory (core memory $libc "memory"))))
  (core func $directories (canon lower (func $preopens "get-directories")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))

  (core module $program
    (import "libc" "memory" (memory 3))
    (import "host" "block" (func $block (param i32)))
    (import "host" "check" (func $check (param i32 i32)))
    (import "host" "put" (func $put (param i32 i32 i32 i32)))
    (import "host" "subscribe" (func $subscribe (param i32) (result i32)))
    (import "host" "drop" (func $drop (param i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i64 i32)))
    (import "host" "append" (func $append (param i32 i32)))
    (import "host" "mkdir" (func $mkdir (param i32 i32 i32 i32)))
    (import "host" "open" (func $open (param i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "directories" (func $directories (param i32)))
    (global $failed (mut i32) (i32.const 0))
    (func $must (if (i32.load8_u (i32.const 0)) (then (global.set $failed (i32.const 1)))))

    ;; Waits until the stream takes more.
    (func $ready (param $stream i32) (local $pollable i32)
      (local.set $pollable (call $subscribe (local.get $stream)))
      (call $block (local.get $pollable))
      (call $drop (local.get $pollable))
      (call $check (local.get $stream) (i32.const 0))
      (call $must))
    (func $next (local $at i32)
      (local.set $at (i32.const 548))
      (loop $carry
        (i32.store8 (local.get $at) (i32.add (i32.load8_u (local.get $at)) (i32.const 1)))
        (if (i32.gt_u (i32.load8_u (local.get $at)) (i32.const 57)) (then
          (i32.store8 (local.get $at) (i32.const 48))
          (local.set $at (i32.sub (local.get $at) (i32.const 1)))
          (br $carry)))))

    (func (export "run") (result i32) (local $root i32) (local $file i32) (local $i i64) (local $stream i32)
      (call $directories (i32.const 0))
      (local.set $root (i32.load (i32.load (i32.const 0))))
      ;; follow links; create; read and write
      (call $open (local.get $root) (i32.const 1)
        (select (i32.const 520) (i32.const 512) (i32.eq (i32.const MODE) (i32.const 4)))
        (select (i32.const 8) (i32.const 1) (i32.eq (i32.const MODE) (i32.const 4)))
        (i32.const 1) (i32.const 3) (i32.const 0))
      (call $must)
      (local.set $file (i32.load (i32.const 4)))
      (call $append (local.get $file) (i32.const 0))
      (call $must)
      (local.set $stream (i32.load (i32.const 4)))
      (block $done (loop $more
        (br_if $done (global.get $failed))
        (br_if $done (i64.eq (local.get $i) (i64.const COUNT)))
        (if (i32.or (i32.eq (i32.const MODE) (i32.const 1)) (i32.eq (i32.const MODE) (i32.const 4))) (then
          (call $ready (local.get $stream))
          (call $put (local.get $stream) (i32.const 65536) (i32.const 65536) (i32.const 0))))
        (if (i32.eq (i32.const MODE) (i32.const 2)) (then
          (call $write (local.get $file) (i32.const 65536) (i32.const 65536)
            (i64.mul (local.get $i) (i64.const 65536)) (i32.const 0))))
        (if (i32.eq (i32.const MODE) (i32.const 3)) (then
          (call $next)
          (call $mkdir (local.get $root) (i32.const 536) (i32.const 13) (i32.const 0))))
        (call $must)
        (local.set $i (i64.add (local.get $i) (i64.const 1)))
        (br $more)))
      (call $ready (local.get $stream))
      (global.get $failed)))
  (core instance $program (instantiate $program
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "block" (func $block))
      (export "check" (func $check))
      (export "put" (func $put))
      (export "subscribe" (func $subscribe))
      (export "drop" (func $drop))
      (export "write" (func $write))
      (export "append" (func $append))
      (export "mkdir" (func $mkdir))
      (export "open" (func $open))
      (export "directories" (func $directories))))))
  (func $run (result (result)) (canon lift (core func $program "run")))
  (instance $cli (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $cli)))
