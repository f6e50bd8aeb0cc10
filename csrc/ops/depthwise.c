/* Depthwise convolution: every input channel has windows of its own (groups == channels), and any
 * number of them.
 *
 * NCHW: vectors run along the width.  Most square windows read the image where it stands
 * (depthwise_images.c).  For any other a band of one channel's rows is copied to a padded slab in
 * L1, split by phase of the stride, so that the kernel knows neither borders nor strides:
 *
 *   for item: an image, a channel or some small ones, a band of output rows    (parallel, claimed)
 *       pack the band's input rows
 *       for each window of each channel: all rows of the band
 *
 * NHWC: vectors run along the channels and the input is read where it stands.  Windows at the
 * borders are clipped, and the pixels between the borders go to the kernel in one run:
 *
 *   for item: an image, some output rows                                  (parallel, claimed)
 *       for row: left border, interior, right border */
#include "ops/depthwise.h"

#include <stdio.h>
#include <string.h>

#include "ops/parallel.h"
#include "ops/slab.h"
#include "ops/target.h"
#include "ops/weights.h"

/* A slab that stays in L1 (32 KB at least, 48 KB on newer cores) beside the output's lines. */
static const int64_t SLAB_BYTES = 32 << 10;
/* Small planes are packed several at a time, as much as this: a vector that is read across two that
 * are still on their way to L1 waits for them. */
static const int64_t GROUP_BYTES = 12 << 10;
/* With a wide dilation neighbouring output rows share no input, and a slab with the rows between
 * would grow with it: above this, half of a common L2, one output row at a time is packed. */
static const int64_t SHARED_SLAB_BYTES = 512 << 10;
/* What a thread may use at all, of the 4 MB that are its share with a converted row beside it. */
static const int64_t SLAB_BYTES_MAX = 3 << 20;

/* ---- sizes ---- */

/* Elements of a slab row, all phases, or the limit when there would be more. */
static int64_t slab_row_of(const fc_plan *p, int64_t *width)
{
    const fc_conv_desc *d = &p->desc;
    const int64_t vl = p->family->vl, limit = SLAB_BYTES_MAX / (int64_t)p->element_bytes;
    const int64_t reach = (d->kw - 1) * d->dilation[1] / d->stride[1];
    if (p->ow > limit || reach > limit || d->stride[1] > limit)
        return limit + 1;
    /* Whole vectors, so that rows are aligned.  The kernel's last vector of a row may run into the
     * next row, in lanes that are dropped. */
    *width = fc_ceil_div(p->ow + reach, vl) * vl;
    return *width > limit / d->stride[1] ? limit + 1 : *width * d->stride[1];
}

/* Rows of a window, those of all its planes together: slabs hold the planes' rows in turn, so that
 * for the kernel a volume's window is one of so many rows, and its stride as many times as long. */
static int64_t window_rows(const fc_plan *p)
{
    return p->desc.kh * p->desc.depth.kernel;
}

/* Slab rows that `rows` > 1 output rows read, the kernel's own rounding included; or more than
 * `limit`. */
static int64_t slab_rows_of(const fc_plan *p, int64_t rows, int64_t limit)
{
    const fc_conv_desc *d = &p->desc;
    const int64_t shared = p->family->dw_rows;
    const int64_t steps = fc_ceil_div(rows, shared) * shared - 1,
                  span = (d->kh - 1) * d->dilation[0];
    if (span > limit || d->stride[0] > limit)
        return limit + 1;
    return (steps * d->stride[0] + span + 1) * d->depth.kernel;
}

static const char *depthwise_supports(const fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    if (d->groups != d->c)
        return "depthwise needs as many groups as input channels";
    if (d->channels_last && !fc_dw_flat(d))
        return "depthwise with channels last serves windows of one plane";
    if (p->taps > (int64_t)1 << 20)
        return "depthwise serves windows of up to 2^20 taps";
    if (d->channels_last || fc_dw_in_place(d))
        return NULL;
    if (d->stride[1] > 64)
        return "depthwise serves strides up to 64 along the width";
    int64_t width;
    const int64_t limit = SLAB_BYTES_MAX / (int64_t)p->element_bytes;
    if (slab_row_of(p, &width) > limit / window_rows(p))
        return "depthwise needs the padded input rows of one output row in 3 MB";
    return NULL;
}

static void depthwise_count(const fc_plan *p, double work[FC_WORK_COUNT])
{
    const fc_conv_desc *d = &p->desc;
    const double outputs = (double)p->images * (double)p->oh * (double)p->ow * (double)d->k;
    const int64_t vl = p->family->vl, line = d->channels_last ? d->c : p->ow;
    /* Lanes that the last vector of a row, or of the channels, leaves empty are paid for. */
    const double filled = (double)line / (double)fc_ceil_div(line, vl);
    if (!d->channels_last && !fc_dw_in_place(d)) {
        int64_t width = 0;
        slab_row_of(p, &width);
        work[FC_WORK_SLAB] += fc_slab_vectors(p, width);
    }
    work[FC_WORK_DEPTHWISE] += outputs / filled * (double)p->taps;
}

static fc_status prepare_pixels(fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    const int64_t taps = d->kh * d->kw, vl = p->family->vl;
    const int64_t channels = fc_ceil_div(d->c, vl) * vl;
    p->packed_bytes = fc_align((size_t)(p->kg * taps * channels) * p->element_bytes);
    p->scratch_bytes = fc_dw_bias_bytes(p);
    snprintf(p->blocking_text, sizeof p->blocking_text, "vectors of %d channels along the rows",
             (int)vl);
    return FC_OK;
}

/* Room for a float16 row in float. */
static size_t converted_bytes(const fc_plan *p)
{
    return p->desc.dtype == FC_FLOAT16 ? fc_align((size_t)p->desc.w * sizeof(float)) : 0;
}

static fc_status prepare_planes(fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    struct fc_dw_blocking *b = p->blocking;
    const int64_t shared = p->family->dw_rows, sw = d->stride[1], dw = d->dilation[1];
    b->slab_row = slab_row_of(p, &b->slab_width);
    const int64_t row_bytes = b->slab_row * (int64_t)p->element_bytes;
    const int64_t limit = SHARED_SLAB_BYTES / row_bytes;

    b->item_rows = fc_min(p->oh, shared);
    b->row_gap = 1;
    b->slab_rows = slab_rows_of(p, b->item_rows, limit);
    /* The rows of dilated windows in several planes are no equal steps apart but by themselves. */
    const int uneven = d->depth.kernel > 1 && d->dilation[0] > 1;
    if (p->oh == 1 || b->slab_rows > limit || uneven) {
        b->item_rows = 1;
        b->row_gap = d->dilation[0];
        b->slab_rows = window_rows(p);
    } else {
        while (b->item_rows < p->oh) {
            const int64_t rows = fc_min(b->item_rows + shared, p->oh);
            const int64_t slab_rows = slab_rows_of(p, rows, limit);
            if (slab_rows * row_bytes > SLAB_BYTES)
                break;
            b->item_rows = rows;
            b->slab_rows = slab_rows;
        }
    }
    b->bands = fc_ceil_div(p->oh, b->item_rows);

    p->runs = fc_object_new((size_t)d->kw * sizeof *p->runs);
    if (!p->runs)
        return FC_NO_MEMORY;
    p->run_count = d->kw;
    b->phases = 0;
    for (int64_t j = 0; j < d->kw; j++) {
        const int64_t x = j * dw;
        p->runs[j].offset = (int32_t)(x % sw * b->slab_width + x / sw);
        p->runs[j].count = 1;
        b->phases |= (uint64_t)1 << (x % sw);
    }
    /* The last vector of the last row starts inside it and may end past it. */
    const int64_t slab = (int64_t)fc_align((size_t)(b->slab_rows * row_bytes) +
                                           (size_t)p->family->vl * p->element_bytes);
    b->item_channels = fc_max(1, fc_min(d->c, GROUP_BYTES / slab));
    p->packed_bytes = fc_align((size_t)(d->k * p->taps) * p->element_bytes);
    p->scratch_bytes = (size_t)(b->item_channels * slab) + converted_bytes(p);
    snprintf(p->blocking_text, sizeof p->blocking_text,
             "%lld of %lld output rows of a channel in L1, %lld rows x %lld columns x %lld phases",
             (long long)b->item_rows, (long long)p->oh, (long long)b->slab_rows,
             (long long)b->slab_width, (long long)sw);
    return FC_OK;
}

static fc_status depthwise_prepare(fc_plan *p)
{
    if (p->desc.channels_last)
        return prepare_pixels(p);
    return fc_dw_in_place(&p->desc) ? fc_dw_prepare_images(p) : prepare_planes(p);
}

/* NCHW: as they are.  NHWC: [copy of the window][tap][channel], channels padded to whole vectors.
 */
void fc_dw_gather(const fc_plan *p, const void *weight, void *dst)
{
    const int64_t each = p->kg * p->taps * (int64_t)p->element_bytes;
    for (int64_t group = 0; group < p->desc.groups; group++)
        fc_weights_gather(p, weight, group, 0, p->kg, 0, p->taps, (char *)dst + group * each);
}

/* The rows of a window's planes in turn, as the slab has them. */
static void pack_rows(const fc_plan *p, const void *weight, char *to)
{
    const fc_conv_desc *d = &p->desc;
    const int64_t depth = d->depth.kernel;
    for (int64_t k = 0; k < d->k; k++)
        for (int64_t row = 0; row < window_rows(p); row++) {
            const int64_t first = (row % depth * d->kh + row / depth) * d->kw;
            fc_weights_gather(p, weight, k / p->kg, k % p->kg, 1, first, d->kw, to);
            to += d->kw * (int64_t)p->element_bytes;
        }
}

static void depthwise_pack(const fc_plan *p, const void *weight, void *packed, int threads)
{
    const fc_conv_desc *d = &p->desc;
    const size_t size = p->element_bytes;
    const int64_t taps = p->taps, copies = p->kg;
    (void)threads; /* they are few */
    if (fc_dw_in_place(d)) {
        fc_dw_pack_images(p, weight, packed);
        return;
    }
    if (!d->channels_last && d->depth.kernel > 1) {
        pack_rows(p, weight, packed);
        return;
    }
    if (!d->channels_last) {
        fc_dw_gather(p, weight, packed);
        return;
    }
    const int64_t channels = fc_ceil_div(d->c, p->family->vl) * p->family->vl;
    double element;
    memset(packed, 0, p->packed_bytes);
    for (int64_t c = 0; c < d->c; c++)
        for (int64_t t = 0; t < copies; t++)
            for (int64_t i = 0; i < taps; i++) {
                fc_weights_gather(p, weight, c, t, 1, i, 1, &element);
                memcpy((char *)packed + (size_t)((t * taps + i) * channels + c) * size, &element,
                       size);
            }
}

/* ---- running ---- */

static double bias_at(const fc_plan *p, const void *bias, int64_t k)
{
    float value;
    if (!bias)
        return 0;
    switch (p->desc.dtype) {
    case FC_FLOAT64:
        return ((const double *)bias)[k];
    case FC_FLOAT32:
        return ((const float *)bias)[k];
    default:
        p->kernels->half_to_float((const uint16_t *)bias + k, &value, 1);
        return value;
    }
}

/* How the input rows of a band are packed; each channel fills in the rest of the slab: a copy of it
 * took longer than packing the rows of a small plane. */
struct packing {
    struct fc_slab slab;       /* but for where from and where to */
    int64_t first, begin, end; /* input row of the first slab row; slab rows inside the image */
    int64_t above, below;      /* rows of zeros to write before and after those */
};

static struct packing packing_of(const fc_plan *p, const struct fc_conv_io *io, int64_t row0,
                                 int64_t rows)
{
    const fc_conv_desc *d = &p->desc;
    const struct fc_dw_blocking *b = p->blocking;
    const int64_t first = row0 * d->stride[0] - d->pad[0], gap = b->row_gap;
    const int64_t wanted =
        b->item_rows == 1 ? d->kh : (rows - 1) * d->stride[0] + (d->kh - 1) * d->dilation[0] + 1;
    const int64_t begin = first < 0 ? fc_min(wanted, fc_ceil_div(-first, gap)) : 0;
    const int64_t end =
        first >= d->h ? begin : fc_max(begin, fc_min(wanted, (d->h - 1 - first) / gap + 1));
    /* Columns past the image are zeros and stay so; a stride has its phases so far apart. */
    const int64_t vl = p->family->vl, image_end = fc_ceil_div(d->pad[2] + d->w, vl) * vl;
    const int64_t step = end - begin > 1 ? io->x.h * gap : 0;
    return (struct packing){
        /* Rows take the place of the packer's channels. */
        .slab = {.dst_channel = d->depth.kernel * b->slab_row,
                 .width = d->stride[1] == 1 ? fc_min(b->slab_width, image_end) : b->slab_width,
                 .src_channel = step,
                 .src_pixel = 1,
                 .src_width = d->w,
                 .stride = d->stride[1],
                 .left = d->pad[2],
                 .phases = b->phases,
                 .ahead = d->dtype == FC_FLOAT16 ? 0 : FC_SLAB_GROUP * step},
        .first = first + begin * gap,
        .begin = begin,
        .end = end,
        /* Rows above and below the image are zeros, and stay so when every item has the same ones.
         */
        .above = b->bands > 1 ? begin : 0,
        .below = b->bands > 1 ? wanted - end : 0};
}

/* Rows of zeros, all planes' together, from slab row `row` on. */
static void pack_zeros(const fc_plan *p, struct fc_slab *slab, char *slab_data, int64_t row,
                       int64_t rows)
{
    const struct fc_dw_blocking *b = p->blocking;
    const int64_t depth = p->desc.depth.kernel, step = slab->dst_channel;
    if (rows == 0)
        return;
    slab->src = NULL;
    slab->dst_channel = b->slab_row;
    slab->dst = slab_data + row * depth * b->slab_row * (int64_t)p->element_bytes;
    slab->channels = rows * depth;
    p->family->slab(slab);
    slab->dst_channel = step;
}

/* The rows of a band that lie in the image, of one of the planes of its window. */
static void pack_tap(const fc_plan *p, const struct fc_conv_io *io, struct packing *packing,
                     const char *src, char *dst, float *converted)
{
    const fc_conv_desc *d = &p->desc;
    const struct fc_dw_blocking *b = p->blocking;
    struct fc_slab *const slab = &packing->slab;
    slab->dst = dst;
    slab->src = src;
    slab->channels = packing->end - packing->begin;
    if (!src || d->dtype != FC_FLOAT16) {
        p->family->slab(slab);
        return;
    }
    slab->src = converted;
    slab->channels = 1;
    for (int64_t i = packing->begin; i < packing->end; i++) {
        p->kernels->half_to_float((const uint16_t *)src, converted, d->w);
        p->family->slab(slab);
        slab->dst = (char *)slab->dst + slab->dst_channel * (int64_t)p->element_bytes;
        if (i + 1 < packing->end)
            src += io->x.h * b->row_gap * (int64_t)p->io_bytes;
    }
}

/* The band of one channel to its slab. */
static void pack_plane(const fc_plan *p, const struct fc_conv_io *io, struct packing *packing,
                       int64_t image, int64_t c, char *slab_data, float *converted)
{
    const struct fc_dw_blocking *b = p->blocking;
    const int64_t row_bytes = b->slab_row * (int64_t)p->element_bytes;
    const int64_t depth = p->desc.depth.kernel;
    pack_zeros(p, &packing->slab, slab_data, 0, packing->above);
    pack_zeros(p, &packing->slab, slab_data, packing->end, packing->below);
    if (packing->begin == packing->end)
        return;
    for (int64_t tap = 0; tap < depth; tap++) {
        const char *src = fc_input_plane(p, &io->x, image, tap);
        if (src)
            src += (c * io->x.c + packing->first * io->x.h) * (int64_t)p->io_bytes;
        pack_tap(p, io, packing, src, slab_data + (packing->begin * depth + tap) * row_bytes,
                 converted);
    }
}

struct job {
    const fc_plan *p;
    const struct fc_conv_io *io;
    const char *bias; /* of run_rows */
};

static void run_planes_share(const void *arg, struct fc_items *items)
{
    const struct job *const job = arg;
    const fc_plan *const p = job->p;
    const struct fc_conv_io *const io = job->io;
    const fc_conv_desc *d = &p->desc;
    const struct fc_dw_blocking *b = p->blocking;
    const int64_t copies = p->kg, depth = d->depth.kernel;
    const size_t slabs_bytes = p->scratch_bytes - converted_bytes(p);
    const size_t slab_bytes = slabs_bytes / (size_t)b->item_channels;
    char *const slabs = io->scratch + (size_t)items->thread * p->scratch_bytes;
    float *const converted = (float *)(slabs + slabs_bytes);
    struct fc_dw_plane plane = {.x_row = b->item_rows == 1 ? 0 : d->stride[0] * depth * b->slab_row,
                                .kernel_row =
                                    (b->item_rows == 1 ? 1 : d->dilation[0]) * b->slab_row,
                                .columns = p->runs,
                                .kh = window_rows(p),
                                .kw = d->kw,
                                .y_row = io->y.h,
                                .r_row = io->residual.h,
                                .cols = p->ow,
                                .act = fc_last_act(&p->desc.activation),
                                .half = d->dtype == FC_FLOAT16};
    /* The zeros around the image; and rows that the kernel reads and drops must not hold
     * denormals by chance, for they are slow. */
    memset(slabs, 0, slabs_bytes);
    for (int64_t i; (i = fc_next(items)) >= 0;) {
        const struct fc_dw_item item = fc_dw_item_of(p, i);
        plane.rows = item.rows;
        struct packing packing = packing_of(p, io, item.row0, item.rows);
        for (int64_t c = item.c0; c < item.c1; c++)
            pack_plane(p, io, &packing, item.image, c, slabs + (size_t)(c - item.c0) * slab_bytes,
                       converted);
        for (int64_t k = item.c0 * copies; k < item.c1 * copies; k++) {
            plane.x = slabs + (size_t)(k / copies - item.c0) * slab_bytes;
            plane.w = (const char *)io->packed + (size_t)(k * p->taps) * p->element_bytes;
            plane.bias = bias_at(p, io->bias, k);
            plane.y = fc_dw_output(p, &io->y, item.image, k, item.row0);
            plane.residual =
                io->residual.data ? fc_dw_output(p, &io->residual, item.image, k, item.row0) : NULL;
            p->family->dw_plane(&plane);
        }
    }
}

static void run_planes(const fc_plan *p, const struct fc_conv_io *io)
{
    const int64_t items = fc_dw_item_count(p);
    const struct job job = {p, io, NULL};
    fc_share(io->threads, items, fc_claim(p->seconds, items, io->threads), run_planes_share, &job);
}

/* One row of output pixels [q0, q0 + pixels), whose windows have the same taps inside the image. */
static void run_pixels(const fc_plan *p, const struct fc_conv_io *io, const struct fc_dw_pixel *row,
                       const struct fc_axis *width, int64_t q0, int64_t pixels)
{
    const struct fc_span span = fc_span_at(width, q0);
    const int64_t size = (int64_t)p->element_bytes, io_size = (int64_t)p->io_bytes;
    struct fc_dw_pixel pixel = *row;
    pixel.kw = span.count;
    pixel.x_col = span.count > 1 ? width->dilation * io->x.w : 0; /* a lone tap's may overflow */
    pixel.x = (const char *)row->x + span.first * io->x.w * io_size;
    pixel.w = (const char *)row->w + fc_span_tap(width, q0, span) * row->w_col * size;
    pixel.y = (char *)row->y + q0 * row->y_pixel * io_size;
    if (row->residual)
        pixel.residual = (const char *)row->residual + q0 * row->r_pixel * io_size;
    pixel.pixels = pixels;
    p->family->dw_pixel(&pixel);
}

static void run_row(const fc_plan *p, const struct fc_conv_io *io, int64_t image, int64_t i,
                    const void *bias)
{
    const fc_conv_desc *d = &p->desc;
    const int64_t channels = fc_ceil_div(d->c, p->family->vl) * p->family->vl;
    const int64_t size = (int64_t)p->element_bytes;
    const struct fc_axis height = {d->h, d->pad[0], d->kh, d->stride[0], d->dilation[0]};
    const struct fc_axis width = {d->w, d->pad[2], d->kw, d->stride[1], d->dilation[1]};
    const struct fc_span rows = fc_span_at(&height, i);
    const int64_t i0 = fc_span_tap(&height, i, rows);
    const struct fc_dw_pixel row = {
        .x = fc_dw_input(p, &io->x, image, 0, rows.first),
        .x_pixel = p->ow > 1 ? d->stride[1] * io->x.w : 0,
        .x_row = rows.count > 1 ? d->dilation[0] * io->x.h : 0,
        .w = (const char *)io->packed + i0 * d->kw * channels * size,
        .w_copy = d->kh * d->kw * channels,
        .w_row = d->kw * channels,
        .w_col = channels,
        .kh = rows.count,
        .bias = bias,
        .y = fc_dw_output(p, &io->y, image, 0, i),
        .y_pixel = io->y.w,
        .residual = io->residual.data ? fc_dw_output(p, &io->residual, image, 0, i) : NULL,
        .r_pixel = io->residual.w,
        .channels = d->c,
        .multiplier = p->kg,
        .act = fc_last_act(&p->desc.activation),
        .half = d->dtype == FC_FLOAT16};
    for (int64_t q = 0; q < p->ow;) {
        int64_t pixels = 1;
        if (fc_span_at(&width, q).count == d->kw) {
            /* Every window up to the last that ends inside the image is whole as well. */
            const int64_t last =
                (d->w - 1 - (d->kw - 1) * d->dilation[1] + width.before) / width.stride;
            pixels = fc_min(last, p->ow - 1) - q + 1;
        }
        run_pixels(p, io, &row, &width, q, pixels);
        q += pixels;
    }
}

static void run_rows_share(const void *arg, struct fc_items *items)
{
    const struct job *const job = arg;
    for (int64_t i; (i = fc_next(items)) >= 0;)
        run_row(job->p, job->io, i / job->p->oh, i % job->p->oh, job->bias);
}

static void run_rows(const fc_plan *p, const struct fc_conv_io *io)
{
    const int64_t items = p->images * p->oh;
    const struct job job = {p, io, io->scratch};
    fc_load_bias(p, io->bias, 0, p->desc.k, io->scratch);
    fc_share(io->threads, items, fc_claim(p->seconds, items, io->threads), run_rows_share, &job);
}

static void depthwise_run(const fc_plan *p, const struct fc_conv_io *io)
{
    if (p->desc.channels_last)
        run_rows(p, io);
    else if (fc_dw_in_place(&p->desc))
        fc_dw_run_images(p, io);
    else
        run_planes(p, io);
}

const struct fc_algorithm fc_depthwise = {
    .name = "depthwise",
    .supports = depthwise_supports,
    .count = depthwise_count,
    .pack_seconds = 0.3e-9, /* a copy */
    .blocking_bytes = sizeof(struct fc_dw_blocking),
    .prepare = depthwise_prepare,
    .pack = depthwise_pack,
    .run = depthwise_run,
};
