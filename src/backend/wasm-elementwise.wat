;; Operations on each number of float32 tensors in the backend's own heap; sizes are in bytes. `npx tsx
;; scripts/assemble-wasm.ts` assembles this file into wasm-elementwise-code.ts.
(module
  (import "backend" "memory" (memory 0))

  ;; out[i] = x[i] + y[j], or x[i] * y[j] if $multiply: in each group of $inner bytes of out, j begins where it began before
  ;; (if $repeat), or is the next number for all of the group. $end is the address after out.
  (func (export "combine")
    (param $multiply i32) (param $repeat i32) (param $x i32) (param $y i32) (param $out i32) (param $end i32)
    (param $inner i32)
    (local $j i32) (local $next i32) (local $a v128) (local $b v128) (local $s f32) (local $t f32)
    (loop $everyGroup
      (local.set $next (i32.add (local.get $out) (local.get $inner)))
      (local.set $j (local.get $y))
      (block $fewLeft
        (loop $four
          (br_if $fewLeft (i32.gt_u (i32.add (local.get $out) (i32.const 16)) (local.get $next)))
          (local.set $a (v128.load (local.get $x)))
          (local.set $b (if (result v128) (local.get $repeat)
            (then (v128.load (local.get $j)))
            (else (v128.load32_splat (local.get $y)))))
          (v128.store (local.get $out) (if (result v128) (local.get $multiply)
            (then (f32x4.mul (local.get $a) (local.get $b)))
            (else (f32x4.add (local.get $a) (local.get $b)))))
          (local.set $x (i32.add (local.get $x) (i32.const 16)))
          (local.set $j (i32.add (local.get $j) (i32.const 16)))
          (local.set $out (i32.add (local.get $out) (i32.const 16)))
          (br $four)))
      (block $groupDone
        (loop $one
          (br_if $groupDone (i32.eq (local.get $out) (local.get $next)))
          (local.set $s (f32.load (local.get $x)))
          (local.set $t (f32.load (select (local.get $j) (local.get $y) (local.get $repeat))))
          (f32.store (local.get $out) (if (result f32) (local.get $multiply)
            (then (f32.mul (local.get $s) (local.get $t)))
            (else (f32.add (local.get $s) (local.get $t)))))
          (local.set $x (i32.add (local.get $x) (i32.const 4)))
          (local.set $j (i32.add (local.get $j) (i32.const 4)))
          (local.set $out (i32.add (local.get $out) (i32.const 4)))
          (br $one)))
      (if (i32.eqz (local.get $repeat)) (then (local.set $y (i32.add (local.get $y) (i32.const 4)))))
      (br_if $everyGroup (i32.ne (local.get $out) (local.get $end)))))

  ;; RMSNorm of rows of $row bytes: out = x / sqrt(mean(x * x) + eps) * weight. $end is the address after out.
  (func (export "rmsNorm")
    (param $x i32) (param $weight i32) (param $out i32) (param $end i32) (param $row i32) (param $eps f32)
    (local $i i32) (local $whole i32) (local $four v128) (local $squares v128) (local $scale v128) (local $s f32)
    (local.set $whole (i32.and (local.get $row) (i32.const -16)))
    (loop $everyRow
      (local.set $squares (v128.const f32x4 0 0 0 0))
      (local.set $i (i32.const 0))
      (block $fewLeft
        (loop $four
          (br_if $fewLeft (i32.eq (local.get $i) (local.get $whole)))
          (local.set $four (v128.load (i32.add (local.get $x) (local.get $i))))
          (local.set $squares (f32x4.add (local.get $squares) (f32x4.mul (local.get $four) (local.get $four))))
          (local.set $i (i32.add (local.get $i) (i32.const 16)))
          (br $four)))
      (local.set $s (f32.add
        (f32.add (f32x4.extract_lane 0 (local.get $squares)) (f32x4.extract_lane 1 (local.get $squares)))
        (f32.add (f32x4.extract_lane 2 (local.get $squares)) (f32x4.extract_lane 3 (local.get $squares)))))
      (block $summed
        (loop $one
          (br_if $summed (i32.eq (local.get $i) (local.get $row)))
          (local.set $s (f32.add (local.get $s) (f32.mul
            (f32.load (i32.add (local.get $x) (local.get $i)))
            (f32.load (i32.add (local.get $x) (local.get $i))))))
          (local.set $i (i32.add (local.get $i) (i32.const 4)))
          (br $one)))
      (local.set $s (f32.div (f32.const 1) (f32.sqrt (f32.add (local.get $eps)
        (f32.div (local.get $s) (f32.convert_i32_u (i32.shr_u (local.get $row) (i32.const 2))))))))
      (local.set $scale (f32x4.splat (local.get $s)))
      (local.set $i (i32.const 0))
      (block $fewLeft
        (loop $four
          (br_if $fewLeft (i32.eq (local.get $i) (local.get $whole)))
          (v128.store (i32.add (local.get $out) (local.get $i)) (f32x4.mul
            (f32x4.mul (v128.load (i32.add (local.get $x) (local.get $i))) (local.get $scale))
            (v128.load (i32.add (local.get $weight) (local.get $i)))))
          (local.set $i (i32.add (local.get $i) (i32.const 16)))
          (br $four)))
      (block $rowDone
        (loop $one
          (br_if $rowDone (i32.eq (local.get $i) (local.get $row)))
          (f32.store (i32.add (local.get $out) (local.get $i)) (f32.mul
            (f32.mul (f32.load (i32.add (local.get $x) (local.get $i))) (local.get $s))
            (f32.load (i32.add (local.get $weight) (local.get $i)))))
          (local.set $i (i32.add (local.get $i) (i32.const 4)))
          (br $one)))
      (local.set $x (i32.add (local.get $x) (local.get $row)))
      (br_if $everyRow (i32.ne (local.tee $out (i32.add (local.get $out) (local.get $row))) (local.get $end)))))

  ;; RoPE of rows of two halves, a and b: out = (a * cos + b * sin, b * cos + a * sin), each half with its own half of cos
  ;; and sin, which begin again after $table bytes. $end is the address after out.
  (func (export "rotate")
    (param $x i32) (param $cos i32) (param $sin i32) (param $out i32) (param $end i32) (param $half i32) (param $table i32)
    (local $i i32) (local $next i32) (local $a f32) (local $b f32)
    (loop $everyRow
      (local.set $next (i32.add (local.get $x) (local.get $half)))
      (loop $everyPair
        (local.set $a (f32.load (local.get $x)))
        (local.set $b (f32.load (i32.add (local.get $x) (local.get $half))))
        (f32.store (local.get $out) (f32.add
          (f32.mul (local.get $a) (f32.load (i32.add (local.get $cos) (local.get $i))))
          (f32.mul (local.get $b) (f32.load (i32.add (local.get $sin) (local.get $i))))))
        (local.set $i (i32.add (local.get $i) (local.get $half)))
        (f32.store (i32.add (local.get $out) (local.get $half)) (f32.add
          (f32.mul (local.get $b) (f32.load (i32.add (local.get $cos) (local.get $i))))
          (f32.mul (local.get $a) (f32.load (i32.add (local.get $sin) (local.get $i))))))
        (local.set $i (i32.add (i32.sub (local.get $i) (local.get $half)) (i32.const 4)))
        (local.set $out (i32.add (local.get $out) (i32.const 4)))
        (br_if $everyPair
          (i32.ne (local.tee $x (i32.add (local.get $x) (i32.const 4))) (local.get $next))))
      (local.set $x (i32.add (local.get $x) (local.get $half)))
      (local.set $out (i32.add (local.get $out) (local.get $half)))
      (local.set $i (i32.add (local.get $i) (local.get $half)))
      (if (i32.eq (local.get $i) (local.get $table)) (then (local.set $i (i32.const 0))))
      (br_if $everyRow (i32.ne (local.get $out) (local.get $end))))))
