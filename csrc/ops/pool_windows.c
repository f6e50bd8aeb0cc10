/* Pooling window by window, for what the vectors of pool.c do not serve. */
#include <string.h>

#include "ops/pooling.h"

void fc_pool_put(const fc_pool_plan *p, char *y, double value)
{
    const float rounded = (float)value;
    if (p->desc.dtype == FC_FLOAT64)
        *(double *)y = value;
    else if (p->desc.dtype == FC_FLOAT32)
        *(float *)y = rounded;
    else
        p->kernels->float_to_half(&rounded, (uint16_t *)y, 1);
}

void fc_pool_windows(struct fc_pool_worker *w, const struct fc_pool_item *t)
{
    const fc_pool_plan *p = w->p;
    const int last = p->desc.channels_last;
    const int64_t channels = last ? p->desc.c : 1;
    struct fc_pool_window window = {.x = fc_pool_input(w, t->image, t->channel, 0, 0, 0),
                                    .x_plane = w->x->d,
                                    .x_row = w->x->h,
                                    .x_col = w->x->w,
                                    .depth = w->axis[0],
                                    .height = w->axis[1],
                                    .width = w->axis[2],
                                    .plane = t->plane,
                                    .q0 = t->col0,
                                    .cols = t->cols,
                                    .channels = channels,
                                    .y_col = w->y->w,
                                    .index_col = channels};
    const int64_t images = last ? t->image : t->image * p->desc.c + t->channel;
    const int64_t plane = images * p->out[0] + t->plane;
    for (int64_t i = t->row0; i < t->row0 + t->rows; i++) {
        window.row = i;
        window.y = fc_pool_output(w, t->image, t->channel, t->plane, i, t->col0);
        if (w->indices)
            window.indices =
                w->indices + ((plane * p->out[1] + i) * p->out[2] + t->col0) * channels;
        p->kernels->window[p->desc.dtype](&window);
    }
}

/* ---- averages ---- */

size_t fc_pool_pieces_bytes(void)
{
    return FC_POOL_PIECE * (sizeof(double) + sizeof(float));
}

/* The pixels of a window that lie in the image. */
struct box {
    struct fc_span d, h, w;
};

/* One channel of planes: by the sum kernel, in pieces where they have to be converted. */
static double sum_plane(const struct fc_pool_worker *w, const struct fc_pool_item *t,
                        const struct box *box)
{
    const fc_pool_plan *p = w->p;
    const struct fc_span rows = box->h, columns = box->w;
    double sum = 0;
    for (int64_t z = box->d.first; z < box->d.first + box->d.count; z++) {
        const char *x = fc_pool_input(w, t->image, t->channel, z, rows.first, columns.first);
        if (p->desc.dtype != FC_FLOAT16) {
            sum += p->family->sum(x, rows.count, columns.count, w->x->h);
            continue;
        }
        for (int64_t i = 0; i < rows.count; i++)
            for (int64_t j = 0; j < columns.count; j += FC_POOL_PIECE) {
                const int64_t n = fc_min(FC_POOL_PIECE, columns.count - j);
                p->kernels->half_to_float((const uint16_t *)x + i * w->x->h + j, (float *)w->line,
                                          n);
                sum += p->family->sum(w->line, 1, n, n);
            }
    }
    return sum;
}

/* sums[u] = those of channel c + u of pixels, u < n. */
static void sum_pixels(const struct fc_pool_worker *w, const struct fc_pool_item *t,
                       const struct box *box, int64_t c, int64_t n, double *sums)
{
    const fc_pool_plan *p = w->p;
    float *const converted = (float *)(sums + FC_POOL_PIECE);
    memset(sums, 0, (size_t)n * sizeof *sums);
    for (int64_t z = box->d.first; z < box->d.first + box->d.count; z++)
        for (int64_t i = box->h.first; i < box->h.first + box->h.count; i++)
            for (int64_t j = box->w.first; j < box->w.first + box->w.count; j++) {
                const void *x = fc_pool_input(w, t->image, c, z, i, j);
                const float *pixel = x;
                if (p->desc.dtype == FC_FLOAT16) {
                    p->kernels->half_to_float(x, converted, n);
                    pixel = converted;
                }
                if (p->desc.dtype == FC_FLOAT64)
                    for (int64_t u = 0; u < n; u++)
                        sums[u] += ((const double *)x)[u];
                else
                    for (int64_t u = 0; u < n; u++)
                        sums[u] += pixel[u];
            }
}

static void average(const struct fc_pool_worker *w, const struct fc_pool_item *t,
                    const struct box *box, double count, int64_t i, int64_t q)
{
    const fc_pool_plan *p = w->p;
    double *const sums = (double *)w->line;
    char *y = fc_pool_output(w, t->image, t->channel, t->plane, i, q);
    const int empty = !box->d.count || !box->h.count || !box->w.count;
    if (!p->desc.channels_last) {
        fc_pool_put(p, y, empty ? 0 : sum_plane(w, t, box) / count);
        return;
    }
    for (int64_t c = 0; c < p->desc.c; c += FC_POOL_PIECE) {
        const int64_t n = fc_min(FC_POOL_PIECE, p->desc.c - c);
        sum_pixels(w, t, box, c, n, sums);
        for (int64_t u = 0; u < n; u++)
            fc_pool_put(p, y + (c + u) * (int64_t)p->io_bytes, sums[u] / count);
    }
}

void fc_pool_pieces(struct fc_pool_worker *w, const struct fc_pool_item *t)
{
    const fc_pool_plan *p = w->p;
    const double plane_count = fc_pool_count(p, &w->axis[0], 0, t->plane);
    struct box box = {.d = fc_span_at(&w->axis[0], t->plane)};
    for (int64_t i = t->row0; i < t->row0 + t->rows; i++) {
        const double row_count = plane_count * fc_pool_count(p, &w->axis[1], 1, i);
        box.h = fc_span_at(&w->axis[1], i);
        for (int64_t q = t->col0; q < t->col0 + t->cols; q++) {
            box.w = fc_span_at(&w->axis[2], q);
            average(w, t, &box, row_count * fc_pool_count(p, &w->axis[2], 2, q), i, q);
        }
    }
}
