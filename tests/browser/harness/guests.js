// Modules for the tests that are no examples: small enough to stand here.

/** A module whose `_start` returns at once: the cheapest pod that there is. */
// prettier-ignore
export const EMPTY_MODULE = new Uint8Array([
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
  1, 4, 1, 0x60, 0, 0, // type 0: no arguments, no results
  3, 2, 1, 0, // function 0 has type 0
  7, 10, 1, 6, 0x5f, 0x73, 0x74, 0x61, 0x72, 0x74, 0, 0, // it is exported as "_start"
  10, 4, 1, 2, 0, 0x0b, // and does nothing
]);

/**
 * Renders a frame, as far as its number lets it: of the first 400 it ends 19 with exit code 3 and 7 with a trap, and takes
 * its time by the number, too. Always the same ones.
 */
export const FRAMES_MODULE = Buffer.from(
  'AGFzbQEAAAABIAZgAn9/AX9gBH9/f38Bf2ABfwBgAn9/AGABfwF/YAAAApABBBZ3YXNpX3NuYXBzaG90X3ByZXZpZXcxDmFyZ3Nfc2l6ZXNfZ2' +
    'V0AAAWd2FzaV9zbmFwc2hvdF9wcmV2aWV3MQhhcmdzX2dldAAAFndhc2lfc25hcHNob3RfcHJldmlldzEIZmRfd3JpdGUAARZ3YXNpX3NuYXBz' +
    'aG90X3ByZXZpZXcxCXByb2NfZXhpdAACAwQDAwQFBQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAYKuwEDGwBBECAANgIAQRQgATYCAEEBQRBBAU' +
    'EYEAIaCw4AIABBP3FFBEAACyAAC40BAQR/QQBBBBAAGkEgQYACEAEaQSQoAgAhAANAIAAtAAAEQCABQQpsIAAtAABBMGtqIQEgAEEBaiEADAEL' +
    'CyABQQFqQbHz3fF5bEEQdiECIAJB/wdxQZADakGgH2whAwNAIANBAWshAyADDQALIAIQBRogAkElcEUEQEGgCEEmEARBAxADC0GACEEPEAQLC0' +
    'ECAEGACAsPZnJhbWUgcmVuZGVyZWQKAEGgCAslG1szMW1lcnJvcjobWzBtIHRleHR1cmUgNyBpcyBtaXNzaW5nCgBwBG5hbWUBJwYABXNpemVz' +
    'AQRhcmdzAgV3cml0ZQMEZXhpdAQDc2F5BQVzaGFkZQItAwQCAAJhdAEGbGVuZ3RoBQEABXZhbHVlBgQAAmF0AQFuAgRoYXNoAwRsZWZ0AxEBBg' +
    'IABmRpZ2l0cwIEd29yaw==',
  'base64',
);

/* The text of FRAMES_MODULE:

(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 1024) "frame rendered\n")
  (data (i32.const 1056) "\1b[31merror:\1b[0m texture 7 is missing\n")
  (func $say (param $at i32) (param $length i32)
    (i32.store (i32.const 16) (local.get $at))
    (i32.store (i32.const 20) (local.get $length))
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24))))
  (func $shade (param $value i32) (result i32)
    (if (i32.eqz (i32.and (local.get $value) (i32.const 63))) (then unreachable))
    (local.get $value))
  (func (export "_start")
    (local $at i32) (local $n i32) (local $hash i32) (local $left i32)
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $args (i32.const 32) (i32.const 256)))
    (local.set $at (i32.load (i32.const 36)))
    (loop $digits
      (if (i32.load8_u (local.get $at)) (then
        (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 10)) (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $digits))))
    (local.set $hash (i32.shr_u (i32.mul (i32.add (local.get $n) (i32.const 1)) (i32.const 0x9E3779B1)) (i32.const 16)))
    (local.set $left (i32.mul (i32.add (i32.and (local.get $hash) (i32.const 1023)) (i32.const 400)) (i32.const 4000)))
    (loop $work
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $work (local.get $left)))
    (drop (call $shade (local.get $hash)))
    (if (i32.eqz (i32.rem_u (local.get $hash) (i32.const 37))) (then
      (call $say (i32.const 1056) (i32.const 38))
      (call $exit (i32.const 3))))
    (call $say (i32.const 1024) (i32.const 15)))
  )
*/
