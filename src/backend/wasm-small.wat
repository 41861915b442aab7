;; Sum or product of two small float32 tensors in the backend's own heap. `npx tsx scripts/assemble-wasm.ts` assembles this
;; file into wasm-small-code.ts.
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
      (br_if $everyGroup (i32.ne (local.get $out) (local.get $end))))))
