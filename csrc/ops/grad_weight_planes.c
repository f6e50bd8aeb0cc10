/* The gradient of a convolution's weights where a group has few channels, depthwise above all: for
 * each pair of an input and an output channel, sums of products of their planes, pixels being the
 * lanes.
 *
 * Planes of the input are copied to padded slabs, split by phase of the stride, so that the kernel
 * knows neither borders nor strides; dy is read where it stands, unless it is float16 or its
 * channels are last:
 *
 *   for item: some input channels                                           (parallel, claimed)
 *       for image: for band of output rows: for plane of the window
 *           pack the band's input rows
 *           for channel, output channel that sees it, FC_CORRELATED taps: sums over the band
 *       write the sums out */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "ops/ops.h"
#include "ops/parallel.h"
#include "ops/planes.h"
#include "ops/slab.h"

/* Slabs of a band: in L1, and in a part of L2 where they are of many channels. */
static const int64_t BAND_BYTES = 24 << 10, WIDE_BAND_BYTES = 256 << 10;
/* What slabs of one output row may take. */
static const int64_t SLAB_BYTES_MAX = 1 << 20;
/* Output channels of a group above which tiles' lanes are fuller, whatever the estimate. */
static const int64_t OUTPUTS_MAX = 16;
/* Channels of an item whose channels are last: a cache line of each pixel, and vectors of float. */
static const int64_t LAST_CHANNELS = 16;
static const int64_t TAPS_MAX = 1 << 12;
/* Instructions of a step of FC_CORRELATED taps, most of whose loads cross a cache line, for each of
 * its multiply-adds. */
static const double STEP_FACTOR = 1.1;

struct planes {
    int64_t channels;    /* input channels of an item */
    int64_t outputs;     /* output channels that see them, at most */
    int64_t rows, bands; /* output rows that are packed at once */
    int64_t width, row;  /* of a slab: columns of one phase, elements of all */
    int64_t slab;        /* elements of a channel's slab */
    int64_t y_slab;      /* elements of a packed band of dy; 0: it is read where it stands */
    uint64_t phases;
    int64_t steps;        /* of FC_CORRELATED taps */
    int64_t row_elements; /* room for a converted float16 row */
};

static int64_t band_rows(const fc_conv_desc *d, int64_t rows)
{
    return (rows - 1) * d->stride[0] + (d->kh - 1) * d->dilation[0] + 1;
}

static int packs_y(const fc_plan *p)
{
    return p->desc.channels_last || p->desc.dtype == FC_FLOAT16;
}

/* Input channels of an item, at most. */
static int64_t channels_most(const fc_plan *p)
{
    return fc_min(p->desc.c, LAST_CHANNELS);
}

static double slab_bytes(const fc_plan *p, double rows)
{
    const fc_conv_desc *d = &p->desc;
    const double reach = (double)(d->kw - 1) * (double)d->dilation[1];
    const double x_rows =
        (rows - 1) * (double)d->stride[0] + (double)(d->kh - 1) * (double)d->dilation[0] + 1;
    return x_rows * ((double)(p->ow + p->family->vl) * (double)d->stride[1] + reach) *
           (double)p->element_bytes;
}

static int planes_serve(const fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    return p->kg <= OUTPUTS_MAX && d->stride[1] <= 64 && p->taps / d->cg <= TAPS_MAX &&
           slab_bytes(p, 1) * (double)(packs_y(p) ? channels_most(p) : 1) <= (double)SLAB_BYTES_MAX;
}

static void planes_count(const fc_plan *p, double work[FC_WORK_COUNT])
{
    const fc_conv_desc *d = &p->desc;
    const double vl = (double)p->family->vl, vectors = ceil((double)p->ow / vl);
    const double steps = (double)(d->depth.kernel * fc_ceil_div(d->kh * d->kw, FC_CORRELATED));
    const double pairs = (double)d->c * (double)p->kg;
    const double rows = (double)p->images * (double)p->oh;
    const double x_rows = (double)band_rows(d, 1) - 1 + (double)p->oh * (double)d->stride[0];
    work[FC_WORK_DEPTHWISE] += STEP_FACTOR * pairs * steps * FC_CORRELATED * rows * vectors;
    work[FC_WORK_CALL] += 2 * pairs * steps * (double)p->images;
    work[FC_WORK_SLAB] += (double)p->images * (double)(d->c * d->depth.kernel) * x_rows * vectors *
                          (double)d->stride[1];
    if (packs_y(p))
        work[FC_WORK_SLAB] += (double)d->k * rows * vectors;
}

static fc_status planes_prepare(fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    struct planes *b = p->blocking;
    const int64_t vl = p->family->vl, sw = d->stride[1], taps = d->kh * d->kw;
    b->width = fc_ceil_div(p->ow + (d->kw - 1) * d->dilation[1] / sw, vl) * vl;
    b->row = b->width * sw;
    b->steps = fc_ceil_div(taps, FC_CORRELATED);
    /* The steps take the same number of taps, but for what is over; those repeat the first one. */
    p->runs = fc_object_new((size_t)(b->steps * FC_CORRELATED) * sizeof *p->runs);
    if (!p->runs)
        return FC_NO_MEMORY;
    for (int64_t t = 0; t < taps; t++) {
        const int64_t i = t / d->kw, x = t % d->kw * d->dilation[1];
        p->runs[t].offset = (int32_t)(i * d->dilation[0] * b->row + x % sw * b->width + x / sw);
        b->phases |= (uint64_t)1 << (x % sw);
    }
    const int64_t row_bytes = b->row * (int64_t)p->element_bytes;
    const int64_t least = band_rows(d, 1) * row_bytes, more = d->stride[0] * row_bytes;
    const int64_t together = d->channels_last ? channels_most(p) : 1;
    const int64_t limit = d->channels_last ? WIDE_BAND_BYTES : BAND_BYTES;
    b->rows = fc_max(1, fc_min(p->oh, 1 + (limit / together - least) / more));
    b->bands = fc_ceil_div(p->oh, b->rows);
    b->rows = fc_ceil_div(p->oh, b->bands);
    b->bands = fc_ceil_div(p->oh, b->rows);
    b->slab = fc_ceil_div(band_rows(d, b->rows) * b->row, vl) * vl;
    b->channels = together;
    if (!d->channels_last && b->bands == 1)
        b->channels = fc_max(
            1, fc_min(channels_most(p), BAND_BYTES / 2 / (row_bytes * band_rows(d, b->rows))));
    const int64_t groups = fc_min(d->groups, (b->channels + d->cg - 2) / d->cg + 1);
    b->outputs = groups * p->kg;
    b->y_slab = packs_y(p) ? fc_ceil_div(b->rows * p->ow, vl) * vl : 0;
    if (d->dtype == FC_FLOAT16)
        b->row_elements = fc_max(d->channels_last ? d->w * b->channels : d->w,
                                 d->channels_last ? p->ow * b->outputs : p->ow);
    p->scratch_bytes =
        fc_align((size_t)(b->channels * b->slab) * p->element_bytes) +
        fc_align((size_t)(b->outputs * b->y_slab) * p->element_bytes) +
        fc_align((size_t)(b->channels * p->kg * d->depth.kernel * b->steps * FC_CORRELATED) *
                 p->element_bytes) +
        fc_align((size_t)b->row_elements * sizeof(float));
    snprintf(p->blocking_text, sizeof p->blocking_text,
             "planes of %lld input channels, %lld of %lld rows; %lld taps at once",
             (long long)b->channels, (long long)b->rows, (long long)p->oh,
             (long long)FC_CORRELATED);
    return FC_OK;
}

static size_t planes_scratch(const fc_plan *p, int threads)
{
    return (size_t)threads * p->scratch_bytes;
}

/* ---- running ---- */

struct worker {
    const fc_plan *p;
    const struct planes *b;
    const struct fc_weight_io *io;
    char *x, *y, *sums;
    float *row;
    int64_t c0, c1, k0, k1; /* channels of the item */
    int64_t image, row0, rows;
};

/* Zeros, or rows of the item's channels, to their slabs from slab row `first` on. */
static void pack_rows(const struct worker *w, struct fc_slab *slab, const char *src, int64_t first,
                      int64_t rows)
{
    const fc_plan *p = w->p;
    const struct planes *b = w->b;
    const fc_array *x = &w->io->x;
    const int64_t size = (int64_t)p->element_bytes;
    if (!rows)
        return;
    if (packs_y(p) && src) { /* row by row, all channels */
        slab->dst_channel = b->slab;
        slab->src_channel = x->c;
        slab->src_pixel = x->w;
        slab->channels = w->c1 - w->c0;
        for (int64_t r = 0; r < rows; r++) {
            slab->dst = w->x + (first + r) * b->row * size;
            slab->src = src + r * x->h * (int64_t)p->io_bytes;
            fc_slab_row(p, slab, w->row);
        }
        return;
    }
    /* Channel by channel: rows take the place of the packer's channels. */
    slab->dst_channel = b->row;
    slab->src_channel = rows > 1 ? x->h : 0;
    slab->src_pixel = 1;
    slab->channels = rows;
    for (int64_t c = 0; c < w->c1 - w->c0; c++) {
        slab->dst = w->x + (c * b->slab + first * b->row) * size;
        slab->src = src ? src + c * x->c * (int64_t)p->io_bytes : NULL;
        p->family->slab(slab);
    }
}

/* The band's input rows in one plane.  Those of a plane's only band are always the same ones. */
static void pack_x(const struct worker *w, const char *plane)
{
    const fc_plan *p = w->p;
    const fc_conv_desc *d = &p->desc;
    const int64_t wanted = band_rows(d, w->rows), top = w->row0 * d->stride[0] - d->pad[0];
    const int64_t begin = top < 0 ? fc_min(wanted, -top) : 0;
    const int64_t end = fc_max(begin, fc_min(wanted, d->h - top));
    struct fc_slab slab = {.width = w->b->width,
                           .src_width = d->w,
                           .stride = d->stride[1],
                           .left = d->pad[2],
                           .phases = w->b->phases};
    if (w->b->bands > 1)
        pack_rows(w, &slab, NULL, 0, begin);
    if (end > begin)
        pack_rows(w, &slab,
                  plane + (w->c0 * w->io->x.c + (top + begin) * w->io->x.h) * (int64_t)p->io_bytes,
                  begin, end - begin);
    if (w->b->bands > 1)
        pack_rows(w, &slab, NULL, end, wanted - end);
}

static const char *y_at(const struct worker *w, int64_t k, int64_t row)
{
    const fc_array *y = &w->io->y;
    return (const char *)y->data +
           (fc_output_image(w->p, y, w->image) + k * y->c + row * y->h) * (int64_t)w->p->io_bytes;
}

/* The band of dy, output channels of the item. */
static void pack_y(const struct worker *w)
{
    const fc_plan *p = w->p;
    struct fc_slab slab = {.dst_channel = w->b->y_slab,
                           .width = p->ow,
                           .src_channel = w->io->y.c,
                           .src_pixel = w->io->y.w,
                           .src_width = p->ow,
                           .channels = w->k1 - w->k0,
                           .stride = 1,
                           .phases = 1};
    for (int64_t r = 0; r < w->rows; r++) {
        slab.dst = w->y + r * p->ow * (int64_t)p->element_bytes;
        slab.src = y_at(w, w->k0, w->row0 + r);
        fc_slab_row(p, &slab, w->row);
    }
}

/* Adds to the sums what the packed band and plane `tap` of the window give. */
static void add_band(const struct worker *w, int64_t tap)
{
    const fc_plan *p = w->p;
    const fc_conv_desc *d = &p->desc;
    const struct planes *b = w->b;
    const int64_t size = (int64_t)p->element_bytes, step_bytes = FC_CORRELATED * size;
    struct fc_correlate both = {.x_row = d->stride[0] * b->row,
                                .y_row = b->y_slab ? p->ow : w->io->y.h,
                                .rows = w->rows,
                                .cols = p->ow};
    for (int64_t c = w->c0; c < w->c1; c++) {
        both.x = w->x + (c - w->c0) * b->slab * size;
        for (int64_t t = 0; t < p->kg; t++) {
            const int64_t k = c / d->cg * p->kg + t;
            const int64_t pair = (c - w->c0) * p->kg + t;
            both.y = b->y_slab ? w->y + (k - w->k0) * b->y_slab * size : y_at(w, k, w->row0);
            both.sums = w->sums + (pair * d->depth.kernel + tap) * b->steps * step_bytes;
            both.at = p->runs;
            for (int64_t step = 0; step < b->steps; step++) {
                p->family->correlate(&both);
                both.sums = (char *)both.sums + step_bytes;
                both.at += FC_CORRELATED;
            }
        }
    }
}

static void deliver(const struct worker *w)
{
    const fc_plan *p = w->p;
    const fc_conv_desc *d = &p->desc;
    const int64_t taps = d->kh * d->kw, planes = d->depth.kernel;
    const int64_t sums_bytes = w->b->steps * FC_CORRELATED * (int64_t)p->element_bytes;
    const char *sums = w->sums;
    for (int64_t c = w->c0; c < w->c1; c++)
        for (int64_t t = 0; t < p->kg; t++) {
            const int64_t k = c / d->cg * p->kg + t;
            char *weights = (char *)w->io->grad_weight +
                            (k * d->cg + c % d->cg) * planes * taps * (int64_t)p->io_bytes;
            for (int64_t tap = 0; tap < planes; tap++, sums += sums_bytes) {
                if (d->dtype == FC_FLOAT16)
                    p->kernels->float_to_half((const float *)sums, (uint16_t *)weights, taps);
                else
                    memcpy(weights, sums, (size_t)taps * p->io_bytes);
                weights += taps * (int64_t)p->io_bytes;
            }
        }
}

static void run_item(struct worker *w)
{
    const fc_plan *p = w->p;
    const fc_conv_desc *d = &p->desc;
    const struct planes *b = w->b;
    const int64_t groups = (w->c1 - 1) / d->cg + 1;
    w->k0 = w->c0 / d->cg * p->kg;
    w->k1 = groups * p->kg;
    memset(w->sums, 0,
           (size_t)((w->c1 - w->c0) * p->kg * d->depth.kernel * b->steps * FC_CORRELATED) *
               p->element_bytes);
    for (w->image = 0; w->image < p->images; w->image++)
        for (w->row0 = 0; w->row0 < p->oh; w->row0 += b->rows) {
            w->rows = fc_min(b->rows, p->oh - w->row0);
            if (b->y_slab)
                pack_y(w);
            for (int64_t tap = 0; tap < d->depth.kernel; tap++) {
                const char *plane = fc_input_plane(p, &w->io->x, w->image, tap);
                if (!plane)
                    continue;
                pack_x(w, plane);
                add_band(w, tap);
            }
        }
    deliver(w);
}

struct job {
    const fc_plan *p;
    const struct fc_weight_io *io;
};

static void run_share(const void *arg, struct fc_items *items)
{
    const struct job *const job = arg;
    const fc_plan *const p = job->p;
    const struct planes *b = p->blocking;
    struct worker w = {.p = p, .b = b, .io = job->io};
    w.x = w.io->scratch + (size_t)items->thread * p->scratch_bytes;
    w.y = w.x + fc_align((size_t)(b->channels * b->slab) * p->element_bytes);
    w.row = (float *)(w.y + fc_align((size_t)(b->outputs * b->y_slab) * p->element_bytes));
    w.sums = (char *)w.row + fc_align((size_t)b->row_elements * sizeof(float));
    /* A plane's only band finds the rows of zeros around it as the last plane left them. */
    memset(w.x, 0, (size_t)(w.y - w.x));
    for (int64_t i; (i = fc_next(items)) >= 0;) {
        w.c0 = i * b->channels;
        w.c1 = fc_min(w.c0 + b->channels, p->desc.c);
        run_item(&w);
    }
}

static void planes_run(const fc_plan *p, const struct fc_weight_io *io)
{
    const struct planes *b = p->blocking;
    const int64_t items = fc_ceil_div(p->desc.c, b->channels);
    const struct job job = {p, io};
    fc_share(io->threads, items, fc_claim(p->seconds, items, io->threads), run_share, &job);
}

const struct fc_weight_way fc_weight_planes = {
    .name = "planes",
    .serves = planes_serve,
    .count = planes_count,
    .blocking_bytes = sizeof(struct planes),
    .prepare = planes_prepare,
    .scratch = planes_scratch,
    .run = planes_run,
};
