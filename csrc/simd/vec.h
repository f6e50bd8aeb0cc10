/* One small set of vector operations, per instruction set and element type.
 *
 * Parameters, defined by the including file:
 *   FC_F64           0: float, 1: double
 *   FC_VEC_AVX512    F + BW + DQ + VL          16 floats or 8 doubles
 *   FC_VEC_AVX2      AVX2 + FMA + F16C          8 floats or 4 doubles
 *   FC_VEC_NEON      AArch64                    4 floats or 2 doubles
 *   (none)           generic                    16-byte GNU vectors, or scalars without them
 * Defines T (the element), V (the vector), VL (its length), FN(name) (name with the type's suffix)
 * and the operations below.  + - * / and scalar * vector are the compiler's own on V, and contract
 * to FMA where the target has it.  Included once per element type; there is no include guard on
 * purpose.
 *
 *   vload(p) vstore(p, v)        unaligned
 *   vload_n vstore_n             the first n lanes, 0 <= n <= VL; others read as 0, stay untouched
 *   vload_span(p, lo, hi)        lanes lo <= l < hi of p[0..VL), others 0; p may lie outside
 *   vspan(lo, hi)                those lanes as a mask, of type VM
 *   vload_in(p, mask)            the lanes of a mask, others 0
 *   vload_or(p, mask, v)         the lanes of a mask, others from v
 *   vset1(x)
 *   vselect_lt(a, b, x, y)       lane-wise a < b ? x : y
 *   vfloor_at(lo, a)             a < lo ? lo : a, so that a NaN in a is kept
 *   vceil_at(hi, a)              a > hi ? hi : a, in the same way
 *   vmax(a, b)                   a NaN in either operand is kept
 *   vsqrt(a)
 *   vround(a)                    to the nearest integer, |a| < 2^22 (float) or 2^51 (double)
 *   vscale2(a, k)                a * 2^k for integral k within the normal exponents
 *   vload_t(p, ld, r)            r[i] = lane i of the VL rows p, p + ld, ...: a VL x VL transpose
 *   vhalves(a, b)                a in the lower half, b in the upper: floats of AVX2, AVX-512
 *   vdeinterleave(a, b, &e, &o)  even and odd lanes of the 2 VL elements a, b
 *   vsplit(a, b, &e, &o)         the same, both in an order of the level's own
 *   vsorted(v)                   what was computed from vsplit's lanes, in their true order
 *   vnext(a, keep)               lane l is a's lane l + 1 where keep's is all ones, 0 where it is 0
 *   vstore_parts(p, step, v, n)  the n equal parts of v, of 4 lanes or more, to p, p + step, ...
 * The last two are there for vectors of 4 elements or more.
 */
#ifndef FC_SIMD_VEC_H
#define FC_SIMD_VEC_H
#define FC_PASTE_(a, b) a##b
#define FC_PASTE(a, b) FC_PASTE_(a, b)
#define FN(name) FC_PASTE(name, FC_SUFFIX)
#define vload FN(vload)
#define vstore FN(vstore)
#define vload_n FN(vload_n)
#define vstore_n FN(vstore_n)
#define vload_span FN(vload_span)
#define vspan FN(vspan)
#define vload_lanes FN(vload_lanes)
#define vload_or FN(vload_or)
#define vload_in FN(vload_in)
#define vset1 FN(vset1)
#define vhalves FN(vhalves)
#define vselect_lt FN(vselect_lt)
#define vfloor_at FN(vfloor_at)
#define vceil_at FN(vceil_at)
#define vmax FN(vec_max)   /* arm_neon.h has a vmax_f32 of its own */
#define vsqrt FN(vec_sqrt) /* and a vsqrt_f32 */
#define vround FN(vround)
#define vscale2 FN(vscale2)
#define vload_t FN(vload_t)
#define vdeinterleave FN(vdeinterleave)
#define vsplit FN(vsplit)
#define vsorted FN(vsorted)
#define vnext FN(vnext)
#define vstore_parts FN(vstore_parts)
#endif

#undef T
#undef VL
#undef V
#undef VI
#undef VM
#undef FC_SUFFIX
#undef FC_LANE_INT
#undef FC_EXPONENT_BIAS
#undef FC_MANTISSA_BITS
#if FC_F64
#define T double
#define FC_SUFFIX _f64
#define FC_LANE_INT int64_t
#define FC_EXPONENT_BIAS 1023
#define FC_MANTISSA_BITS 52
#else
#define T float
#define FC_SUFFIX _f32
#define FC_LANE_INT int32_t
#define FC_EXPONENT_BIAS 127
#define FC_MANTISSA_BITS 23
#endif
#define V FN(vec)
#define VI FN(veci)
#define VM FN(vecm)

#undef FC_VEC_BYTES
#if defined(FC_VEC_AVX512)
#define FC_VEC_BYTES 64
#elif defined(FC_VEC_AVX2)
#define FC_VEC_BYTES 32
#else
#define FC_VEC_BYTES 16
#endif

#if defined(__GNUC__)
#define VL ((int)(FC_VEC_BYTES / sizeof(T)))
typedef T V __attribute__((vector_size(FC_VEC_BYTES)));
typedef FC_LANE_INT VI __attribute__((vector_size(FC_VEC_BYTES)));
typedef T FN(vecu) __attribute__((vector_size(FC_VEC_BYTES), aligned(sizeof(T)), may_alias));
#define FC_LANE(v, l) ((v)[l])
FC_INLINE V vload(const T *p)
{
    return *(const FN(vecu) *)p;
}
FC_INLINE void vstore(T *p, V v)
{
    *(FN(vecu) *)p = v;
}
/* x - 0 is x for every x, -0 and NaN included, so this is a plain broadcast. */
FC_INLINE V vset1(T x)
{
    return x - (V){0};
}
#else /* scalars */
#undef FC_VEC_BYTES
#define FC_VEC_BYTES sizeof(T)
#define VL 1
typedef T V;
typedef FC_LANE_INT VI;
#define FC_LANE(v, l) (v)
FC_INLINE V vload(const T *p)
{
    return *p;
}
FC_INLINE void vstore(T *p, V v)
{
    *p = v;
}
FC_INLINE V vset1(T x)
{
    return x;
}
#endif

#if defined(FC_VEC_AVX512)

#if FC_F64
#define FC_MASK __mmask8
#define FC_512(op) _mm512_##op##_pd
#else
#define FC_MASK __mmask16
#define FC_512(op) _mm512_##op##_ps
#endif
typedef FC_MASK VM;
FC_INLINE VM vspan(int64_t lo, int64_t hi)
{
    lo = lo < 0 ? 0 : lo > VL ? VL : lo;
    hi = hi < lo ? lo : hi > VL ? VL : hi;
    return (VM)((1u << hi) - (1u << lo));
}
FC_INLINE V vload_or(const T *p, VM mask, V other)
{
    return FC_512(mask_loadu)(other, mask, p);
}
FC_INLINE V vload_in(const T *p, VM mask)
{
    return FC_512(maskz_loadu)(mask, p);
}
FC_INLINE V vload_n(const T *p, int64_t n)
{
    return FC_512(maskz_loadu)((FC_MASK)((1u << n) - 1), p);
}
FC_INLINE void vstore_n(T *p, V v, int64_t n)
{
    FC_512(mask_storeu)(p, (FC_MASK)((1u << n) - 1), v);
}
#if !FC_F64
FC_INLINE V vhalves(T a, T b)
{
    return _mm512_mask_blend_ps(0xff00, _mm512_set1_ps(a), _mm512_set1_ps(b));
}
#endif
FC_INLINE V vselect_lt(V a, V b, V x, V y)
{
#if FC_F64
    return _mm512_mask_blend_pd(_mm512_cmp_pd_mask(a, b, _CMP_LT_OQ), y, x);
#else
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
#endif
}
/* The instruction returns its second operand when either is NaN. */
FC_INLINE V vfloor_at(V lo, V a)
{
    return FC_512(max)(lo, a);
}
FC_INLINE V vceil_at(V hi, V a)
{
    return FC_512(min)(hi, a);
}
/* The instruction returns its second operand when either is NaN, so b's is kept; a's is put back by
 * its class: table 0x22 says that a NaN of a is to be the result, and anything else is not. */
FC_INLINE V vmax(V a, V b)
{
#if FC_F64
    return _mm512_fixupimm_pd(_mm512_max_pd(a, b), a, _mm512_set1_epi64(0x22), 0);
#else
    return _mm512_fixupimm_ps(_mm512_max_ps(a, b), a, _mm512_set1_epi32(0x22), 0);
#endif
}
FC_INLINE V vsqrt(V a)
{
    return FC_512(sqrt)(a);
}
#undef FC_MASK
#undef FC_512

#elif defined(FC_VEC_AVX2)

#if FC_F64
#define FC_256(op) _mm256_##op##_pd
#else
#define FC_256(op) _mm256_##op##_ps
#endif
typedef __m256i VM;
FC_INLINE VM vspan(int64_t lo, int64_t hi)
{
    lo = lo < 0 ? 0 : lo > VL ? VL : lo;
    hi = hi < lo ? lo : hi > VL ? VL : hi;
#if FC_F64
    const __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
    return _mm256_andnot_si256(_mm256_cmpgt_epi64(_mm256_set1_epi64x(lo), lane),
                               _mm256_cmpgt_epi64(_mm256_set1_epi64x(hi), lane));
#else
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32((int)lo), lane),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32((int)hi), lane));
#endif
}
FC_INLINE V vload_in(const T *p, VM mask)
{
    return FC_256(maskload)(p, mask);
}
FC_INLINE V vload_or(const T *p, VM mask, V other)
{
    return FC_256(blendv)(other, FC_256(maskload)(p, mask), (V)mask);
}
/* A window into ones and zeros: one load where vspan compares twice. */
FC_INLINE V vload_n(const T *p, int64_t n)
{
    static const FC_LANE_INT lanes[2 * FC_VEC_BYTES / sizeof(T)]
        __attribute__((aligned(2 * FC_VEC_BYTES))) = {
#if FC_F64
            -1, -1, -1, -1};
#else
            -1, -1, -1, -1, -1, -1, -1, -1};
#endif
    return FC_256(maskload)(p, _mm256_loadu_si256((const __m256i *)(lanes + VL - n)));
}
#if !FC_F64
FC_INLINE V vhalves(T a, T b)
{
    return _mm256_blend_ps(_mm256_set1_ps(a), _mm256_set1_ps(b), 0xf0);
}
#endif
/* In powers of two: a masked store takes 12 cycles on AMD Zen 1 to 3, and hides from later loads.
 */
FC_INLINE void vstore_n(T *p, V v, int64_t n)
{
    if (n == VL) {
        vstore(p, v);
        return;
    }
#if FC_F64
    __m128d part = _mm256_castpd256_pd128(v);
    if (n & 2) {
        _mm_storeu_pd(p, part);
        p += 2;
        part = _mm256_extractf128_pd(v, 1);
    }
    if (n & 1)
        _mm_store_sd(p, part);
#else
    __m128 part = _mm256_castps256_ps128(v);
    if (n & 4) {
        _mm_storeu_ps(p, part);
        p += 4;
        part = _mm256_extractf128_ps(v, 1);
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)p, part);
        p += 2;
        part = _mm_movehl_ps(part, part);
    }
    if (n & 1)
        _mm_store_ss(p, part);
#endif
}
FC_INLINE V vselect_lt(V a, V b, V x, V y)
{
    return FC_256(blendv)(y, x, FC_256(cmp)(a, b, _CMP_LT_OQ));
}
FC_INLINE V vfloor_at(V lo, V a)
{
    return FC_256(max)(lo, a);
}
FC_INLINE V vceil_at(V hi, V a)
{
    return FC_256(min)(hi, a);
}
FC_INLINE V vmax(V a, V b)
{
    return FC_256(blendv)(FC_256(max)(a, b), a, FC_256(cmp)(a, a, _CMP_UNORD_Q));
}
FC_INLINE V vsqrt(V a)
{
    return FC_256(sqrt)(a);
}
#undef FC_256

#else /* NEON and generic: the compiler's own vectors */

typedef struct {
    int64_t lo, hi;
} VM;
FC_INLINE VM vspan(int64_t lo, int64_t hi)
{
    const VM mask = {lo, hi};
    return mask;
}
FC_NOINLINE V vload_lanes(const T *p, VM mask, V other)
{
    for (int l = 0; l < VL; l++)
        if (l >= mask.lo && l < mask.hi)
            FC_LANE(other, l) = p[l];
    return other;
}
FC_INLINE V vload_or(const T *p, VM mask, V other)
{
    return mask.lo <= 0 && mask.hi >= VL ? vload(p) : vload_lanes(p, mask, other);
}
FC_INLINE V vload_in(const T *p, VM mask)
{
    return vload_or(p, mask, vset1(0));
}
FC_INLINE V vload_n(const T *p, int64_t n)
{
    return n == VL ? vload(p) : vload_in(p, vspan(0, n));
}
FC_INLINE void vstore_n(T *p, V v, int64_t n)
{
    if (n == VL) {
        vstore(p, v);
        return;
    }
    for (int l = 0; l < VL; l++)
        if (l < n)
            p[l] = FC_LANE(v, l);
}
#if defined(__GNUC__)
FC_INLINE V vselect_lt(V a, V b, V x, V y)
{
    const VI m = (VI)(a < b);
    return (V)(((VI)x & m) | ((VI)y & ~m));
}
FC_INLINE V vmax(V a, V b)
{
    const VI m = (VI)(a > b) | (VI)(a != a);
    return (V)(((VI)a & m) | ((VI)b & ~m));
}
#else
FC_INLINE V vselect_lt(V a, V b, V x, V y)
{
    return a < b ? x : y;
}
FC_INLINE V vmax(V a, V b)
{
    return a > b || a != a ? a : b;
}
#endif
FC_INLINE V vfloor_at(V lo, V a)
{
    return vselect_lt(a, lo, lo, a);
}
FC_INLINE V vceil_at(V hi, V a)
{
    return vselect_lt(hi, a, hi, a);
}
FC_INLINE V vsqrt(V a)
{
#if defined(__GNUC__)
    for (int i = 0; i < VL; i++)
        a[i] = (T)sqrt((double)a[i]);
    return a;
#else
    return (T)sqrt((double)a);
#endif
}

#endif

FC_INLINE V vload_span(const T *p, int64_t lo, int64_t hi)
{
    return vload_in(p, vspan(lo, hi));
}

/* Adding and taking away 1.5 * 2^mantissa leaves the nearest integer; nothing here is compiled with
 * -ffast-math, which would undo it. */
FC_INLINE V vround(V a)
{
    const V magic = vset1((T)1.5 * (T)((FC_LANE_INT)1 << FC_MANTISSA_BITS));
    const V shifted = a + magic;
    return shifted - magic;
}
/* 2^k built in the exponent field. */
FC_INLINE V vscale2(V a, V k)
{
#if defined(__GNUC__)
    const VI e = (__builtin_convertvector(k, VI) + FC_EXPONENT_BIAS) << FC_MANTISSA_BITS;
    return a * (V)e;
#else
    const VI e = ((VI)k + FC_EXPONENT_BIAS) * ((VI)1 << FC_MANTISSA_BITS);
    V power;
    memcpy(&power, &e, sizeof power);
    return a * power;
#endif
}

#include "simd/lanes.h"
