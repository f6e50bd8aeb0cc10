/* Unfold gathers, for each tap of the window, the plane of pixels that it meets; fold adds these
 * planes up, each output row in one go and its taps in scan order, whoever computes it. */
#include "ops/columns.h"

#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "ops/parallel.h"

/* Rows of the image in an item of fold: as many as this many bytes of columns add up to, enough to
 * make an item worth its claim, few enough for large planes to be split. */
static const int64_t ITEM_BYTES = 256 << 10;

/* The pixels along an axis that a tap meets, one for each window. */
static struct fc_stretches stretches_of(const struct fc_columns *p, int axis, int64_t tap)
{
    const fc_columns_desc *d = p->desc;
    const int64_t out = axis ? p->ow : p->oh;
    const struct fc_axis windows = {axis ? d->w : d->h, d->pad[2 * axis], axis ? d->kw : d->kh,
                                    d->stride[axis], d->dilation[axis]};
    const struct fc_span inside = fc_span_windows(&windows, out, tap);
    const int64_t low = inside.first, high = low + inside.count;
    return (struct fc_stretches){
        {{.begin = 0, .end = low, .constant = 1},
         {.begin = low,
          .end = high,
          .from = low * windows.stride + tap * windows.dilation - windows.before,
          .step = windows.stride},
         {.begin = high, .end = out, .constant = 1}}};
}

void fc_columns_prepare(struct fc_columns *p)
{
    for (int axis = 0; axis < 2; axis++)
        for (int64_t t = 0; t < fc_min(FC_TAPS_KEPT, axis ? p->desc->kw : p->desc->kh); t++)
            p->kept[axis][t] = stretches_of(p, axis, t);
}

static struct fc_stretches met(const struct fc_columns *p, int axis, int64_t tap)
{
    return tap < FC_TAPS_KEPT ? p->kept[axis][tap] : stretches_of(p, axis, tap);
}

static void plane_of(const void *operation, int64_t index, struct fc_gather_plane *plane)
{
    const struct fc_columns *p = operation;
    const fc_columns_desc *d = p->desc;
    const int64_t size = (int64_t)p->element_bytes;
    const int64_t taps = d->c * d->kh * d->kw, image = index / taps, row = index % taps;
    const int64_t j = row % d->kw, i = row / d->kw % d->kh, c = row / d->kw / d->kh;
    plane->x = (const char *)p->image.data + (image * p->image.n + c * p->image.c) * size;
    plane->x_row = p->image.h * size;
    plane->x_col = size;
    plane->rows = met(p, 0, i);
    plane->cols = met(p, 1, j);
    plane->y = (char *)p->columns.data + (image * p->columns.n + row * p->columns.c) * size;
}

void fc_unfold_prepare(const struct fc_columns *p, struct fc_gather *g)
{
    static const char zeros[8];
    const fc_columns_desc *d = p->desc;
    const int64_t rows = d->c * d->kh * d->kw, length = p->oh * p->ow;
    *g = (struct fc_gather){.element_bytes = p->element_bytes,
                            .value = zeros,
                            .planes = d->n * rows,
                            .rows = p->oh,
                            .cols = p->ow,
                            .y_row = p->ow * (int64_t)p->element_bytes,
                            .contiguous = (rows == 1 || p->columns.c == length) &&
                                          (d->n == 1 || p->columns.n == rows * length),
                            .operation = p,
                            .plane = plane_of};
}

/* ---- fold ---- */

/* One thread's: a row of float and a piece of one, for float16. */
struct worker {
    const struct fc_columns *p;
    const struct fc_family *family;
    int64_t size; /* bytes of an element of the sum */
    char *sum, *piece;
};

/* Adds to the sum of an image's row what one row of windows has for a row of taps. */
static void add_taps(const struct worker *w, const char *columns, char *sum)
{
    const struct fc_columns *p = w->p;
    const fc_columns_desc *d = p->desc;
    const int half = p->dtype == FC_FLOAT16;
    for (int64_t j = 0; j < d->kw; j++) {
        const struct fc_stretches all = met(p, 1, j);
        const struct fc_stretch *s = &all.of[1];
        const int64_t count = s->end - s->begin;
        const char *from = columns + (j * p->columns.c + s->begin) * (int64_t)p->element_bytes;
        if (count <= 0)
            continue;
        if (half)
            p->kernels->half_to_float((const uint16_t *)from, (float *)w->piece, count);
        w->family->add(count, half ? w->piece : from, sum + s->from * w->size, s->step);
    }
}

static void fold_row(const struct worker *w, int64_t image, int64_t c, int64_t ih)
{
    const struct fc_columns *p = w->p;
    const fc_columns_desc *d = p->desc;
    const int64_t size = (int64_t)p->element_bytes;
    const char *columns = (const char *)p->columns.data +
                          (image * p->columns.n + c * d->kh * d->kw * p->columns.c) * size;
    char *y =
        (char *)p->image.data + (image * p->image.n + c * p->image.c + ih * p->image.h) * size;
    char *sum = w->sum ? w->sum : y;
    memset(sum, 0, (size_t)(d->w * w->size));
    for (int64_t i = 0; i < d->kh; i++) {
        const int64_t place = ih + d->pad[0] - i * d->dilation[0];
        if (place >= 0 && place % d->stride[0] == 0 && place / d->stride[0] < p->oh)
            add_taps(w, columns + (i * d->kw * p->columns.c + place / d->stride[0] * p->ow) * size,
                     sum);
    }
    if (w->sum)
        p->kernels->float_to_half((const float *)w->sum, (uint16_t *)y, d->w);
}

double fc_fold_seconds(const struct fc_columns *p)
{
    const fc_columns_desc *d = p->desc;
    const double rows = (double)d->n * (double)d->c * (double)d->kh * (double)d->kw * (double)p->oh;
    const double element = (double)p->element_bytes;
    /* Through L3, and 5 ns for the call for each row of a tap; elements one by one at 0.5 ns. */
    return rows * (5e-9 + (double)p->ow * (d->stride[1] == 1 ? element / 20e9 : 0.5e-9)) +
           (double)d->n * (double)d->c * (double)d->h * (double)d->w * element / 20e9;
}

static size_t sum_bytes(const struct fc_columns *p)
{
    return fc_align((size_t)p->desc->w * sizeof(float));
}

size_t fc_fold_scratch(const struct fc_columns *p)
{
    if (p->dtype != FC_FLOAT16)
        return FC_ALIGNMENT;
    return sum_bytes(p) + fc_align((size_t)p->ow * sizeof(float));
}

struct job {
    const struct fc_columns *p;
    char *scratch;
    int64_t rows; /* of an item */
};

static void run_share(const void *arg, struct fc_items *items)
{
    const struct job *const job = arg;
    const struct fc_columns *const p = job->p;
    const fc_columns_desc *d = p->desc;
    const int half = p->dtype == FC_FLOAT16, wide = p->dtype == FC_FLOAT64;
    const int64_t rows = job->rows, blocks = fc_ceil_div(d->h, rows);
    char *const own = job->scratch + (size_t)items->thread * fc_fold_scratch(p);
    const struct worker w = {.p = p,
                             .family = wide ? p->kernels->f64 : p->kernels->f32,
                             .size = wide ? sizeof(double) : sizeof(float),
                             .sum = half ? own : NULL,
                             .piece = half ? own + sum_bytes(p) : NULL};
    for (int64_t t; (t = fc_next(items)) >= 0;) {
        const int64_t plane = t / blocks, first = t % blocks * rows;
        for (int64_t ih = first; ih < fc_min(first + rows, d->h); ih++)
            fold_row(&w, plane / d->c, plane % d->c, ih);
    }
}

void fc_fold_run(const struct fc_columns *p, char *scratch, int threads)
{
    const fc_columns_desc *d = p->desc;
    const double row_bytes =
        (double)d->kh * (double)d->kw * (double)d->w * (double)p->element_bytes;
    const int64_t rows = fc_max(1, fc_min(d->h, (int64_t)((double)ITEM_BYTES / row_bytes)));
    const int64_t items = d->n * d->c * fc_ceil_div(d->h, rows);
    const struct job job = {p, scratch, rows};
    fc_share(threads, items, fc_claim(fc_fold_seconds(p), items, threads), run_share, &job);
}
