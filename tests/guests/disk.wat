;; Fills a directory in the way that its first argument names, as often or as far as the second says. Files are written in
;; blocks of 64 KiB. Ends with the error number of the first call that fails.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pwrite" (func $fd_pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $set_size (param i32 i64) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_get" (func $filestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_link" (func $link (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_symlink" (func $symlink (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_rename" (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
  ;; 0: argv. 64: result of a call. 128: a buffer of 64 KiB at 65536; 136: one of a byte. 256: file status. 1024: arguments.
  (memory (export "memory") 3)
  (data (i32.const 128) "\00\00\01\00\00\00\01\00")
  (data (i32.const 136) "\00\00\01\00\01\00\00\00")
  (data (i32.const 512) "name0000000000")
  (data (i32.const 544) "f")
  (data (i32.const 552) "dev/null")
  (data (i32.const 568) "dev/zero")
  (data (i32.const 584) "dev/urandom")
  (data (i32.const 600) "other")
  (global $fd (mut i32) (i32.const -1))
  (global $n (mut i64) (i64.const 0))

  (func $must (param $errno i32)
    (if (local.get $errno) (then (call $exit (local.get $errno)))))

  ;; Opens a path below a directory, and makes it the file of what follows. 1 creates, 8 truncates; fdflags 1 appends.
  (func $open (param $dir i32) (param $path i32) (param $len i32) (param $oflags i32) (param $fdflags i32)
    (call $must (call $path_open (local.get $dir) (i32.const 0) (local.get $path) (local.get $len)
      ;; all rights, but for a directory not that to write
      (local.get $oflags) (i64.sub (i64.const 0x1fffffff) (i64.extend_i32_u (i32.shl (i32.and (local.get $oflags) (i32.const 2)) (i32.const 5))))
      (i64.const 0x1fffffff) (local.get $fdflags) (i32.const 64)))
    (global.set $fd (i32.load (i32.const 64))))
  (func $create (call $open (i32.const 3) (i32.const 544) (i32.const 1) (i32.const 1) (i32.const 0)))
  (func $close (call $must (call $fd_close (global.get $fd))))
  (func $write (param $iov i32)
    (call $must (call $fd_write (global.get $fd) (local.get $iov) (i32.const 1) (i32.const 64))))
  (func $blocks (param $count i64)
    (block $done (loop $more
      (br_if $done (i64.eqz (local.get $count)))
      (call $write (i32.const 128))
      (local.set $count (i64.sub (local.get $count) (i64.const 1)))
      (br $more))))

  ;; The next name: counts in the digits of "name0000000000".
  (func $next (local $at i32)
    (local.set $at (i32.const 525))
    (loop $carry
      (i32.store8 (local.get $at) (i32.add (i32.load8_u (local.get $at)) (i32.const 1)))
      (if (i32.gt_u (i32.load8_u (local.get $at)) (i32.const 57)) (then
        (i32.store8 (local.get $at) (i32.const 48))
        (local.set $at (i32.sub (local.get $at) (i32.const 1)))
        (br $carry)))))

  (func $is (param $what i32) (result i32)
    (i32.eq (i32.load8_u (i32.load (i32.const 4))) (local.get $what)))

  (func (export "_start") (local $at i32) (local $i i64) (local $dir i32)
    (call $must (call $args_get (i32.const 0) (i32.const 1024)))
    (local.set $at (i32.load (i32.const 8)))
    (block $end (loop $digit
      (br_if $end (i32.eqz (i32.load8_u (local.get $at))))
      (global.set $n (i64.add (i64.mul (global.get $n) (i64.const 10))
        (i64.sub (i64.load8_u (local.get $at)) (i64.const 48))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $digit)))
    (local.set $i (global.get $n))

    ;; write: n blocks to one file, from its start
    (if (call $is (i32.const 119)) (then (call $create) (call $blocks (global.get $n))))
    ;; append: n blocks to its end
    (if (call $is (i32.const 97)) (then
      (call $open (i32.const 3) (i32.const 544) (i32.const 1) (i32.const 1) (i32.const 1))
      (call $blocks (global.get $n))))
    ;; cycle: n times a new file of 8 blocks, removed again
    (if (call $is (i32.const 99)) (then
      (block $done (loop $more
        (br_if $done (i64.eqz (local.get $i)))
        (call $create)
        (call $blocks (i64.const 8))
        (call $close)
        (call $must (call $unlink (i32.const 3) (i32.const 544) (i32.const 1)))
        (local.set $i (i64.sub (local.get $i) (i64.const 1)))
        (br $more)))))
    ;; overwrite: n times the first block
    (if (call $is (i32.const 111)) (then
      (call $create)
      (block $done (loop $more
        (br_if $done (i64.eqz (local.get $i)))
        (call $must (call $fd_pwrite (global.get $fd) (i32.const 128) (i32.const 1) (i64.const 0) (i32.const 64)))
        (local.set $i (i64.sub (local.get $i) (i64.const 1)))
        (br $more)))))
    ;; empty: n empty files
    (if (call $is (i32.const 101)) (then
      (block $done (loop $more
        (br_if $done (i64.eqz (local.get $i)))
        (call $next)
        (call $open (i32.const 3) (i32.const 512) (i32.const 14) (i32.const 1) (i32.const 0))
        (call $close)
        (local.set $i (i64.sub (local.get $i) (i64.const 1)))
        (br $more)))))
    ;; bytes: n files of a byte
    (if (call $is (i32.const 98)) (then
      (block $done (loop $more
        (br_if $done (i64.eqz (local.get $i)))
        (call $next)
        (call $open (i32.const 3) (i32.const 512) (i32.const 14) (i32.const 1) (i32.const 0))
        (call $write (i32.const 136))
        (call $close)
        (local.set $i (i64.sub (local.get $i) (i64.const 1)))
        (br $more)))))
    ;; directories: n of them
    (if (call $is (i32.const 100)) (then
      (block $done (loop $more
        (br_if $done (i64.eqz (local.get $i)))
        (call $next)
        (call $must (call $mkdir (i32.const 3) (i32.const 512) (i32.const 14)))
        (local.set $i (i64.sub (local.get $i) (i64.const 1)))
        (br $more)))))
    ;; nest: n of them, each in the one before
    (if (call $is (i32.const 110)) (then
      (local.set $dir (i32.const 3))
      (block $done (loop $more
        (br_if $done (i64.eqz (local.get $i)))
        (call $must (call $mkdir (local.get $dir) (i32.const 512) (i32.const 14)))
        (call $open (local.get $dir) (i32.const 512) (i32.const 14) (i32.const 2) (i32.const 0))
        (if (i32.ne (local.get $dir) (i32.const 3)) (then (call $must (call $fd_close (local.get $dir)))))
        (local.set $dir (global.get $fd))
        (local.set $i (i64.sub (local.get $i) (i64.const 1)))
        (br $more)))))
    ;; links: n names of one file
    (if (call $is (i32.const 108)) (then
      (call $create)
      (block $done (loop $more
        (br_if $done (i64.eqz (local.get $i)))
        (call $next)
        (call $must (call $link (i32.const 3) (i32.const 0) (i32.const 544) (i32.const 1)
          (i32.const 3) (i32.const 512) (i32.const 14)))
        (local.set $i (i64.sub (local.get $i) (i64.const 1)))
        (br $more)))))
    ;; symbolic links: n of them
    (if (call $is (i32.const 121)) (then
      (block $done (loop $more
        (br_if $done (i64.eqz (local.get $i)))
        (call $next)
        (call $must (call $symlink (i32.const 544) (i32.const 1) (i32.const 3) (i32.const 512) (i32.const 14)))
        (local.set $i (i64.sub (local.get $i) (i64.const 1)))
        (br $more)))))
    ;; size: sets the size of a file to n
    (if (call $is (i32.const 115)) (then
      (call $create)
      (call $must (call $set_size (global.get $fd) (global.get $n)))))
    ;; place: writes a byte at n
    (if (call $is (i32.const 112)) (then
      (call $create)
      (call $must (call $fd_pwrite (global.get $fd) (i32.const 136) (i32.const 1) (global.get $n) (i32.const 64)))))
    ;; seek: goes to n, then writes a byte
    (if (call $is (i32.const 107)) (then
      (call $create)
      (call $must (call $fd_seek (global.get $fd) (global.get $n) (i32.const 0) (i32.const 64)))
      (call $write (i32.const 136))))
    ;; unlinked: n blocks to a file without a name
    (if (call $is (i32.const 117)) (then
      (call $create)
      (call $must (call $unlink (i32.const 3) (i32.const 544) (i32.const 1)))
      (call $blocks (global.get $n))))
    ;; rename: "f" of the first directory becomes "other" of the second
    (if (call $is (i32.const 114)) (then
      (call $create)
      (call $must (call $rename (i32.const 3) (i32.const 544) (i32.const 1) (i32.const 4) (i32.const 600) (i32.const 5)))))
    ;; void: n blocks to /dev/null, which reads empty, has no size, and may be truncated
    (if (call $is (i32.const 118)) (then
      (call $open (i32.const 3) (i32.const 552) (i32.const 8) (i32.const 9) (i32.const 0))
      (call $blocks (global.get $n))
      (call $must (call $filestat_get (global.get $fd) (i32.const 256)))
      (if (i64.ne (i64.load (i32.const 288)) (i64.const 0)) (then (call $exit (i32.const 201))))
      (call $must (call $fd_seek (global.get $fd) (i64.const 0) (i32.const 0) (i32.const 64)))
      (call $must (call $fd_read (global.get $fd) (i32.const 128) (i32.const 1) (i32.const 64)))
      (if (i32.load (i32.const 64)) (then (call $exit (i32.const 202))))
      ;; and in append mode
      (call $open (i32.const 3) (i32.const 552) (i32.const 8) (i32.const 1) (i32.const 1))
      (call $blocks (global.get $n))
      ;; zeros, whatever was there
      (i32.store8 (i32.const 65536) (i32.const 7))
      (call $open (i32.const 3) (i32.const 568) (i32.const 8) (i32.const 0) (i32.const 0))
      (call $must (call $fd_read (global.get $fd) (i32.const 128) (i32.const 1) (i32.const 64)))
      (if (i32.eqz (i32.load (i32.const 64))) (then (call $exit (i32.const 203))))
      (if (i64.ne (i64.load (i32.const 65536)) (i64.const 0)) (then (call $exit (i32.const 204))))
      ;; random bytes
      (call $open (i32.const 3) (i32.const 584) (i32.const 11) (i32.const 0) (i32.const 0))
      (call $must (call $fd_read (global.get $fd) (i32.const 128) (i32.const 1) (i32.const 64)))
      (if (i64.eqz (i64.load (i32.const 65536))) (then (call $exit (i32.const 205))))))))
