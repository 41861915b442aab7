;; Matmuls that need no copy of the weights. Matrices are float32, row-major, in the backend's own heap; a, b and out are
;; addresses, steps are in bytes. `npx tsx scripts/assemble-wasm.ts` assembles this file into wasm-matmul-code.ts.
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

  ;; out[m, n] = sum over k of a[m, k] * b[k, n], for few rows of a and N a multiple of 4: each row of out is a sum of the
  ;; rows of b.
  ;;
  ;; Eight rows of b are read side by side, each sequentially: so b is read once, at memory speed, and out only K/8 times.
  (func (export "sumsOfRows")
    (param $a i32) (param $b i32) (param $out i32) (param $M i32) (param $N i32) (param $K i32)
    (local $row i32) (local $aRow i32) (local $m i32) (local $x i32) (local $end i32) (local $o i32) (local $s v128)
    (local $y0 i32) (local $y1 i32) (local $y2 i32) (local $y3 i32)
    (local $y4 i32) (local $y5 i32) (local $y6 i32) (local $y7 i32)
    (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128)
    (local $a4 v128) (local $a5 v128) (local $a6 v128) (local $a7 v128)
    (local.set $row (i32.shl (local.get $N) (i32.const 2)))
    (local.set $aRow (i32.shl (local.get $K) (i32.const 2)))
    (memory.fill (local.get $out) (i32.const 0) (i32.mul (local.get $M) (local.get $row)))
    (block $fewLeft
      (loop $eight
        (br_if $fewLeft (i32.lt_u (local.get $K) (i32.const 8)))
        (local.set $x (local.get $a))
        (local.set $o (local.get $out))
        (local.set $m (local.get $M))
        (loop $everyM
          (local.set $y0 (local.get $b))
          (local.set $a0 (v128.load32_splat (local.get $x)))
          (local.set $y1 (i32.add (local.get $y0) (local.get $row)))
          (local.set $a1 (v128.load32_splat offset=4 (local.get $x)))
          (local.set $y2 (i32.add (local.get $y1) (local.get $row)))
          (local.set $a2 (v128.load32_splat offset=8 (local.get $x)))
          (local.set $y3 (i32.add (local.get $y2) (local.get $row)))
          (local.set $a3 (v128.load32_splat offset=12 (local.get $x)))
          (local.set $y4 (i32.add (local.get $y3) (local.get $row)))
          (local.set $a4 (v128.load32_splat offset=16 (local.get $x)))
          (local.set $y5 (i32.add (local.get $y4) (local.get $row)))
          (local.set $a5 (v128.load32_splat offset=20 (local.get $x)))
          (local.set $y6 (i32.add (local.get $y5) (local.get $row)))
          (local.set $a6 (v128.load32_splat offset=24 (local.get $x)))
          (local.set $y7 (i32.add (local.get $y6) (local.get $row)))
          (local.set $a7 (v128.load32_splat offset=28 (local.get $x)))
          (local.set $end (i32.add (local.get $o) (local.get $row)))
          (loop $four
            (local.set $s (v128.load (local.get $o)))
            (local.set $s (f32x4.add (local.get $s) (f32x4.mul (local.get $a0) (v128.load (local.get $y0)))))
            (local.set $s (f32x4.add (local.get $s) (f32x4.mul (local.get $a1) (v128.load (local.get $y1)))))
            (local.set $s (f32x4.add (local.get $s) (f32x4.mul (local.get $a2) (v128.load (local.get $y2)))))
            (local.set $s (f32x4.add (local.get $s) (f32x4.mul (local.get $a3) (v128.load (local.get $y3)))))
            (local.set $s (f32x4.add (local.get $s) (f32x4.mul (local.get $a4) (v128.load (local.get $y4)))))
            (local.set $s (f32x4.add (local.get $s) (f32x4.mul (local.get $a5) (v128.load (local.get $y5)))))
            (local.set $s (f32x4.add (local.get $s) (f32x4.mul (local.get $a6) (v128.load (local.get $y6)))))
            (local.set $s (f32x4.add (local.get $s) (f32x4.mul (local.get $a7) (v128.load (local.get $y7)))))
            (local.set $y0 (i32.add (local.get $y0) (i32.const 16))) (local.set $y1 (i32.add (local.get $y1) (i32.const 16)))
            (local.set $y2 (i32.add (local.get $y2) (i32.const 16))) (local.set $y3 (i32.add (local.get $y3) (i32.const 16)))
            (local.set $y4 (i32.add (local.get $y4) (i32.const 16))) (local.set $y5 (i32.add (local.get $y5) (i32.const 16)))
            (local.set $y6 (i32.add (local.get $y6) (i32.const 16))) (local.set $y7 (i32.add (local.get $y7) (i32.const 16)))
            (v128.store (local.get $o) (local.get $s))
            (br_if $four (i32.ne (local.tee $o (i32.add (local.get $o) (i32.const 16))) (local.get $end))))
          (local.set $x (i32.add (local.get $x) (local.get $aRow)))
          (br_if $everyM (local.tee $m (i32.sub (local.get $m) (i32.const 1)))))
        (local.set $a (i32.add (local.get $a) (i32.const 32)))
        (local.set $b (local.get $y7))
        (local.set $K (i32.sub (local.get $K) (i32.const 8)))
        (br $eight)))
    (block $done
      (loop $one
        (br_if $done (i32.eqz (local.get $K)))
        (local.set $x (local.get $a))
        (local.set $o (local.get $out))
        (local.set $m (local.get $M))
        (loop $everyM
          (local.set $y0 (local.get $b))
          (local.set $a0 (v128.load32_splat (local.get $x)))
          (local.set $end (i32.add (local.get $o) (local.get $row)))
          (loop $four
            (v128.store (local.get $o) (f32x4.add (v128.load (local.get $o))
              (f32x4.mul (local.get $a0) (v128.load (local.get $y0)))))
            (local.set $y0 (i32.add (local.get $y0) (i32.const 16)))
            (br_if $four (i32.ne (local.tee $o (i32.add (local.get $o) (i32.const 16))) (local.get $end))))
          (local.set $x (i32.add (local.get $x) (local.get $aRow)))
          (br_if $everyM (local.tee $m (i32.sub (local.get $m) (i32.const 1)))))
        (local.set $a (i32.add (local.get $a) (i32.const 4)))
        (local.set $b (local.get $y0))
        (local.set $K (i32.sub (local.get $K) (i32.const 1)))
        (br $one))))

  ;; Copies eight columns of b to a panel, [K, 8], which the CPU's caches hold while `panelMatMul` uses it for many rows of
  ;; a. b[k, n] is $kStep and $nStep bytes from b[k + 1, n] and b[k, n + 1]: b may be transposed.
  (func (export "copyToPanel")
    (param $b i32) (param $panel i32) (param $K i32) (param $kStep i32) (param $nStep i32)
    (local $x i32) (local $y i32) (local $n i32) (local $end i32)
    (local.set $end (i32.add (local.get $panel) (i32.shl (local.get $K) (i32.const 5))))
    (if (i32.eq (local.get $nStep) (i32.const 4))
      (then
        (loop $row
          (v128.store (local.get $panel) (v128.load (local.get $b)))
          (v128.store offset=16 (local.get $panel) (v128.load offset=16 (local.get $b)))
          (local.set $b (i32.add (local.get $b) (local.get $kStep)))
          (br_if $row (i32.ne (local.tee $panel (i32.add (local.get $panel) (i32.const 32))) (local.get $end)))))
      (else
        (local.set $n (i32.const 8))
        (loop $column
          (local.set $x (local.get $b))
          (local.set $y (local.get $panel))
          (loop $number
            (f32.store (local.get $y) (f32.load (local.get $x)))
            (local.set $x (i32.add (local.get $x) (local.get $kStep)))
            (br_if $number (i32.lt_u (local.tee $y (i32.add (local.get $y) (i32.const 32))) (local.get $end))))
          (local.set $b (i32.add (local.get $b) (local.get $nStep)))
          (local.set $panel (i32.add (local.get $panel) (i32.const 4)))
          (br_if $column (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))))

  ;; out[m, n] = sum over k of a[m, k] * panel[k, n], for M >= 4 and n = 0 … 7; the rows of out are $row bytes apart.
  ;;
  ;; A tile of out, 4 rows of 8 columns, stays in registers while k runs: with more of it, or with k unrolled, the 16
  ;; registers of x64 do not suffice. Where M is no multiple of 4, the last tile overlaps the one before and stores the
  ;; same values again.
  (func (export "panelMatMul")
    (param $a i32) (param $panel i32) (param $out i32) (param $M i32) (param $K i32) (param $row i32)
    (local $aRow i32) (local $m i32) (local $y i32) (local $o i32) (local $end i32)
    (local $x0 i32) (local $x1 i32) (local $x2 i32) (local $x3 i32)
    (local $x v128) (local $w0 v128) (local $w1 v128)
    (local $s00 v128) (local $s01 v128) (local $s10 v128) (local $s11 v128)
    (local $s20 v128) (local $s21 v128) (local $s30 v128) (local $s31 v128)
    (local.set $aRow (i32.shl (local.get $K) (i32.const 2)))
    (local.set $end (i32.add (local.get $panel) (i32.shl (local.get $K) (i32.const 5))))
    (block $done
      (loop $everyTile
        (local.set $x0 (i32.add (local.get $a) (i32.mul (local.get $m) (local.get $aRow))))
        (local.set $x1 (i32.add (local.get $x0) (local.get $aRow)))
        (local.set $x2 (i32.add (local.get $x1) (local.get $aRow)))
        (local.set $x3 (i32.add (local.get $x2) (local.get $aRow)))
        (local.set $y (local.get $panel))
        (local.set $s00 (v128.const f32x4 0 0 0 0)) (local.set $s01 (v128.const f32x4 0 0 0 0))
        (local.set $s10 (v128.const f32x4 0 0 0 0)) (local.set $s11 (v128.const f32x4 0 0 0 0))
        (local.set $s20 (v128.const f32x4 0 0 0 0)) (local.set $s21 (v128.const f32x4 0 0 0 0))
        (local.set $s30 (v128.const f32x4 0 0 0 0)) (local.set $s31 (v128.const f32x4 0 0 0 0))
        (loop $everyK
          (local.set $w0 (v128.load (local.get $y)))
          (local.set $w1 (v128.load offset=16 (local.get $y)))
          (local.set $x (v128.load32_splat (local.get $x0)))
          (local.set $s00 (f32x4.add (local.get $s00) (f32x4.mul (local.get $x) (local.get $w0))))
          (local.set $s01 (f32x4.add (local.get $s01) (f32x4.mul (local.get $x) (local.get $w1))))
          (local.set $x (v128.load32_splat (local.get $x1)))
          (local.set $s10 (f32x4.add (local.get $s10) (f32x4.mul (local.get $x) (local.get $w0))))
          (local.set $s11 (f32x4.add (local.get $s11) (f32x4.mul (local.get $x) (local.get $w1))))
          (local.set $x (v128.load32_splat (local.get $x2)))
          (local.set $s20 (f32x4.add (local.get $s20) (f32x4.mul (local.get $x) (local.get $w0))))
          (local.set $s21 (f32x4.add (local.get $s21) (f32x4.mul (local.get $x) (local.get $w1))))
          (local.set $x (v128.load32_splat (local.get $x3)))
          (local.set $s30 (f32x4.add (local.get $s30) (f32x4.mul (local.get $x) (local.get $w0))))
          (local.set $s31 (f32x4.add (local.get $s31) (f32x4.mul (local.get $x) (local.get $w1))))
          (local.set $x0 (i32.add (local.get $x0) (i32.const 4)))
          (local.set $x1 (i32.add (local.get $x1) (i32.const 4)))
          (local.set $x2 (i32.add (local.get $x2) (i32.const 4)))
          (local.set $x3 (i32.add (local.get $x3) (i32.const 4)))
          (br_if $everyK (i32.ne (local.tee $y (i32.add (local.get $y) (i32.const 32))) (local.get $end))))
        (local.set $o (i32.add (local.get $out) (i32.mul (local.get $m) (local.get $row))))
        (v128.store (local.get $o) (local.get $s00)) (v128.store offset=16 (local.get $o) (local.get $s01))
        (local.set $o (i32.add (local.get $o) (local.get $row)))
        (v128.store (local.get $o) (local.get $s10)) (v128.store offset=16 (local.get $o) (local.get $s11))
        (local.set $o (i32.add (local.get $o) (local.get $row)))
        (v128.store (local.get $o) (local.get $s20)) (v128.store offset=16 (local.get $o) (local.get $s21))
        (local.set $o (i32.add (local.get $o) (local.get $row)))
        (v128.store (local.get $o) (local.get $s30)) (v128.store offset=16 (local.get $o) (local.get $s31))
        (local.set $m (i32.add (local.get $m) (i32.const 4)))
        (br_if $done (i32.ge_u (local.get $m) (local.get $M)))
        (if (i32.gt_u (i32.add (local.get $m) (i32.const 4)) (local.get $M)) (then
          (local.set $m (i32.sub (local.get $M) (i32.const 4)))))
        (br $everyTile)))))
