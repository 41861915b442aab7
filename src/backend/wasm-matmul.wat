;; Two matmuls that XNNPACK, as TensorFlow.js binds it, does not support or runs slowly. Matrices are float32, row-major,
;; in the backend's own heap; a, b and out are addresses, steps are in bytes. `npx tsx scripts/assemble-wasm.ts` assembles
;; this file into wasm-matmul-code.ts.
(module
  (import "backend" "memory" (memory 0))

  ;; out[m, n] = sum over k of a[m, k] * b[n, k]: the dot product of each row of a with each row of b.
  ;;
  ;; b is read once, sequentially, at memory speed if a has few rows: so b should be the larger matrix. Four sums of four
  ;; values each hide the latency of an addition.
  (func (export "rowsByRows")
    (param $a i32) (param $b i32) (param $out i32) (param $M i32) (param $N i32) (param $K i32)
    (param $mStep i32) (param $nStep i32) ;; from out[m, n] to out[m + 1, n], and to out[m, n + 1]
    (local $row i32) (local $whole i32) (local $end i32) ;; bytes of a row, and of its groups of 16 values
    (local $m i32) (local $x i32) (local $y i32) (local $o i32)
    (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128) (local $s f32)
    (local.set $row (i32.shl (local.get $K) (i32.const 2)))
    (local.set $whole (i32.and (local.get $row) (i32.const -64)))
    (loop $everyN
      (local.set $x (local.get $a))
      (local.set $o (local.get $out))
      (local.set $m (local.get $M))
      (loop $everyM
        (local.set $y (local.get $b))
        (local.set $s0 (v128.const f32x4 0 0 0 0))
        (local.set $s1 (v128.const f32x4 0 0 0 0))
        (local.set $s2 (v128.const f32x4 0 0 0 0))
        (local.set $s3 (v128.const f32x4 0 0 0 0))
        (if (local.get $whole) (then
          (local.set $end (i32.add (local.get $x) (local.get $whole)))
          (loop $sixteen
            (local.set $s0 (f32x4.add (local.get $s0)
              (f32x4.mul (v128.load (local.get $x)) (v128.load (local.get $y)))))
            (local.set $s1 (f32x4.add (local.get $s1)
              (f32x4.mul (v128.load offset=16 (local.get $x)) (v128.load offset=16 (local.get $y)))))
            (local.set $s2 (f32x4.add (local.get $s2)
              (f32x4.mul (v128.load offset=32 (local.get $x)) (v128.load offset=32 (local.get $y)))))
            (local.set $s3 (f32x4.add (local.get $s3)
              (f32x4.mul (v128.load offset=48 (local.get $x)) (v128.load offset=48 (local.get $y)))))
            (local.set $y (i32.add (local.get $y) (i32.const 64)))
            (br_if $sixteen
              (i32.ne (local.tee $x (i32.add (local.get $x) (i32.const 64))) (local.get $end))))))
        (local.set $s0 (f32x4.add
          (f32x4.add (local.get $s0) (local.get $s1)) (f32x4.add (local.get $s2) (local.get $s3))))
        (local.set $s (f32.add
          (f32.add (f32x4.extract_lane 0 (local.get $s0)) (f32x4.extract_lane 1 (local.get $s0)))
          (f32.add (f32x4.extract_lane 2 (local.get $s0)) (f32x4.extract_lane 3 (local.get $s0)))))
        ;; The rest of the row.
        (local.set $end (i32.add (local.get $b) (local.get $row)))
        (block $done
          (loop $one
            (br_if $done (i32.eq (local.get $y) (local.get $end)))
            (local.set $s (f32.add (local.get $s)
              (f32.mul (f32.load (local.get $x)) (f32.load (local.get $y)))))
            (local.set $x (i32.add (local.get $x) (i32.const 4)))
            (local.set $y (i32.add (local.get $y) (i32.const 4)))
            (br $one)))
        (f32.store (local.get $o) (local.get $s))
        (local.set $o (i32.add (local.get $o) (local.get $mStep)))
        (br_if $everyM (local.tee $m (i32.sub (local.get $m) (i32.const 1)))))
      (local.set $b (local.get $end))
      (local.set $out (i32.add (local.get $out) (local.get $nStep)))
      (br_if $everyN (local.tee $N (i32.sub (local.get $N) (i32.const 1))))))

  ;; out[m, n] = sum over k of a[m, k] * b[k, n], for N >= 16: the usual matmul.
  ;;
  ;; A tile of out, 2 rows of 16 columns, stays in registers while k runs. Where N is no multiple of 16, the last tile
  ;; overlaps the one before and stores the same values again; for an odd last row, both rows are the same.
  (func (export "rowsByColumns")
    (param $a i32) (param $b i32) (param $out i32) (param $M i32) (param $N i32) (param $K i32)
    (local $aRow i32) (local $row i32) (local $n i32) (local $m i32) ;; bytes of a row of a, and of b and out
    (local $x i32) (local $end i32) (local $toNext i32) (local $y i32) (local $o i32)
    (local $a0 v128) (local $a1 v128) (local $w v128)
    (local $s00 v128) (local $s01 v128) (local $s02 v128) (local $s03 v128)
    (local $s10 v128) (local $s11 v128) (local $s12 v128) (local $s13 v128)
    (local.set $aRow (i32.shl (local.get $K) (i32.const 2)))
    (local.set $row (i32.shl (local.get $N) (i32.const 2)))
    (block $done
      (loop $everyTile
        (local.set $x (local.get $a))
        (local.set $o (i32.add (local.get $out) (i32.shl (local.get $n) (i32.const 2))))
        (local.set $m (local.get $M))
        (loop $everyPair
          (local.set $toNext (select (local.get $aRow) (i32.const 0) (i32.gt_u (local.get $m) (i32.const 1))))
          (local.set $y (i32.add (local.get $b) (i32.shl (local.get $n) (i32.const 2))))
          (local.set $end (i32.add (local.get $x) (local.get $aRow)))
          (local.set $s00 (v128.const f32x4 0 0 0 0)) (local.set $s10 (v128.const f32x4 0 0 0 0))
          (local.set $s01 (v128.const f32x4 0 0 0 0)) (local.set $s11 (v128.const f32x4 0 0 0 0))
          (local.set $s02 (v128.const f32x4 0 0 0 0)) (local.set $s12 (v128.const f32x4 0 0 0 0))
          (local.set $s03 (v128.const f32x4 0 0 0 0)) (local.set $s13 (v128.const f32x4 0 0 0 0))
          (loop $everyK
            (local.set $a0 (v128.load32_splat (local.get $x)))
            (local.set $a1 (v128.load32_splat (i32.add (local.get $x) (local.get $toNext))))
            (local.set $w (v128.load (local.get $y)))
            (local.set $s00 (f32x4.add (local.get $s00) (f32x4.mul (local.get $a0) (local.get $w))))
            (local.set $s10 (f32x4.add (local.get $s10) (f32x4.mul (local.get $a1) (local.get $w))))
            (local.set $w (v128.load offset=16 (local.get $y)))
            (local.set $s01 (f32x4.add (local.get $s01) (f32x4.mul (local.get $a0) (local.get $w))))
            (local.set $s11 (f32x4.add (local.get $s11) (f32x4.mul (local.get $a1) (local.get $w))))
            (local.set $w (v128.load offset=32 (local.get $y)))
            (local.set $s02 (f32x4.add (local.get $s02) (f32x4.mul (local.get $a0) (local.get $w))))
            (local.set $s12 (f32x4.add (local.get $s12) (f32x4.mul (local.get $a1) (local.get $w))))
            (local.set $w (v128.load offset=48 (local.get $y)))
            (local.set $s03 (f32x4.add (local.get $s03) (f32x4.mul (local.get $a0) (local.get $w))))
            (local.set $s13 (f32x4.add (local.get $s13) (f32x4.mul (local.get $a1) (local.get $w))))
            (local.set $y (i32.add (local.get $y) (local.get $row)))
            (br_if $everyK (i32.ne (local.tee $x (i32.add (local.get $x) (i32.const 4))) (local.get $end))))
          (v128.store (local.get $o) (local.get $s00))
          (v128.store offset=16 (local.get $o) (local.get $s01))
          (v128.store offset=32 (local.get $o) (local.get $s02))
          (v128.store offset=48 (local.get $o) (local.get $s03))
          (local.set $o (i32.add (local.get $o) (select (local.get $row) (i32.const 0) (local.get $toNext))))
          (v128.store (local.get $o) (local.get $s10))
          (v128.store offset=16 (local.get $o) (local.get $s11))
          (v128.store offset=32 (local.get $o) (local.get $s12))
          (v128.store offset=48 (local.get $o) (local.get $s13))
          (local.set $o (i32.add (local.get $o) (local.get $row)))
          (local.set $x (i32.add (local.get $x) (local.get $toNext)))
          (br_if $everyPair
            (i32.gt_s (local.tee $m (i32.sub (local.get $m) (i32.const 2))) (i32.const 0))))
        (local.set $n (i32.add (local.get $n) (i32.const 16)))
        (br_if $done (i32.ge_u (local.get $n) (local.get $N)))
        (if (i32.gt_u (i32.add (local.get $n) (i32.const 16)) (local.get $N)) (then
          (local.set $n (i32.sub (local.get $N) (i32.const 16)))))
        (br $everyTile)))))
