/* The operations of simd/vec.h that move elements from lane to lane.  Included by it, once per
 * element type; there is no include guard on purpose. */

#if defined(FC_VEC_AVX512) && !FC_F64

/* Quarters of 128 bits come from memory straight into their lane (a blend on two ports), so that
 * only the 4 x 4 transposes inside the lanes need the one shuffle port. */
FC_INLINE void vload_t(const T *p, ptrdiff_t ld, V *r)
{
    FC_UNROLL
    for (int q = 0; q < 4; q++) {
        V c[4];
        FC_UNROLL
        for (int j = 0; j < 4; j++) {
            const T *row = p + 4 * q + j * ld;
            V x = _mm512_castps128_ps512(_mm_loadu_ps(row));
            x = _mm512_mask_broadcast_f32x4(x, 0x00f0, _mm_loadu_ps(row + 4 * ld));
            x = _mm512_mask_broadcast_f32x4(x, 0x0f00, _mm_loadu_ps(row + 8 * ld));
            c[j] = _mm512_mask_broadcast_f32x4(x, 0xf000, _mm_loadu_ps(row + 12 * ld));
        }
        const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(c[0], c[1]));
        const __m512d b = _mm512_castps_pd(_mm512_unpacklo_ps(c[2], c[3]));
        const __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(c[0], c[1]));
        const __m512d e = _mm512_castps_pd(_mm512_unpackhi_ps(c[2], c[3]));
        r[4 * q] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
        r[4 * q + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        r[4 * q + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(d, e));
        r[4 * q + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(d, e));
    }
}
FC_INLINE void vdeinterleave(V a, V b, V *even, V *odd)
{
    const __m512i e = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i o = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    *even = _mm512_permutex2var_ps(a, e, b);
    *odd = _mm512_permutex2var_ps(a, o, b);
}

#elif defined(FC_VEC_AVX512)

FC_INLINE void vload_t(const T *p, ptrdiff_t ld, V *r)
{
    FC_UNROLL
    for (int q = 0; q < 4; q++) {
        V c[2];
        FC_UNROLL
        for (int j = 0; j < 2; j++) {
            const T *row = p + 2 * q + j * ld;
            V x = _mm512_castpd128_pd512(_mm_loadu_pd(row));
            x = _mm512_mask_broadcast_f64x2(x, 0x0c, _mm_loadu_pd(row + 2 * ld));
            x = _mm512_mask_broadcast_f64x2(x, 0x30, _mm_loadu_pd(row + 4 * ld));
            c[j] = _mm512_mask_broadcast_f64x2(x, 0xc0, _mm_loadu_pd(row + 6 * ld));
        }
        r[2 * q] = _mm512_unpacklo_pd(c[0], c[1]);
        r[2 * q + 1] = _mm512_unpackhi_pd(c[0], c[1]);
    }
}
FC_INLINE void vdeinterleave(V a, V b, V *even, V *odd)
{
    *even = _mm512_permutex2var_pd(a, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), b);
    *odd = _mm512_permutex2var_pd(a, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), b);
}

#elif defined(FC_VEC_AVX2) && !FC_F64

FC_INLINE void vload_t(const T *p, ptrdiff_t ld, V *r)
{
    FC_UNROLL
    for (int q = 0; q < 2; q++) {
        V c[4];
        FC_UNROLL
        for (int j = 0; j < 4; j++) {
            const T *row = p + 4 * q + j * ld;
            c[j] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(row)),
                                        _mm_loadu_ps(row + 4 * ld), 1);
        }
        const __m256d a = _mm256_castps_pd(_mm256_unpacklo_ps(c[0], c[1]));
        const __m256d b = _mm256_castps_pd(_mm256_unpacklo_ps(c[2], c[3]));
        const __m256d d = _mm256_castps_pd(_mm256_unpackhi_ps(c[0], c[1]));
        const __m256d e = _mm256_castps_pd(_mm256_unpackhi_ps(c[2], c[3]));
        r[4 * q] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b));
        r[4 * q + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, b));
        r[4 * q + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(d, e));
        r[4 * q + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(d, e));
    }
}
FC_INLINE void vdeinterleave(V a, V b, V *even, V *odd)
{
    const V lo = _mm256_permute2f128_ps(a, b, 0x20), hi = _mm256_permute2f128_ps(a, b, 0x31);
    *even = _mm256_shuffle_ps(lo, hi, 0x88);
    *odd = _mm256_shuffle_ps(lo, hi, 0xdd);
}

#elif defined(FC_VEC_AVX2)

FC_INLINE void vload_t(const T *p, ptrdiff_t ld, V *r)
{
    FC_UNROLL
    for (int q = 0; q < 2; q++) {
        V c[2];
        FC_UNROLL
        for (int j = 0; j < 2; j++) {
            const T *row = p + 2 * q + j * ld;
            c[j] = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(row)),
                                        _mm_loadu_pd(row + 2 * ld), 1);
        }
        r[2 * q] = _mm256_unpacklo_pd(c[0], c[1]);
        r[2 * q + 1] = _mm256_unpackhi_pd(c[0], c[1]);
    }
}
FC_INLINE void vdeinterleave(V a, V b, V *even, V *odd)
{
    const V lo = _mm256_permute2f128_pd(a, b, 0x20), hi = _mm256_permute2f128_pd(a, b, 0x31);
    *even = _mm256_unpacklo_pd(lo, hi);
    *odd = _mm256_unpackhi_pd(lo, hi);
}

#else /* NEON and generic: lane by lane, which compilers turn into zips and inserts */

FC_INLINE void vload_t(const T *p, ptrdiff_t ld, V *r)
{
    for (int i = 0; i < VL; i++) {
        V column = vset1(0);
        for (int j = 0; j < VL; j++)
            FC_LANE(column, j) = p[i + j * ld];
        r[i] = column;
    }
}
#if defined(__GNUC__)
FC_INLINE void vdeinterleave(V a, V b, V *even, V *odd)
{
    V e = a, o = a;
    for (int l = 0; l < VL / 2; l++) {
        e[l] = a[2 * l];
        e[VL / 2 + l] = b[2 * l];
        o[l] = a[2 * l + 1];
        o[VL / 2 + l] = b[2 * l + 1];
    }
    *even = e;
    *odd = o;
}
#else
FC_INLINE void vdeinterleave(V a, V b, V *even, V *odd)
{
    *even = a;
    *odd = b;
}
#endif

#endif

#if defined(FC_VEC_AVX2)
/* AVX2 shuffles within half a vector in one instruction and across in two. */
FC_INLINE void vsplit(V a, V b, V *even, V *odd)
{
#if FC_F64
    *even = _mm256_unpacklo_pd(a, b);
    *odd = _mm256_unpackhi_pd(a, b);
#else
    *even = _mm256_shuffle_ps(a, b, 0x88);
    *odd = _mm256_shuffle_ps(a, b, 0xdd);
#endif
}
FC_INLINE V vsorted(V v)
{
    return (V)_mm256_permute4x64_pd((__m256d)v, 0xd8);
}
#else
FC_INLINE void vsplit(V a, V b, V *even, V *odd)
{
    vdeinterleave(a, b, even, odd);
}
FC_INLINE V vsorted(V v)
{
    return v;
}
#endif

#if defined(__GNUC__)

FC_INLINE V vnext(V a, VI keep)
{
#if defined(FC_VEC_AVX512) && !FC_F64
    const __m512i lanes = _mm512_castps_si512(a);
    const V next = _mm512_castsi512_ps(_mm512_alignr_epi32(lanes, lanes, 1));
#elif defined(FC_VEC_AVX2) && !FC_F64
    const V next = _mm256_permutevar8x32_ps(a, _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 0));
#else
    V next = a;
    for (int l = 0; l + 1 < VL; l++)
        next[l] = a[l + 1];
#endif
    return (V)((VI)next & keep);
}

FC_INLINE void vstore_parts(T *p, int64_t step, V v, int parts)
{
#if defined(FC_VEC_AVX512) && !FC_F64
    if (parts == 4) {
        _mm_storeu_ps(p, _mm512_castps512_ps128(v));
        _mm_storeu_ps(p + step, _mm512_extractf32x4_ps(v, 1));
        _mm_storeu_ps(p + 2 * step, _mm512_extractf32x4_ps(v, 2));
        _mm_storeu_ps(p + 3 * step, _mm512_extractf32x4_ps(v, 3));
        return;
    }
    if (parts == 2) {
        _mm256_storeu_ps(p, _mm512_castps512_ps256(v));
        _mm256_storeu_ps(p + step, _mm512_extractf32x8_ps(v, 1));
        return;
    }
#elif defined(FC_VEC_AVX2) && !FC_F64
    if (parts == 2) {
        _mm_storeu_ps(p, _mm256_castps256_ps128(v));
        _mm_storeu_ps(p + step, _mm256_extractf128_ps(v, 1));
        return;
    }
#endif
    (void)step;
    (void)parts;
    vstore(p, v);
}

#endif
