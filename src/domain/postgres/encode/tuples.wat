;; Encodes rows of Arrow columns as COPY BINARY tuples.
;;
;; `scripts/build-wasm.mjs` compiles this text into `tuplesModule.ts`; `planTuples.ts` and `WasmTuples.ts` fill
;; the memory and call `encode`.
;; The writers of `FieldWriter.ts` are the reference: for every value that is not rejected the bytes are the same.
;; A value that PostgreSQL cannot hold stops the run before its row; the writers then read the row again and name the reason.
;;
;; Memory, in bytes (the same numbers stand in those two files):
;;         0  i32 end: the position after the last complete tuple
;;         4  i32 rejected: 1 when a value stopped the run, else 0
;;        64  the digits of one numeric, least significant first, as u16
;;      1024  descriptors, 64 bytes per field of the tuple
;;    106496  staging area: the values of the rows to encode, 1 MiB
;;   1155072  output area, 128 KiB
;;   1286144  slack: every copy may read and write 16 bytes too many
;;
;; Descriptor of a field:
;;    +0  i32 kind, the index into the `br_table` below
;;    +4  i32 address of the validity bitmap; 0: no nulls
;;    +8  i32 number of the bit that belongs to the first row, in the bitmap and in the values of bool
;;   +12  i32 address of the first row's value, or of its offset (binary, text)
;;   +16  i32 bytes from one row's value to the next; 0: every row has the same
;;   +20  i32 address that offsets count from (binary, text)
;;   +24  i32 bytes of the value in PostgreSQL (fixed: also in Arrow); numeric: 10^(digits to shift), 1 to 1000
;;   +28  i32 numeric: weight of the lowest base-10000 digit
;;   +32  i32 numeric: digits after the point              | i64 timestamp: the least value PostgreSQL holds
;;   +36  i32 numeric: most decimal digits, after the shift |
;;   +40  i64 timestamp: the largest value PostgreSQL holds
;;   +48  i64 timestamp: microseconds in one unit
;;
;; Requires SIMD and bulk memory, which Node 20 has.
(module
  (memory (export "memory") 20 20)

  (func $swap16 (param $x i32) (result i32)
    (i32.or
      (i32.and (i32.shr_u (local.get $x) (i32.const 8)) (i32.const 0xff))
      (i32.shl (i32.and (local.get $x) (i32.const 0xff)) (i32.const 8))))

  (func $swap32 (param $x i32) (result i32)
    (i32.or
      (i32.and (i32.rotl (local.get $x) (i32.const 8)) (i32.const 0x00ff00ff))
      (i32.and (i32.rotr (local.get $x) (i32.const 8)) (i32.const 0xff00ff00))))

  ;; Copies in steps of 16 bytes; up to 16 bytes after the end are overwritten.
  (func $copy (param $to i32) (param $from i32) (param $length i32)
    (local $end i32)
    (if (i32.gt_u (local.get $length) (i32.const 256))
      (then
        (memory.copy (local.get $to) (local.get $from) (local.get $length))
        (return)))
    (local.set $end (i32.add (local.get $to) (local.get $length)))
    (loop $more
      (v128.store (local.get $to) (v128.load (local.get $from)))
      (local.set $from (i32.add (local.get $from) (i32.const 16)))
      (br_if $more
        (i32.lt_u (local.tee $to (i32.add (local.get $to) (i32.const 16))) (local.get $end)))))

  ;; Whether bytes are UTF-8 without NUL, by the rules of `checkText.ts`.
  (func $isText (param $at i32) (param $length i32) (result i32)
    (local $end i32) (local $rest i32) (local $special i32) (local $lead i32) (local $second i32)
    (local $size i32) (local $low i32) (local $high i32)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (loop $next
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 1))))
      ;; Which of the next 16 bytes are neither ASCII nor inside the text: NUL and lead bytes are at most 0 when signed.
      (local.set $special
        (i8x16.bitmask (i8x16.le_s (v128.load (local.get $at)) (v128.const i64x2 0 0))))
      (local.set $rest (i32.sub (local.get $end) (local.get $at)))
      (if (i32.lt_u (local.get $rest) (i32.const 16))
        (then
          (local.set $special
            (i32.and
              (local.get $special)
              (i32.sub (i32.shl (i32.const 1) (local.get $rest)) (i32.const 1))))))
      (if (i32.eqz (local.get $special))
        (then
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (br $next)))
      (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $special))))
      (local.set $lead (i32.load8_u (local.get $at)))
      (local.set $low (i32.const 0x80))
      (local.set $high (i32.const 0xbf))
      (if (i32.lt_u (local.get $lead) (i32.const 0xc2)) (then (return (i32.const 0))))
      (if (i32.gt_u (local.get $lead) (i32.const 0xf4)) (then (return (i32.const 0))))
      (local.set $size
        (i32.add
          (i32.const 2)
          (i32.add
            (i32.ge_u (local.get $lead) (i32.const 0xe0))
            (i32.ge_u (local.get $lead) (i32.const 0xf0)))))
      ;; The second byte distinguishes overlong forms, surrogates and characters above U+10FFFF from valid ones.
      (if (i32.eq (local.get $lead) (i32.const 0xe0)) (then (local.set $low (i32.const 0xa0))))
      (if (i32.eq (local.get $lead) (i32.const 0xf0)) (then (local.set $low (i32.const 0x90))))
      (if (i32.eq (local.get $lead) (i32.const 0xed)) (then (local.set $high (i32.const 0x9f))))
      (if (i32.eq (local.get $lead) (i32.const 0xf4)) (then (local.set $high (i32.const 0x8f))))
      (if (i32.gt_u (i32.add (local.get $at) (local.get $size)) (local.get $end)) (then (return (i32.const 0))))
      (local.set $second (i32.load8_u offset=1 (local.get $at)))
      (if (i32.lt_u (local.get $second) (local.get $low)) (then (return (i32.const 0))))
      (if (i32.gt_u (local.get $second) (local.get $high)) (then (return (i32.const 0))))
      (if (i32.ge_u (local.get $size) (i32.const 3))
        (then
          (if (i32.ne (i32.and (i32.load8_u offset=2 (local.get $at)) (i32.const 0xc0)) (i32.const 0x80))
            (then (return (i32.const 0))))))
      (if (i32.eq (local.get $size) (i32.const 4))
        (then
          (if (i32.ne (i32.and (i32.load8_u offset=3 (local.get $at)) (i32.const 0xc0)) (i32.const 0x80))
            (then (return (i32.const 0))))))
      (local.set $at (i32.add (local.get $at) (local.get $size)))
      (br $next))
    (unreachable))

  ;; Writes a signed 128-bit integer as numeric and returns the position after it; 0 when it has too many digits.
  (func $numeric (param $at i32) (param $low i64) (param $high i64) (param $field i32) (result i32)
    (local $l0 i64) (local $l1 i64) (local $l2 i64) (local $l3 i64) (local $l4 i64)
    (local $x i64) (local $q i64) (local $factor i64)
    (local $sign i32) (local $digits i32) (local $first i32) (local $top i32) (local $decimals i32) (local $digit i32)
    (if (i64.lt_s (local.get $high) (i64.const 0))
      (then
        (local.set $sign (i32.const 0x0040)) ;; 0x4000, bytes swapped
        (local.set $low (i64.sub (i64.const 0) (local.get $low)))
        (local.set $high
          (i64.add
            (i64.xor (local.get $high) (i64.const -1))
            (i64.extend_i32_u (i64.eqz (local.get $low)))))))
    ;; Times the factor, as words of 32 bits: no product exceeds 2^42.
    (local.set $factor (i64.load32_u offset=24 (local.get $field)))
    (local.set $x (i64.mul (i64.and (local.get $low) (i64.const 0xffffffff)) (local.get $factor)))
    (local.set $l0 (i64.and (local.get $x) (i64.const 0xffffffff)))
    (local.set $x
      (i64.add
        (i64.mul (i64.shr_u (local.get $low) (i64.const 32)) (local.get $factor))
        (i64.shr_u (local.get $x) (i64.const 32))))
    (local.set $l1 (i64.and (local.get $x) (i64.const 0xffffffff)))
    (local.set $x
      (i64.add
        (i64.mul (i64.and (local.get $high) (i64.const 0xffffffff)) (local.get $factor))
        (i64.shr_u (local.get $x) (i64.const 32))))
    (local.set $l2 (i64.and (local.get $x) (i64.const 0xffffffff)))
    (local.set $x
      (i64.add
        (i64.mul (i64.shr_u (local.get $high) (i64.const 32)) (local.get $factor))
        (i64.shr_u (local.get $x) (i64.const 32))))
    (local.set $l3 (i64.and (local.get $x) (i64.const 0xffffffff)))
    (local.set $l4 (i64.shr_u (local.get $x) (i64.const 32)))
    (local.set $digits (i32.const 64))
    ;; Two digits at a time while there are more than 64 bits: a dividend is below 10^8 * 2^32 < 2^59. The quotient of such a
    ;; value is never 0, so that the digits pushed here are never the leading ones.
    (block $narrow
      (loop $wide
        (br_if $narrow (i64.eqz (i64.or (i64.or (local.get $l4) (local.get $l3)) (local.get $l2))))
        (local.set $q (i64.div_u (local.get $l4) (i64.const 100000000)))
        (local.set $x (i64.sub (local.get $l4) (i64.mul (local.get $q) (i64.const 100000000))))
        (local.set $l4 (local.get $q))
        (local.set $x (i64.or (i64.shl (local.get $x) (i64.const 32)) (local.get $l3)))
        (local.set $l3 (i64.div_u (local.get $x) (i64.const 100000000)))
        (local.set $x (i64.sub (local.get $x) (i64.mul (local.get $l3) (i64.const 100000000))))
        (local.set $x (i64.or (i64.shl (local.get $x) (i64.const 32)) (local.get $l2)))
        (local.set $l2 (i64.div_u (local.get $x) (i64.const 100000000)))
        (local.set $x (i64.sub (local.get $x) (i64.mul (local.get $l2) (i64.const 100000000))))
        (local.set $x (i64.or (i64.shl (local.get $x) (i64.const 32)) (local.get $l1)))
        (local.set $l1 (i64.div_u (local.get $x) (i64.const 100000000)))
        (local.set $x (i64.sub (local.get $x) (i64.mul (local.get $l1) (i64.const 100000000))))
        (local.set $x (i64.or (i64.shl (local.get $x) (i64.const 32)) (local.get $l0)))
        (local.set $l0 (i64.div_u (local.get $x) (i64.const 100000000)))
        (local.set $digit
          (i32.wrap_i64 (i64.sub (local.get $x) (i64.mul (local.get $l0) (i64.const 100000000)))))
        (i32.store16 (local.get $digits) (i32.rem_u (local.get $digit) (i32.const 10000)))
        (i32.store16 offset=2 (local.get $digits) (i32.div_u (local.get $digit) (i32.const 10000)))
        (local.set $digits (i32.add (local.get $digits) (i32.const 4)))
        (br $wide)))
    (local.set $x (i64.or (i64.shl (local.get $l1) (i64.const 32)) (local.get $l0)))
    (block $done
      (loop $more
        (br_if $done (i64.eqz (local.get $x)))
        (local.set $q (i64.div_u (local.get $x) (i64.const 10000)))
        (i32.store16
          (local.get $digits)
          (i32.wrap_i64 (i64.sub (local.get $x) (i64.mul (local.get $q) (i64.const 10000)))))
        (local.set $digits (i32.add (local.get $digits) (i32.const 2)))
        (local.set $x (local.get $q))
        (br $more)))
    (i32.store16 offset=10 (local.get $at) (call $swap16 (i32.load offset=32 (local.get $field))))
    (if (i32.eq (local.get $digits) (i32.const 64))
      (then
        (i64.store (local.get $at) (i64.const 0x0000000008000000))
        (i32.store16 offset=8 (local.get $at) (i32.const 0))
        (return (i32.add (local.get $at) (i32.const 12)))))
    ;; 4 decimal digits for each digit below the top one, 1 to 4 for the top one.
    (local.set $top (i32.load16_u (i32.sub (local.get $digits) (i32.const 2))))
    (local.set $decimals
      (i32.add
        (i32.sub (i32.shl (i32.sub (local.get $digits) (i32.const 64)) (i32.const 1)) (i32.const 3))
        (i32.add
          (i32.ge_u (local.get $top) (i32.const 10))
          (i32.add
            (i32.ge_u (local.get $top) (i32.const 100))
            (i32.ge_u (local.get $top) (i32.const 1000))))))
    (if (i32.gt_s (local.get $decimals) (i32.load offset=36 (local.get $field))) (then (return (i32.const 0))))
    (local.set $first (i32.const 64))
    (block $found
      (loop $zero
        (br_if $found (i32.load16_u (local.get $first)))
        (local.set $first (i32.add (local.get $first) (i32.const 2)))
        (br $zero)))
    (i32.store
      (local.get $at)
      (call $swap32 (i32.add (i32.const 8) (i32.sub (local.get $digits) (local.get $first)))))
    (i32.store16 offset=4
      (local.get $at)
      (call $swap16 (i32.shr_u (i32.sub (local.get $digits) (local.get $first)) (i32.const 1))))
    (i32.store16 offset=6
      (local.get $at)
      (call $swap16
        (i32.add
          (i32.shr_u (i32.sub (local.get $digits) (i32.const 66)) (i32.const 1))
          (i32.load offset=28 (local.get $field)))))
    (i32.store16 offset=8 (local.get $at) (local.get $sign))
    (local.set $at (i32.add (local.get $at) (i32.const 12)))
    (loop $write
      (local.set $digits (i32.sub (local.get $digits) (i32.const 2)))
      (i32.store16 (local.get $at) (call $swap16 (i32.load16_u (local.get $digits))))
      (local.set $at (i32.add (local.get $at) (i32.const 2)))
      (br_if $write (i32.gt_u (local.get $digits) (local.get $first))))
    (local.get $at))

  ;; Writes up to `rows` rows of `fields` fields at `at`; returns how many.
  ;;
  ;; Stops before a row that may not fit before `limit`: `rowBytes` is what a row needs at most beside the bytes of binary and
  ;; text. Stops before a row with a value that is rejected, and stores 1 at address 4.
  (func (export "encode")
    (param $rows i32) (param $fields i32) (param $rowBytes i32) (param $at i32) (param $limit i32) (result i32)
    (local $row i32) (local $start i32) (local $need i32) (local $count i32) (local $field i32) (local $lastField i32)
    (local $bit i32) (local $address i32) (local $length i32) (local $value i64)
    (local.set $count (call $swap16 (local.get $fields)))
    (local.set $lastField (i32.add (i32.const 1024) (i32.shl (local.get $fields) (i32.const 6))))
    (local.set $start (local.get $at))
    (i32.store (i32.const 4) (i32.const 0))
    (block $stop
      (block $reject
        (loop $nextRow
          (br_if $stop (i32.ge_u (local.get $row) (local.get $rows)))
          (local.set $need (i32.add (local.get $start) (local.get $rowBytes)))
          (br_if $stop (i32.gt_u (local.get $need) (local.get $limit)))
          (i32.store16 (local.get $start) (local.get $count))
          (local.set $at (i32.add (local.get $start) (i32.const 2)))
          (local.set $field (i32.const 1024))
          (loop $nextField
            (block $written
              (if (i32.load offset=4 (local.get $field))
                (then
                  (local.set $bit (i32.add (local.get $row) (i32.load offset=8 (local.get $field))))
                  (if
                    (i32.eqz
                      (i32.and
                        (i32.shr_u
                          (i32.load8_u
                            (i32.add
                              (i32.load offset=4 (local.get $field))
                              (i32.shr_u (local.get $bit) (i32.const 3))))
                          (i32.and (local.get $bit) (i32.const 7)))
                        (i32.const 1)))
                    (then
                      (i32.store (local.get $at) (i32.const -1))
                      (local.set $at (i32.add (local.get $at) (i32.const 4)))
                      (br $written)))))
              (local.set $address
                (i32.add
                  (i32.load offset=12 (local.get $field))
                  (i32.mul (local.get $row) (i32.load offset=16 (local.get $field)))))
              (block $integer
                (block $uint64Numeric
                (block $decimal
                (block $timestamp
                (block $nanoseconds
                (block $uint64
                (block $int64
                (block $uint32
                (block $int32
                (block $uint16
                (block $int16
                (block $uint8
                (block $int8
                (block $bool
                (block $text
                (block $binary
                (block $fixed20
                (block $fixed32
                (block $fixed
                  (br_table $fixed $fixed32 $fixed20 $binary $text $bool $int8 $uint8 $int16 $uint16 $int32 $uint32
                    $int64 $uint64 $nanoseconds $timestamp $decimal $uint64Numeric
                    (i32.load (local.get $field)))
                ) ;; $fixed
                  (local.set $length (i32.load offset=24 (local.get $field)))
                  (i32.store (local.get $at) (call $swap32 (local.get $length)))
                  (call $copy
                    (i32.add (local.get $at) (i32.const 4))
                    (local.get $address)
                    (local.get $length))
                  (local.set $at (i32.add (local.get $at) (i32.add (local.get $length) (i32.const 4))))
                  (br $written)
                ) ;; $fixed32
                  (i32.store (local.get $at) (i32.const 0x20000000))
                  (v128.store offset=4 align=1 (local.get $at) (v128.load align=1 (local.get $address)))
                  (v128.store offset=20 align=1 (local.get $at) (v128.load offset=16 align=1 (local.get $address)))
                  (local.set $at (i32.add (local.get $at) (i32.const 36)))
                  (br $written)
                ) ;; $fixed20
                  (i32.store (local.get $at) (i32.const 0x14000000))
                  (v128.store offset=4 align=1 (local.get $at) (v128.load align=1 (local.get $address)))
                  (i32.store offset=20 (local.get $at) (i32.load offset=16 (local.get $address)))
                  (local.set $at (i32.add (local.get $at) (i32.const 24)))
                  (br $written)
                ) ;; $binary
                  (local.set $length
                    (i32.sub (i32.load offset=4 (local.get $address)) (i32.load (local.get $address))))
                  (local.set $need (i32.add (local.get $need) (local.get $length)))
                  (br_if $stop (i32.gt_u (local.get $need) (local.get $limit)))
                  (i32.store (local.get $at) (call $swap32 (local.get $length)))
                  (call $copy
                    (i32.add (local.get $at) (i32.const 4))
                    (i32.add (i32.load offset=20 (local.get $field)) (i32.load (local.get $address)))
                    (local.get $length))
                  (local.set $at (i32.add (local.get $at) (i32.add (local.get $length) (i32.const 4))))
                  (br $written)
                ) ;; $text
                  (local.set $length
                    (i32.sub (i32.load offset=4 (local.get $address)) (i32.load (local.get $address))))
                  (local.set $need (i32.add (local.get $need) (local.get $length)))
                  (br_if $stop (i32.gt_u (local.get $need) (local.get $limit)))
                  (local.set $address
                    (i32.add (i32.load offset=20 (local.get $field)) (i32.load (local.get $address))))
                  (br_if $reject (i32.eqz (call $isText (local.get $address) (local.get $length))))
                  (i32.store (local.get $at) (call $swap32 (local.get $length)))
                  (call $copy
                    (i32.add (local.get $at) (i32.const 4))
                    (local.get $address)
                    (local.get $length))
                  (local.set $at (i32.add (local.get $at) (i32.add (local.get $length) (i32.const 4))))
                  (br $written)
                ) ;; $bool
                  (local.set $bit (i32.add (local.get $row) (i32.load offset=8 (local.get $field))))
                  (i32.store (local.get $at) (i32.const 0x01000000))
                  (i32.store8 offset=4
                    (local.get $at)
                    (i32.and
                      (i32.shr_u
                        (i32.load8_u (i32.add (local.get $address) (i32.shr_u (local.get $bit) (i32.const 3))))
                        (i32.and (local.get $bit) (i32.const 7)))
                      (i32.const 1)))
                  (local.set $at (i32.add (local.get $at) (i32.const 5)))
                  (br $written)
                ) ;; $int8
                  (local.set $value (i64.load8_s (local.get $address)))
                  (br $integer)
                ) ;; $uint8
                  (local.set $value (i64.load8_u (local.get $address)))
                  (br $integer)
                ) ;; $int16
                  (local.set $value (i64.load16_s (local.get $address)))
                  (br $integer)
                ) ;; $uint16
                  (local.set $value (i64.load16_u (local.get $address)))
                  (br $integer)
                ) ;; $int32
                  (local.set $value (i64.load32_s (local.get $address)))
                  (br $integer)
                ) ;; $uint32
                  (local.set $value (i64.load32_u (local.get $address)))
                  (br $integer)
                ) ;; $int64
                  (local.set $value (i64.load (local.get $address)))
                  (br $integer)
                ) ;; $uint64
                  (br_if $reject (i64.lt_s (local.tee $value (i64.load (local.get $address))) (i64.const 0)))
                  (br $integer)
                ) ;; $nanoseconds
                  ;; The quotient is rounded towards 0: one less where something negative was cut off.
                  (local.set $value (i64.load (local.get $address)))
                  (local.set $value
                    (i64.sub
                      (i64.div_s (local.get $value) (i64.const 1000))
                      (i64.extend_i32_u (i64.lt_s (i64.rem_s (local.get $value) (i64.const 1000)) (i64.const 0)))))
                  (local.set $value (i64.sub (local.get $value) (i64.const 946684800000000)))
                  (br $integer)
                ) ;; $timestamp
                  (local.set $value (i64.load (local.get $address)))
                  (br_if $reject (i64.lt_s (local.get $value) (i64.load offset=32 (local.get $field))))
                  (br_if $reject (i64.gt_s (local.get $value) (i64.load offset=40 (local.get $field))))
                  (local.set $value
                    (i64.sub
                      (i64.mul (local.get $value) (i64.load offset=48 (local.get $field)))
                      (i64.const 946684800000000)))
                  (br $integer)
                ) ;; $decimal
                  (local.set $at
                    (call $numeric
                      (local.get $at)
                      (i64.load (local.get $address))
                      (i64.load offset=8 (local.get $address))
                      (local.get $field)))
                  (br_if $reject (i32.eqz (local.get $at)))
                  (br $written)
                ) ;; $uint64Numeric
                  (local.set $at
                    (call $numeric
                      (local.get $at)
                      (i64.load (local.get $address))
                      (i64.const 0)
                      (local.get $field)))
                  (br $written)
              ) ;; $integer
              ;; Length and value in one store, the value's bytes in reverse; what is stored after it is overwritten.
              (local.set $length (i32.load offset=24 (local.get $field)))
              (if (i32.eq (local.get $length) (i32.const 8))
                (then
                  (v128.store align=1
                    (local.get $at)
                    (i8x16.shuffle 0 1 2 3 23 22 21 20 19 18 17 16 0 0 0 0
                      (v128.const i8x16 0 0 0 8 0 0 0 0 0 0 0 0 0 0 0 0)
                      (i64x2.splat (local.get $value))))
                  (local.set $at (i32.add (local.get $at) (i32.const 12)))
                  (br $written)))
              (i32.store (local.get $at) (i32.shl (local.get $length) (i32.const 24)))
              (if (i32.eq (local.get $length) (i32.const 4))
                (then
                  (i32.store offset=4 (local.get $at) (call $swap32 (i32.wrap_i64 (local.get $value)))))
                (else
                  (i32.store16 offset=4 (local.get $at) (call $swap16 (i32.wrap_i64 (local.get $value))))))
              (local.set $at (i32.add (local.get $at) (i32.add (local.get $length) (i32.const 4)))))
            (br_if $nextField
              (i32.lt_u
                (local.tee $field (i32.add (local.get $field) (i32.const 64)))
                (local.get $lastField))))
          (local.set $start (local.get $at))
          (local.set $row (i32.add (local.get $row) (i32.const 1)))
          (br $nextRow)))
      (i32.store (i32.const 4) (i32.const 1)))
    (i32.store (i32.const 0) (local.get $start))
    (local.get $row)))
