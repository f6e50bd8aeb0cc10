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

#include "base/memory.h"
#include "ops/parallel.h"

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
    return !d->channels_last && d->kh == d->kw && (d->kh == 3 || d->kh == 5) &&
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

/* Scratch of fc_dw_run_images: a row of zeros, an item's sums, and its float16 input in float. */
static size_t zeros_bytes(const fc_plan *p)
{
    return fc_align((size_t)p->desc.w * p->element_bytes);
}

static size_t sums_bytes(const fc_plan *p)
{
    const struct fc_dw_blocking *b = p->blocking;
    return fc_align((size_t)(b->item_rows * p->family->vl) * p->element_bytes);
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
    p->scratch_bytes = zeros_bytes(p) + sums_bytes(p);
    if (d->dtype == FC_FLOAT16)
        p->scratch_bytes +=
            fc_align((size_t)(b->item_channels * band_rows(p) * d->w) * p->element_bytes +
                     (size_t)d->k * p->element_bytes);
    snprintf(p->blocking_text, sizeof p->blocking_text,
             "%lld of %lld output rows of %lld channels, read where they stand",
             (long long)b->item_rows, (long long)p->oh, (long long)b->item_channels);
    return FC_OK;
}

/* The weights as they are, and behind them their sum. */
void fc_dw_pack_images(const fc_plan *p, const void *weight, void *packed)
{
    const int64_t count = p->desc.k * p->desc.kh * p->desc.kw;
    memcpy(packed, weight, weights_bytes(p));
    *(double *)((char *)packed + fc_align(weights_bytes(p))) =
        p->family->sum(weight, 1, count, count);
}

/* Whether rows of padding add nothing to any sum, so that they can be left out: an infinite weight
 * makes them NaN.  A sum that overflows costs no more than these rows. */
static int weights_are_finite(const fc_plan *p, const void *packed)
{
    const double sum = *(const double *)((const char *)packed + fc_align(weights_bytes(p)));
    return sum * 0 == 0;
}

/* The item's input in float, for float16: the call reads that instead. */
static void convert_band(const fc_plan *p, const struct fc_conv_io *io,
                         const struct fc_dw_item *item, float *band, struct fc_dw_image *call)
{
    const fc_conv_desc *d = &p->desc;
    const int64_t first = fc_min(d->h, fc_max(0, -call->top));
    const int64_t last = (item->rows - 1) * d->stride[0] + d->kh - call->top;
    const int64_t rows = fc_max(0, fc_min(d->h, last) - first);
    call->x = band;
    call->x_row = d->w;
    call->height = rows;
    call->top += first;
    if (call->x_plane)
        call->x_plane = rows * d->w;
    for (int64_t c = item->c0; c < item->c1; c++)
        for (int64_t i = 0; i < rows; i++, band += d->w)
            p->kernels->half_to_float(
                (const uint16_t *)fc_dw_element(p, &io->x, item->image, c, first + i), band, d->w);
}

void fc_dw_run_images(const fc_plan *p, const struct fc_conv_io *io)
{
    const fc_conv_desc *d = &p->desc;
    const int64_t taps = d->kh * d->kw, copies = p->kg, size = (int64_t)p->element_bytes;
    const int64_t items = fc_dw_item_count(p), claim = fc_claim(p->seconds, items, io->threads);
    const int half = d->dtype == FC_FLOAT16, finite = weights_are_finite(p, io->packed);
    (void)claim;
#pragma omp parallel num_threads(io->threads) if (io -> threads > 1)
    {
        char *const zeros = io->scratch + (size_t)fc_thread_index() * p->scratch_bytes;
        char *const sums = zeros + zeros_bytes(p);
        float *const bias = (float *)(sums + sums_bytes(p)), *const band = bias + d->k;
        memset(zeros, 0, zeros_bytes(p));
        if (half && io->bias)
            p->kernels->half_to_float(io->bias, bias, d->k);
#pragma omp for schedule(dynamic, claim)
        for (int64_t i = 0; i < items; i++) {
            const struct fc_dw_item item = fc_dw_item_of(p, i);
            struct fc_dw_image call = {.x_plane = copies == 1 ? io->x.c : 0,
                                       .x_row =
                                           d->h > 1 ? io->x.h : 0, /* a lone row's may overflow */
                                       .height = d->h,
                                       .width = d->w,
                                       .top = d->pad[0] - item.row0 * d->stride[0],
                                       .left = d->pad[2],
                                       .zeros = finite ? NULL : zeros,
                                       .size = d->kh,
                                       .stride = d->stride[0],
                                       .y_plane = io->y.c,
                                       .y_row = io->y.h,
                                       .r_plane = io->residual.c,
                                       .r_row = io->residual.h,
                                       .planes = copies == 1 ? item.c1 - item.c0 : copies,
                                       .rows = item.rows,
                                       .cols = p->ow,
                                       .act = fc_dw_act_of(p),
                                       .half = half,
                                       .sums = sums};
            if (half)
                convert_band(p, io, &item, band, &call);
            for (int64_t k = item.c0 * copies; k < item.c1 * copies; k += call.planes) {
                if (!half)
                    call.x = fc_dw_element(p, &io->x, item.image, k / copies, 0);
                else if (copies > 1)
                    call.x = band + (k / copies - item.c0) * call.height * d->w;
                call.w = (const char *)io->packed + k * taps * size;
                call.bias = !io->bias ? NULL
                            : half    ? (const char *)(bias + k)
                                      : (const char *)io->bias + k * size;
                call.y = fc_dw_element(p, &io->y, item.image, k, item.row0);
                call.residual = io->residual.data
                                    ? fc_dw_element(p, &io->residual, item.image, k, item.row0)
                                    : NULL;
                p->family->dw_image(&call);
            }
        }
    }
}
