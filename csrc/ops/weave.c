/* Columns of several arrays side by side: what the phases of a transposed convolution become. */
#include <string.h>

#include "base/checked.h"
#include "ops/ops.h"

/* y[q * count + f] = phases[f][q], for the `w` elements of a row; phases end as the row does. */
#define FC_WEAVE_ROW(T) \
    static void weave_row_##T(const struct fc_weave *v, int64_t row, void *y) \
    { \
        const int64_t count = v->count, w = v->w; \
        T *to = y; \
        if (count == 2) { \
            const T *a = (const T *)v->phases[0] + row * fc_ceil_div(w, 2); \
            const T *b = (const T *)v->phases[1] + row * (w / 2); \
            for (int64_t q = 0; q < w / 2; q++) { \
                to[2 * q] = a[q]; \
                to[2 * q + 1] = b[q]; \
            } \
            if (w % 2) \
                to[w - 1] = a[w / 2]; \
            return; \
        } \
        for (int64_t f = 0; f < fc_min(count, w); f++) { \
            const int64_t columns = fc_ceil_div(w - f, count); \
            const T *from = (const T *)v->phases[f] + row * columns; \
            for (int64_t q = 0; q < columns; q++) \
                to[q * count + f] = from[q]; \
        } \
    }
FC_WEAVE_ROW(uint16_t)
FC_WEAVE_ROW(uint32_t)
FC_WEAVE_ROW(uint64_t)

void fc_weave_run(const struct fc_weave *v, int threads)
{
    const int64_t rows = v->n * v->c * v->d * v->h;
    const fc_array *y = &v->y;
    (void)threads; /* a serial build has no use for it */
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const int64_t h = row % v->h, d = row / v->h % v->d, c = row / v->h / v->d % v->c;
        const int64_t n = row / v->h / v->d / v->c;
        char *to = (char *)y->data +
                   (n * y->n + c * y->c + d * y->d + h * y->h) * (int64_t)v->element_bytes;
        if (v->element_bytes == 8)
            weave_row_uint64_t(v, row, to);
        else if (v->element_bytes == 4)
            weave_row_uint32_t(v, row, to);
        else
            weave_row_uint16_t(v, row, to);
    }
}
