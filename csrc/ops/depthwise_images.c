/* Depthwise convolution of images where they stand: NCHW, windows of 3 x 3 and 5 x 5 with a stride
 * of 1 or 2, for which there are kernels that know borders and strides:
 *
 *   for item: an image, a channel or some small ones, a band of output rows    (parallel, claimed)
 *       for each vector of columns: for each window of each channel: down the band
 *
 * float16 is converted first, a band at a time. */
#include "ops/depthwise.h"

#include <stdio.h>
#include <string.h>

#include "ops/parallel.h"
#include "ops/target.h"

/* Rows that are read where they stand, a column of vectors at a time: those of a band, which hold
 * the next columns as well and are to stay in cache until then, and those of small planes that are
 * taken together and share what is worked out for a column. */
static const int64_t BAND_BYTES = 32 << 10, PLANES_BYTES = 4 << 10;
/* Output rows of a band at least: its first input rows belong to the band above as well. */
static const int64_t BAND_ROWS_MIN = 8;
/* Columns whose row of zeros, and whose band of 19 rows in float for float16, are within the 4 MB
 * of a thread. */
static const int64_t WIDTH_MAX = 256 << 10, HALF_WIDTH_MAX = 32 << 10;

int fc_dw_in_place(const fc_conv_desc *d)
{
    return !d->channels_last && fc_dw_flat(d) && d->kh == d->kw && (d->kh == 3 || d->kh == 5) &&
           d->dilation[0] == 1 && d->dilation[1] == 1 && d->stride[0] == d->stride[1] &&
           d->stride[0] <= 2 && d->w <= (d->dtype == FC_FLOAT16 ? HALF_WIDTH_MAX : WIDTH_MAX);
}

/* Input rows that an item reads where they stand, at most. */
static int64_t band_rows(const fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    const struct fc_dw_blocking *b = p->blocking;
    return fc_min(d->h, (b->item_rows - 1) * d->stride[0] + d->kh);
}

/* Scratch of fc_dw_run_images.  All threads read the first one's row of zeros and biases; each has
 * an item's sums and its float16 input in float. */
static size_t zeros_bytes(const fc_plan *p)
{
    return fc_align((size_t)p->desc.w * p->element_bytes);
}

static size_t sums_bytes(const fc_plan *p)
{
    const struct fc_dw_blocking *b = p->blocking;
    return fc_align((size_t)(b->item_rows * p->family->vl) * p->element_bytes);
}

static size_t converted_bytes(const fc_plan *p)
{
    const struct fc_dw_blocking *b = p->blocking;
    return p->desc.dtype == FC_FLOAT16
               ? fc_align((size_t)(b->item_channels * band_rows(p) * p->desc.w) * sizeof(float))
               : 0;
}

static size_t weights_bytes(const fc_plan *p)
{
    return (size_t)(p->desc.k * p->desc.kh * p->desc.kw) * p->element_bytes;
}

fc_status fc_dw_prepare_images(fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    struct fc_dw_blocking *b = p->blocking;
    const int64_t size = (int64_t)p->element_bytes, row = d->w * d->stride[0] * size;
    /* Sums of a narrow image are wider than its rows. */
    const int64_t rows = fc_max(BAND_ROWS_MIN, BAND_BYTES / fc_max(row, p->family->vl * size));
    b->item_rows = fc_min(p->oh, rows);
    b->bands = fc_ceil_div(p->oh, b->item_rows);
    b->item_channels = fc_max(1, fc_min(d->c, PLANES_BYTES / row / p->oh));
    p->packed_bytes = fc_align(weights_bytes(p)) + fc_align(sizeof(double));
    p->scratch_bytes = zeros_bytes(p) + fc_dw_bias_bytes(p) + sums_bytes(p) + converted_bytes(p);
    snprintf(p->blocking_text, sizeof p->blocking_text,
             "%lld of %lld output rows of %lld channels, read where they stand",
             (long long)b->item_rows, (long long)p->oh, (long long)b->item_channels);
    return FC_OK;
}

/* The weights as they are, and behind them their sum. */
void fc_dw_pack_images(const fc_plan *p, const void *weight, void *packed)
{
    const int64_t count = p->desc.k * p->desc.kh * p->desc.kw;
    fc_dw_gather(p, weight, packed);
    *(double *)((char *)packed + fc_align(weights_bytes(p))) =
        p->family->sum(packed, 1, count, count);
}

/* Whether rows of padding add nothing to any sum, so that they can be left out: an infinite weight
 * makes them NaN.  A sum that overflows costs no more than these rows. */
static int weights_are_finite(const fc_plan *p, const void *packed)
{
    const double sum = *(const double *)((const char *)packed + fc_align(weights_bytes(p)));
    return sum * 0 == 0;
}

/* Where a call finds the channels of an item. */
struct planes {
    const char *x;
    int64_t channel, row, height, top; /* in elements of the computation; as in fc_dw_image */
};

static struct planes planes_of(const fc_plan *p, const struct fc_conv_io *io,
                               const struct fc_dw_item *item)
{
    const fc_conv_desc *d = &p->desc;
    return (struct planes){.x = fc_dw_input(p, &io->x, item->image, item->c0, 0),
                           .channel = io->x.c,
                           .row = d->h > 1 ? io->x.h : 0, /* a lone row's may overflow */
                           .height = d->h,
                           .top = d->pad[0] - item->row0 * d->stride[0]};
}

/* The rows of a float16 item in float. */
static struct planes convert(const fc_plan *p, const struct fc_conv_io *io,
                             const struct fc_dw_item *item, float *converted)
{
    const fc_conv_desc *d = &p->desc;
    const struct planes halves = planes_of(p, io, item);
    const int64_t first = fc_min(d->h, fc_max(0, -halves.top));
    const int64_t last = (item->rows - 1) * d->stride[0] + d->kh - halves.top;
    const int64_t rows = fc_max(0, fc_min(d->h, last) - first);
    float *row = converted;
    for (int64_t c = item->c0; c < item->c1; c++)
        for (int64_t i = first; i < first + rows; i++, row += d->w)
            p->kernels->half_to_float((const uint16_t *)fc_dw_input(p, &io->x, item->image, c, i),
                                      row, d->w);
    return (struct planes){.x = (const char *)converted,
                           .channel = rows * d->w,
                           .row = d->w,
                           .height = rows,
                           .top = halves.top + first};
}

struct job {
    const fc_plan *p;
    const struct fc_conv_io *io;
    char *zeros, *bias; /* zeros: NULL where the weights are finite */
};

static void run_share(const void *arg, struct fc_items *items)
{
    const struct job *const job = arg;
    const fc_plan *const p = job->p;
    const struct fc_conv_io *const io = job->io;
    const fc_conv_desc *d = &p->desc;
    const int64_t taps = d->kh * d->kw, copies = p->kg, size = (int64_t)p->element_bytes;
    const int half = d->dtype == FC_FLOAT16;
    char *const sums = job->bias + fc_dw_bias_bytes(p) + (size_t)items->thread * p->scratch_bytes;
    float *const converted = (float *)(sums + sums_bytes(p));
    for (int64_t i; (i = fc_next(items)) >= 0;) {
        const struct fc_dw_item item = fc_dw_item_of(p, i);
        const struct planes planes =
            half ? convert(p, io, &item, converted) : planes_of(p, io, &item);
        struct fc_dw_image call = {.x_plane = copies == 1 ? planes.channel : 0,
                                   .x_row = planes.row,
                                   .height = planes.height,
                                   .width = d->w,
                                   .top = planes.top,
                                   .left = d->pad[2],
                                   .zeros = job->zeros,
                                   .size = d->kh,
                                   .stride = d->stride[0],
                                   .y_plane = io->y.c,
                                   .y_row = io->y.h,
                                   .r_plane = io->residual.c,
                                   .r_row = io->residual.h,
                                   .planes = copies == 1 ? item.c1 - item.c0 : copies,
                                   .rows = item.rows,
                                   .cols = p->ow,
                                   .act = fc_last_act(&p->desc.activation),
                                   .half = half,
                                   .sums = sums};
        for (int64_t k = item.c0 * copies; k < item.c1 * copies; k += call.planes) {
            call.x = planes.x + (k / copies - item.c0) * planes.channel * size;
            call.w = (const char *)io->packed + k * taps * size;
            call.bias = job->bias + k * size;
            call.y = fc_dw_output(p, &io->y, item.image, k, item.row0);
            call.residual =
                io->residual.data ? fc_dw_output(p, &io->residual, item.image, k, item.row0) : NULL;
            p->family->dw_image(&call);
        }
    }
}

void fc_dw_run_images(const fc_plan *p, const struct fc_conv_io *io)
{
    const int64_t items = fc_dw_item_count(p);
    const int finite = weights_are_finite(p, io->packed);
    char *const zeros = io->scratch, *const bias = zeros + zeros_bytes(p);
    if (!finite)
        memset(zeros, 0, zeros_bytes(p));
    fc_load_bias(p, io->bias, 0, p->desc.k, bias);
    const struct job job = {p, io, finite ? NULL : zeros, bias};
    fc_share(io->threads, items, fc_claim(p->seconds, items, io->threads), run_share, &job);
}
