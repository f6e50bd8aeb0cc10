/* Direct convolution: the dense tile reads its pixels from a padded slab of input rows.
 *
 * Slab: [input row][channel][phase of the stride][column], zeros where the padding is.  Output
 * pixel q of a row finds tap j of the window at phase (j * dilation) mod stride, column q + j *
 * dilation / stride, so neighbouring pixels are neighbours in memory whatever the stride. */
#include <stdint.h>

#include "base/checked.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "ops/dense.h"
#include "ops/ops.h"
#include "ops/planes.h"
#include "ops/slab.h"

/* Planes that one run of taps walks before the window moves on: their pixels, three cache lines
 * each, stay in a quarter of L1 while the window's columns read them again. */
static const int64_t RUN_PLANES = 40;
/* That a turn of the kernels' loops takes, at most: longer runs are a multiple of it. */
static const int64_t TAPS = 4;

static int64_t greatest_common_divisor(int64_t a, int64_t b)
{
    while (b) {
        const int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static int64_t slab_width(const fc_plan *p)
{
    return p->ow + (p->desc.kw - 1) * p->desc.dilation[1] / p->desc.stride[1];
}

static const char *direct_supports(const fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    if (d->stride[1] > 64)
        return "it takes strides up to 64 along the width";
    /* Each factor alone is bounded first, so that no product can wrap. */
    const int64_t limit = FC_SLAB_BYTES_MAX / (int64_t)p->element_bytes;
    int64_t elements;
    const int64_t span = (d->kh - 1) * d->dilation[0] + 1;
    if (slab_width(p) > limit || span > limit || p->channels > limit || d->stride[1] > limit ||
        fc_mul_overflows(slab_width(p) * d->stride[1], p->channels, &elements) ||
        fc_mul_overflows(elements, span, &elements) || elements > limit)
        return "the padded input rows of one output row do not fit 3.5 MB";
    return NULL;
}

static void direct_count(const fc_plan *p, double work[FC_WORK_COUNT])
{
    work[FC_WORK_SLAB] += fc_slab_vectors(p, slab_width(p));
    fc_dense_count(p, p->images, p->oh, p->ow, fc_dense_by_line(p, p->taps, p->ow, 1, 0, 0), work);
}

static fc_status new_runs(fc_plan *p, int64_t runs)
{
    p->runs = fc_object_new((size_t)runs * sizeof *p->runs);
    p->place = fc_object_new((size_t)p->taps * sizeof *p->place);
    p->run_count = runs;
    return p->runs && p->place ? FC_OK : FC_NO_MEMORY;
}

/* Where tap (c, i, j) of the window lies from a tile's first pixel; its phase of the stride is one
 * that is read. */
static int32_t offset_of(fc_plan *p, int64_t c, int64_t i, int64_t j)
{
    const fc_conv_desc *d = &p->desc;
    struct fc_dense_blocking *b = p->blocking;
    const int64_t sw = d->stride[1], x = j * d->dilation[1];
    b->phases |= (uint64_t)1 << (x % sw);
    return (int32_t)(i * d->dilation[0] * b->slab_row + (c * sw + x % sw) * b->slab_width + x / sw);
}

/* The reduction as runs.  Rows of the slab follow each other as their channels do, so that a run
 * takes a column of the window through planes, each a row of the window in one channel: all
 * channels of some rows.  Where the rows' dilation lies between and the channels are few, it takes
 * the rows of one channel. */
static fc_status list_planes(fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    struct fc_dense_blocking *b = p->blocking;
    const int by_row = d->dilation[0] > 1 && p->channels < fc_min(TAPS, d->kh);
    const int64_t planes = p->channels * d->kh;
    const int64_t stretch = by_row ? d->kh : d->dilation[0] > 1 ? p->channels : planes;
    const int64_t even = fc_ceil_div(stretch, fc_ceil_div(stretch, RUN_PLANES));
    const int64_t count = fc_min(stretch, fc_ceil_div(even, TAPS) * TAPS);
    const fc_status status = new_runs(p, planes / stretch * fc_ceil_div(stretch, count) * d->kw);
    if (status)
        return status;
    b->tap_step = by_row ? d->dilation[0] * b->slab_row : b->slab_width * d->stride[1];
    struct fc_run *run = p->runs;
    int32_t taken = 0;
    for (int64_t first = 0; first < planes;) {
        const int64_t last = fc_min(first + count, (first / stretch + 1) * stretch);
        for (int64_t j = 0; j < d->kw; j++, run++)
            for (int64_t t = first; t < last; t++) {
                const int64_t c = by_row ? t / d->kh : t % p->channels;
                const int64_t i = by_row ? t % d->kh : t / p->channels;
                if (t == first)
                    *run = (struct fc_run){offset_of(p, c, i, j), (int32_t)(last - first)};
                p->place[(fc_weight_channel(p, c) * d->kh + i) * d->kw + j] = taken++;
            }
        first = last;
    }
    return FC_OK;
}

/* With next to no planes a run takes the taps of one of them that share a phase: every period-th.
 */
static fc_status list_columns(fc_plan *p, int64_t period)
{
    const fc_conv_desc *d = &p->desc;
    struct fc_dense_blocking *b = p->blocking;
    const int64_t phases = fc_min(period, d->kw);
    const fc_status status = new_runs(p, p->channels * d->kh * phases);
    if (status)
        return status;
    b->tap_step = period * d->dilation[1] / d->stride[1];
    struct fc_run *run = p->runs;
    int32_t taken = 0;
    for (int64_t plane = 0; plane < p->channels * d->kh; plane++)
        for (int64_t f = 0; f < phases; f++, run++) {
            const int64_t c = plane / d->kh, i = plane % d->kh;
            *run = (struct fc_run){offset_of(p, c, i, f), (int32_t)fc_ceil_div(d->kw - f, period)};
            for (int64_t j = f; j < d->kw; j += period)
                p->place[(fc_weight_channel(p, c) * d->kh + i) * d->kw + j] = taken++;
        }
    return FC_OK;
}

static fc_status list_taps(fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    const int64_t planes = p->channels * d->kh;
    /* Taps of the window from one phase to its next visit. */
    const int64_t period = d->stride[1] / greatest_common_divisor(d->stride[1], d->dilation[1]);
    if (planes < TAPS && fc_ceil_div(d->kw, period) > planes)
        return list_columns(p, period);
    return list_planes(p);
}

static fc_status direct_prepare(fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    struct fc_dense_blocking *b = p->blocking;
    const int64_t mr = p->family->mr;
    b->images = p->images;
    b->pixels = p->oh * p->ow;
    b->lines = p->oh;
    b->line_pixels = p->ow;
    b->by_line = fc_dense_by_line(p, p->taps, p->ow, 1, 0, 0);
    b->strips = b->by_line ? 1 : fc_ceil_div(p->ow, mr);
    b->tile_rows = b->by_line ? 1 : fc_tile_rows(p, p->oh, p->ow);
    b->slab_width = slab_width(p);
    b->slab_row = p->channels * d->stride[1] * b->slab_width;
    b->row_step = d->stride[0];
    b->line_step = b->row_step * b->slab_row;
    b->row_span = (d->kh - 1) * d->dilation[0] + 1;
    const int64_t row_bytes = b->slab_row * (int64_t)p->element_bytes;
    while (b->tile_rows > 1 &&
           ((b->tile_rows - 1) * b->row_step + b->row_span) * row_bytes > FC_SLAB_BYTES_MAX)
        b->tile_rows--;
    const fc_status status = list_taps(p);
    if (status)
        return status;
    fc_dense_prepare(p);
    fc_dense_reserve_row(p, d->channels_last ? d->w * d->cg : d->w);
    return FC_OK;
}

static void pack_rows(const fc_plan *p, const struct fc_conv_io *io, struct fc_dense_slab *s)
{
    const fc_conv_desc *d = &p->desc;
    const struct fc_dense_blocking *b = p->blocking;
    const int64_t size = (int64_t)p->element_bytes, io_size = (int64_t)p->io_bytes;
    const int64_t first = s->line0 * b->row_step;
    const int64_t last = (s->line1 - 1) * b->row_step + b->row_span;
    struct fc_slab slab = {.dst_channel = b->slab_width * d->stride[1],
                           .width = b->slab_width,
                           .src_channel = io->x.c,
                           .src_pixel = io->x.w,
                           .src_width = d->w,
                           .channels = d->cg,
                           .stride = d->stride[1],
                           .left = d->pad[2],
                           .phases = b->phases};
    for (int64_t tap = 0; tap < d->depth.kernel; tap++) {
        const char *plane = fc_input_plane(p, &io->x, s->image, tap);
        char *dst = (char *)s->scratch + tap * d->cg * slab.dst_channel * size;
        for (int64_t row = first; row < last; row++) {
            const int64_t ih = row - d->pad[0];
            slab.dst = dst + (row - first) * b->slab_row * size;
            slab.ahead = ih + 1 < d->h ? io->x.h : 0;
            slab.src = !plane || ih < 0 || ih >= d->h
                           ? NULL
                           : plane + (s->group * d->cg * io->x.c + ih * io->x.h) * io_size;
            fc_slab_row(p, &slab, s->row);
        }
    }
}

static void direct_run(const fc_plan *p, const struct fc_conv_io *io)
{
    fc_dense_run(p, io, pack_rows);
}

const struct fc_algorithm fc_direct = {
    .name = "direct",
    .supports = direct_supports,
    .count = direct_count,
    .pack_seconds = FC_DENSE_PACK_SECONDS,
    .blocking_bytes = sizeof(struct fc_dense_blocking),
    .prepare = direct_prepare,
    .pack = fc_dense_pack_weights,
    .run = direct_run,
    .block_bytes = fc_dense_block_bytes,
};
