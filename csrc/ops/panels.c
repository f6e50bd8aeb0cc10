/* im2col and 1x1 convolution: dense tiles and lines read their pixels from panels.
 *
 * A panel holds all taps of a few output pixels, [tap][pixel]: at most mr of them for a tile, of
 * whichever images of the batch, the vectors that it takes at once for a line.  So no more of the
 * im2col matrix ever exists than what stays in L2.  Taps are ordered (row of the window, column,
 * plane of the window, channel).  A 1x1 window without padding is the same with nothing to
 * replicate: its pixels are copied across output rows in one go, or, for lines that pass over them
 * a few times only, read where they stand if the planes have no gaps; so is a lone pixel. */
#include <math.h>
#include <stdint.h>

#include "base/checked.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "ops/dense.h"
#include "ops/ops.h"
#include "ops/planes.h"
#include "ops/slab.h"

/* float16 pixels up to so far apart are converted with what lies between them, for speed; others
 * one by one, for the memory that the stretch would take. */
enum { STRETCH_MAX = 4 };

/* Passes over the pixels up to which lines of several vectors read them in place.  The pixels of
 * all channels share sets of L1 there, and are fetched from L2 again for each pass.  On AVX2 in
 * place was faster for 16 and 32 output channels (by 5 to 20 %), and slower from 96 on (by 10 to 15
 * %). */
enum { PASSES_IN_PLACE = 8 };

/* Of a whole vector that is copied to a panel, in pieces of one. */
static const double WHOLE_VECTOR = 1. / 3;

static const char *serves_all(const fc_plan *p)
{
    (void)p;
    return NULL;
}

static const char *pointwise_supports(const fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    if (d->kh != 1 || d->kw != 1)
        return "it takes 1x1 windows";
    if (d->depth.kernel != 1 || d->depth.pad[0] || d->depth.pad[1])
        return "it takes windows of one plane";
    if (d->pad[0] || d->pad[1] || d->pad[2] || d->pad[3])
        return "it takes no padding";
    return NULL;
}

/* A 1x1 convolution whose output pixels are its input's, in their order. */
static int same_pixels(const fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    return pointwise_supports(p) == NULL && d->stride[0] == 1 && d->stride[1] == 1;
}

/* Whether lines of `pointwise` would read the input where it stands. */
static int reads_in_place(const fc_plan *p)
{
    return same_pixels(p) && p->desc.dtype != FC_FLOAT16 &&
           (p->family->line_vectors == 1 || p->kg <= PASSES_IN_PLACE * p->family->line_channels);
}

/* Whether `pointwise` has a single pixel to read: its channels are a panel as they stand. */
static int is_lone_pixel(const fc_plan *p)
{
    return pointwise_supports(p) == NULL && p->images == 1 && p->oh * p->ow == 1 &&
           p->desc.dtype != FC_FLOAT16;
}

/* Pieces, a vector each at most, in which one channel's pixels are copied to panels of tiles or
 * lines.  Output rows are cut where a panel ends; the same pixels are a single stretch. */
static double panel_pieces(const fc_plan *p, int pointwise, int lines)
{
    const double vl = p->family->vl, mr = (double)p->family->mr;
    const int single = pointwise && same_pixels(p);
    const double rows = single ? 1 : (double)p->oh;
    const double length = single ? (double)(p->oh * p->ow) : (double)p->ow;
    if (!lines)
        return rows * ceil(length / mr) * ceil(mr / vl);
    return rows * (single ? length / vl * WHOLE_VECTOR : ceil(length / vl));
}

/* Images whose pixels go together: panels for tiles take those of all, so that weights are read
 * once and small images leave no tile half empty. */
static int64_t images_joined(const fc_plan *p, int lines)
{
    return lines ? 1 : fc_max(1, p->images);
}

/* Whether panels, or the input in place, are for lines rather than for tiles.  Lines of one vector
 * gain by what they need not copy: im2col leaves them alone. */
static int prefers_lines(const fc_plan *p, int pointwise)
{
    const int64_t panel = 2 * p->family->line_vectors * p->family->vl;
    const int in_place = pointwise && reads_in_place(p);
    return (pointwise || p->family->line_vectors > 1) &&
           p->taps <= FC_SLAB_BYTES_MAX / (int64_t)p->element_bytes / panel &&
           fc_dense_by_line(p, p->taps, p->oh * p->ow, images_joined(p, 0),
                            panel_pieces(p, pointwise, 0),
                            in_place ? 0 : panel_pieces(p, pointwise, 1));
}

static void count_panels(const fc_plan *p, int pointwise, double work[FC_WORK_COUNT])
{
    const fc_conv_desc *d = &p->desc;
    const int lines = prefers_lines(p, pointwise);
    const int64_t joined = images_joined(p, lines), images = p->images / joined;
    const int64_t pixels = p->oh * p->ow * joined;
    fc_dense_count(p, images, 1, pixels, lines, work);
    if (pointwise && (lines ? reads_in_place(p) : is_lone_pixel(p)))
        return;
    work[FC_WORK_PANEL] +=
        (double)p->images * (double)(d->groups * p->taps) * panel_pieces(p, pointwise, lines);
    /* Long panels leave L2 before the next block of channels reads them. */
    const double bytes = (double)p->taps * (double)pixels * (double)p->element_bytes;
    fc_weights_count(p, fmin(bytes, (double)FC_SLAB_BYTES_MAX),
                     (double)images * (double)d->groups *
                         (double)fc_ceil_div(p->kg, p->family->nr) *
                         fmax(1, bytes / (double)FC_SLAB_BYTES_MAX),
                     work);
}

static void im2col_count(const fc_plan *p, double work[FC_WORK_COUNT])
{
    count_panels(p, 0, work);
}

static void pointwise_count(const fc_plan *p, double work[FC_WORK_COUNT])
{
    count_panels(p, 1, work);
}

/* One run over all taps, whose order in the weights is (channel, window position). */
static fc_status list_taps(fc_plan *p)
{
    const int64_t window = p->desc.kh * p->desc.kw;
    p->runs = fc_object_new(sizeof *p->runs);
    p->place = fc_object_new((size_t)p->taps * sizeof *p->place);
    if (!p->runs || !p->place)
        return FC_NO_MEMORY;
    p->run_count = 1;
    p->runs[0] = (struct fc_run){0, (int32_t)p->taps};
    for (int64_t c = 0; c < p->channels; c++)
        for (int64_t t = 0; t < window; t++)
            p->place[fc_weight_channel(p, c) * window + t] = (int32_t)(t * p->channels + c);
    return FC_OK;
}

static fc_status finish_panels(fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    struct fc_dense_blocking *b = p->blocking;
    b->lines = fc_ceil_div(b->pixels, b->line_pixels);
    b->slab_row = p->taps * b->line_pixels;
    b->tile_rows = b->strips = b->row_step = b->row_span = 1;
    const fc_status status = list_taps(p);
    if (status)
        return status;
    fc_dense_prepare(p);
    const int64_t pixels = fc_min(p->ow, b->item_lines * b->line_pixels);
    fc_dense_reserve_row(p, pixels * (d->channels_last ? d->cg : STRETCH_MAX));
    return FC_OK;
}

static fc_status prepare(fc_plan *p, int pointwise)
{
    struct fc_dense_blocking *b = p->blocking;
    const int64_t most = FC_SLAB_BYTES_MAX / (int64_t)p->element_bytes;
    b->by_line = prefers_lines(p, pointwise);
    b->in_place = b->by_line && pointwise && reads_in_place(p);
    b->lone_pixel = !b->by_line && pointwise && is_lone_pixel(p);
    const int64_t joined = images_joined(p, b->by_line);
    b->images = p->images / joined;
    b->pixels = p->oh * p->ow * joined;
    if (b->by_line) {
        /* At least two vectors of each tap: a page of the input serves them before the next is
         * touched. */
        b->line_pixels = fc_max(2, p->family->line_vectors) * p->family->vl;
    } else {
        /* Equal panels, and narrower ones where a reduction is so long that a full one would not
         * fit. */
        b->line_pixels = fc_ceil_div(b->pixels, fc_ceil_div(b->pixels, p->family->mr));
        while (b->line_pixels > 1 && b->line_pixels * p->taps > most)
            b->line_pixels = fc_ceil_div(b->line_pixels, 2);
    }
    b->line_step = p->taps * b->line_pixels;
    b->tap_step = b->line_pixels;
    return finish_panels(p);
}

static fc_status im2col_prepare(fc_plan *p)
{
    return prepare(p, 0);
}

static fc_status pointwise_prepare(fc_plan *p)
{
    return prepare(p, 1);
}

/* Copies `count` pixels of every channel, zeros when src is NULL, to the panels from flat pixel q
 * on. */
static void copy_pixels(const fc_plan *p, struct fc_panel *panel, const char *src, int64_t q,
                        int64_t count, float *row)
{
    if (count <= 0)
        return;
    panel->q0 = q;
    panel->count = count;
    panel->src = src;
    if (!src || p->desc.dtype != FC_FLOAT16) {
        p->family->panel(panel);
        return;
    }
    struct fc_panel converted = *panel;
    converted.src = row;
    converted.ahead = 0; /* the row is a copy */
    if (p->desc.channels_last) {
        fc_convert_pixels(p, src, panel->src_pixel, count, panel->channels, row);
        converted.src_pixel = panel->channels;
        p->family->panel(&converted);
        return;
    }
    converted.channels = 1;
    if (panel->src_pixel > STRETCH_MAX)
        converted.src_pixel = 1;
    for (int64_t c = 0; c < panel->channels; c++) {
        const uint16_t *from = (const uint16_t *)src + c * panel->src_channel;
        if (panel->src_pixel > STRETCH_MAX)
            fc_convert_pixels(p, from, panel->src_pixel, count, 1, row);
        else
            p->kernels->half_to_float(from, row, (count - 1) * panel->src_pixel + 1);
        p->family->panel(&converted);
        converted.dst = (char *)converted.dst + panel->mr * (int64_t)p->element_bytes;
    }
}

/* The columns of one output row [begin, end) whose tap j lies inside the image. */
static void inside(const fc_conv_desc *d, int64_t j, int64_t begin, int64_t end, int64_t *first,
                   int64_t *last)
{
    const int64_t shift = d->pad[2] - j * d->dilation[1], sw = d->stride[1];
    *first = fc_min(end, fc_max(begin, shift > 0 ? fc_ceil_div(shift, sw) : 0));
    const int64_t room = d->w + shift; /* columns q with q * sw < room */
    *last = fc_max(*first, fc_min(end, room > 0 ? fc_ceil_div(room, sw) : 0));
}

/* Whether the input rows of an image follow each other as the output's do: one run of pixels. */
static int whole_rows(const fc_plan *p, const struct fc_conv_io *io)
{
    return same_pixels(p) && io->x.h == p->desc.w * io->x.w && p->desc.dtype != FC_FLOAT16;
}

/* Packs the output pixels [start, stop) of one image, whose first is pixel `at` of the panels: what
 * a plane of its input gives to them, zeros where that is NULL. */
static void pack_plane(const fc_plan *p, const struct fc_conv_io *io, struct fc_dense_slab *s,
                       const char *plane, int64_t tap, int64_t start, int64_t stop, int64_t at)
{
    const fc_conv_desc *d = &p->desc;
    const struct fc_dense_blocking *b = p->blocking;
    const int64_t io_size = (int64_t)p->io_bytes, sw = d->stride[1];
    struct fc_panel panel = {
        .dst = s->scratch,
        .dst_tile = b->slab_row,
        .mr = b->line_pixels,
        .src_channel = io->x.c,
        /* A lone pixel's step is never taken, and may be too large to compute. */
        .src_pixel = p->ow > 1 ? io->x.w * sw : io->x.w,
        .channels = d->cg};
    if (whole_rows(p, io)) {
        /* Smaller images are in L2 already, and lost 1 to 2 %. */
        if (d->cg * p->oh * p->ow * io_size > p->l2_bytes && stop < p->oh * p->ow)
            panel.ahead = (stop - start) * io->x.w;
        copy_pixels(p, &panel, plane + start * io->x.w * io_size, at, stop - start, s->row);
        return;
    }
    at -= start;
    for (int64_t i = 0; i < d->kh; i++)
        for (int64_t j = 0; j < d->kw; j++) {
            const int64_t first_tap = (i * d->kw + j) * p->channels + tap * d->cg;
            panel.dst = (char *)s->scratch + first_tap * panel.mr * (int64_t)p->element_bytes;
            for (int64_t q = start; q < stop;) {
                const int64_t oh = q / p->ow, begin = q % p->ow;
                const int64_t end = fc_min(p->ow, begin + stop - q);
                const int64_t ih = oh * d->stride[0] - d->pad[0] + i * d->dilation[0];
                const int64_t row = at + q - begin;
                int64_t first = end, last = end;
                if (plane && ih >= 0 && ih < d->h)
                    inside(d, j, begin, end, &first, &last);
                /* Of a 1x1 window the input row of the next output row is new. */
                panel.ahead =
                    d->kh * d->kw == 1 && ih + d->stride[0] < d->h ? d->stride[0] * io->x.h : 0;
                copy_pixels(p, &panel, NULL, row + begin, first - begin, s->row);
                if (last > first)
                    copy_pixels(p, &panel,
                                plane + (ih * io->x.h +
                                         (first * sw - d->pad[2] + j * d->dilation[1]) * io->x.w) *
                                            io_size,
                                row + first, last - first, s->row);
                copy_pixels(p, &panel, NULL, row + last, end - last, s->row);
                q += end - begin;
            }
        }
}

static void pack_panels(const fc_plan *p, const struct fc_conv_io *io, struct fc_dense_slab *s)
{
    const struct fc_dense_blocking *b = p->blocking;
    const int64_t io_size = (int64_t)p->io_bytes, plane = p->oh * p->ow;
    const int64_t start = s->line0 * b->line_pixels;
    const int64_t stop = fc_min(s->line1 * b->line_pixels, b->pixels);
    const int64_t group = s->group * p->desc.cg * io->x.c * io_size;
    if (b->lone_pixel) {
        s->slab = fc_input_plane(p, &io->x, 0, 0) + group;
        /* A lone channel's step is never taken, and may be too large to compute. */
        s->tap_step = p->taps > 1 ? io->x.c : 1;
        return;
    }
    if (b->in_place && whole_rows(p, io)) {
        s->slab = fc_input_plane(p, &io->x, s->image, 0) + group + start * io_size;
        s->tap_step = io->x.c;
        s->line_step = b->line_pixels;
        s->in_place = 1;
        return;
    }
    for (int64_t q = start; q < stop;) {
        const int64_t image = q / plane, from = q % plane, to = fc_min(plane, from + stop - q);
        for (int64_t tap = 0; tap < p->desc.depth.kernel; tap++) {
            const char *x = fc_input_plane(p, &io->x, s->image + image, tap);
            pack_plane(p, io, s, x ? x + group : NULL, tap, from, to, q - start);
        }
        q += to - from;
    }
}

static void panels_run(const fc_plan *p, const struct fc_conv_io *io)
{
    fc_dense_run(p, io, pack_panels);
}

const struct fc_algorithm fc_im2col = {
    .name = "im2col",
    .supports = serves_all,
    .count = im2col_count,
    .pack_seconds = FC_DENSE_PACK_SECONDS,
    .blocking_bytes = sizeof(struct fc_dense_blocking),
    .prepare = im2col_prepare,
    .pack = fc_dense_pack_weights,
    .run = panels_run,
    .block_bytes = fc_dense_block_bytes,
};

const struct fc_algorithm fc_pointwise = {
    .name = "pointwise",
    .supports = pointwise_supports,
    .count = pointwise_count,
    .pack_seconds = FC_DENSE_PACK_SECONDS,
    .blocking_bytes = sizeof(struct fc_dense_blocking),
    .prepare = pointwise_prepare,
    .pack = fc_dense_pack_weights,
    .run = panels_run,
    .block_bytes = fc_dense_block_bytes,
};
