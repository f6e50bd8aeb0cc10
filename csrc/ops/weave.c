/* Columns of several arrays side by side: what the phases of a transposed convolution become. */
#include "base/checked.h"
#include "ops/elements.h"
#include "ops/ops.h"
#include "ops/parallel.h"

/* y[q * count + f] = phases[f][q] for a row: phase f has ceil((w - f) / count) elements in it. */
static void weave_row(const struct fc_weave *v, int64_t row, char *y)
{
    const int64_t size = (int64_t)v->element_bytes;
    for (int64_t f = 0; f < fc_min(v->count, v->w); f++) {
        const int64_t columns = fc_ceil_div(v->w - f, v->count);
        const char *from = (const char *)v->phases[f] + row * columns * size;
        const struct fc_elements e = {.dst = y + f * size,
                                      .dst_step = v->count * size,
                                      .src = from,
                                      .src_step = size,
                                      .rows = 1,
                                      .count = columns};
        fc_copy_elements(&e, v->element_bytes);
    }
}

/* The same of two phases of float32, nearly all that there are: left to itself, GCC makes no
 * vectors of it, which take 0.4 of the time. */
static void weave_pairs(const struct fc_weave *v, int64_t row, uint32_t *restrict y)
{
    const int64_t w = v->w;
    const uint32_t *restrict a = (const uint32_t *)v->phases[0] + row * fc_ceil_div(w, 2);
    const uint32_t *restrict b = (const uint32_t *)v->phases[1] + row * (w / 2);
#pragma omp simd
    for (int64_t q = 0; q < w / 2; q++) {
        y[2 * q] = a[q];
        y[2 * q + 1] = b[q];
    }
    if (w % 2)
        y[w - 1] = a[w / 2];
}

static void run_share(const void *job, struct fc_items *items)
{
    const struct fc_weave *const v = job;
    const fc_array *y = &v->y;
    for (int64_t row; (row = fc_next(items)) >= 0;) {
        const int64_t h = row % v->h, d = row / v->h % v->d, c = row / v->h / v->d % v->c;
        const int64_t n = row / v->h / v->d / v->c;
        char *to = (char *)y->data +
                   (n * y->n + c * y->c + d * y->d + h * y->h) * (int64_t)v->element_bytes;
        if (v->element_bytes == 4 && v->count == 2)
            weave_pairs(v, row, (uint32_t *)to);
        else
            weave_row(v, row, to);
    }
}

void fc_weave_run(const struct fc_weave *v, int threads)
{
    const int64_t rows = v->n * v->c * v->d * v->h;
    /* Rows take tens of nanoseconds: claiming each would take longer. */
    fc_share(threads, rows, fc_ceil_div(rows, threads), run_share, v);
}
