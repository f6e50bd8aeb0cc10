/* Packing for the gradient of a convolution's weights (grad_weight.h): pixels of dy and of the
 * input to blocks of channels. */
#include "base/checked.h"
#include "kernels/kernels.h"
#include "ops/grad_weight.h"
#include "ops/planes.h"
#include "ops/slab.h"

static void put_panel(const fc_plan *p, char *dst, int64_t stride, int64_t width, int64_t c0,
                      int64_t channels, const char *src, int64_t channel, int64_t pixel,
                      int64_t count)
{
    /* Pixels are the panel's channels. */
    const struct fc_panel panel = {.dst = dst,
                                   .dst_tile = stride,
                                   .mr = width,
                                   .q0 = c0,
                                   .count = channels,
                                   .src = src,
                                   .src_channel = pixel,
                                   .src_pixel = channel,
                                   .channels = count};
    if (channels > 0)
        p->family->panel(&panel);
}

/* Channels [c0, c0 + channels) of `count` pixels, from pixel `at` of the packed ones on; steps from
 * channel to channel and from pixel to pixel; src NULL: zeros. */
static void put_channels(const fc_plan *p, const struct fc_weight_side *s, char *packed, int64_t at,
                         int64_t c0, int64_t channels, const char *src, int64_t channel,
                         int64_t pixel, int64_t count)
{
    const int64_t size = (int64_t)p->element_bytes;
    const int64_t end = c0 + channels, before_last = (s->blocks - 1) * s->width;
    const int64_t wide = s->last == s->width ? end : fc_max(c0, fc_min(end, before_last));
    put_panel(p, packed + at * s->width * size, s->stride, s->width, c0, wide - c0, src, channel,
              pixel, count);
    put_panel(p, packed + ((s->blocks - 1) * s->stride + at * s->last) * size, s->stride, s->last,
              wide - before_last, end - wide, src ? src + (wide - c0) * channel * size : NULL,
              channel, pixel, count);
}

/* The same of all channels and of any dtype. */
static void put_pixels(const struct fc_weight_worker *w, const struct fc_weight_side *s,
                       char *packed, int64_t at, const char *src, int64_t channel, int64_t pixel,
                       int64_t count)
{
    const fc_plan *p = w->p;
    const int64_t half = 2, room = w->b->row_elements;
    if (!src || p->desc.dtype != FC_FLOAT16) {
        put_channels(p, s, packed, at, 0, s->channels, src, channel, pixel, count);
        return;
    }
    float *const row = (float *)w->row;
    const int64_t together = p->desc.channels_last ? s->channels : p->family->vl;
    int64_t some;
    for (int64_t i = 0; i < count; i += some) {
        some = fc_min(count - i, room / together);
        const char *from = src + i * pixel * half;
        if (p->desc.channels_last) {
            fc_convert_pixels(p, from, pixel, some, s->channels, row);
            put_channels(p, s, packed, at + i, 0, s->channels, w->row, 1, s->channels, some);
            continue;
        }
        for (int64_t c0 = 0; c0 < s->channels; c0 += together) {
            const int64_t channels = fc_min(together, s->channels - c0);
            for (int64_t c = 0; c < channels; c++)
                fc_convert_pixels(p, from + (c0 + c) * channel * half, pixel, some, 1,
                                  row + c * some);
            put_channels(p, s, packed, at + i, c0, channels, w->row, some, 1, some);
        }
    }
}

/* Output pixels [begin, end) of an image, counted along its rows, of dy. */
static void pack_y(const struct fc_weight_worker *w, int64_t image, int64_t begin, int64_t end,
                   int64_t at)
{
    const fc_plan *p = w->p;
    const fc_array *y = &w->io->y;
    const int64_t offset = fc_output_image(p, y, image) + w->group * p->kg * y->c;
    const int whole = y->h == p->ow * y->w;
    const struct fc_weight_side *s = w->b->turned ? &w->b->spread : &w->b->lanes;
    char *packed = w->b->turned ? w->spread : w->lanes;
    int64_t count;
    for (int64_t q = begin; q < end; q += count) {
        const int64_t i = q / p->ow, j = q % p->ow;
        count = whole ? end - q : fc_min(end - q, p->ow - j);
        put_pixels(w, s, packed, at + q - begin,
                   (const char *)y->data + (offset + i * y->h + j * y->w) * (int64_t)p->io_bytes,
                   y->c, y->w, count);
    }
}

/* A plane of the input, the group's channel 0; NULL where it is padding. */
static const char *plane_of(const struct fc_weight_worker *w, int64_t image, int64_t tap)
{
    const fc_plan *p = w->p;
    const char *plane = fc_input_plane(p, &w->io->x, image, tap);
    return plane ? plane + w->group * p->desc.cg * w->io->x.c * (int64_t)p->io_bytes : NULL;
}

/* `count` neighbouring positions, `step` apart, of a row of the padded input, the first being
 * column `column` of the image. */
static void pack_columns(const struct fc_weight_worker *w, const char *row, int64_t column,
                         int64_t step, int64_t count, int64_t at)
{
    const fc_plan *p = w->p;
    const fc_array *x = &w->io->x;
    const struct fc_weight_side *s = w->b->turned ? &w->b->lanes : &w->b->spread;
    char *packed = w->b->turned ? w->lanes : w->spread;
    const int64_t room = p->desc.w - column;
    int64_t first = 0, last = 0;
    if (row) {
        first = column < 0 ? fc_min(count, fc_ceil_div(-column, step)) : 0;
        last = room > 0 ? fc_max(first, fc_min(count, fc_ceil_div(room, step))) : first;
    }
    if (first > 0)
        put_pixels(w, s, packed, at, NULL, 0, 0, first);
    if (last > first)
        put_pixels(w, s, packed, at + first,
                   row + (column + first * step) * x->w * (int64_t)p->io_bytes, x->c,
                   last - first > 1 ? step * x->w : x->w, last - first);
    if (count > last)
        put_pixels(w, s, packed, at + last, NULL, 0, 0, count - last);
}

/* Whether pixels of planes are collected before they are packed, so that neither strides nor the
 * ends of rows break up the vectors. */
static int collects(const fc_plan *p)
{
    return !p->desc.channels_last && p->desc.dtype != FC_FLOAT16 && p->desc.stride[1] <= 64;
}

/* As pack_tap: the pixels of some channels side by side, and these to their blocks. */
static void collect_tap(const struct fc_weight_worker *w, const char *plane, int64_t top,
                        int64_t left, int64_t begin, int64_t end, int64_t at)
{
    const fc_plan *p = w->p;
    const fc_conv_desc *d = &p->desc;
    const fc_array *x = &w->io->x;
    const struct fc_weight_side *s = w->b->turned ? &w->b->lanes : &w->b->spread;
    char *packed = w->b->turned ? w->lanes : w->spread;
    const int64_t size = (int64_t)p->element_bytes, pixels = end - begin;
    struct fc_slab slab = {.dst_channel = pixels,
                           .src_channel = x->c,
                           .src_pixel = 1,
                           .stride = d->stride[1],
                           .phases = 1};
    for (int64_t c0 = 0; c0 < s->channels; c0 += p->family->vl) {
        slab.channels = fc_min(p->family->vl, s->channels - c0);
        for (int64_t q = begin; q < end; q += slab.width) {
            const int64_t oh = q / p->ow, ow = q % p->ow, ih = oh * d->stride[0] + top;
            const int64_t column = ow * d->stride[1] + left, first = fc_max(0, column);
            slab.width = fc_min(end - q, p->ow - ow);
            slab.dst = (char *)w->row + (q - begin) * size;
            slab.left = first - column;
            slab.src_width = d->w - first;
            slab.src = plane && ih >= 0 && ih < d->h && first < d->w
                           ? plane + (c0 * x->c + ih * x->h + first * x->w) * size
                           : NULL;
            p->family->slab(&slab);
        }
        put_channels(p, s, packed, at, c0, slab.channels, w->row, pixels, 1, pixels);
    }
}

/* What the stage's tap saw at output pixels [begin, end) of an image. */
static void pack_tap(const struct fc_weight_worker *w, int64_t image, int64_t begin, int64_t end,
                     int64_t at)
{
    const fc_plan *p = w->p;
    const fc_conv_desc *d = &p->desc;
    const fc_array *x = &w->io->x;
    const int64_t tap = w->stage, io_size = (int64_t)p->io_bytes;
    const int64_t i = tap / d->kw % d->kh, j = tap % d->kw;
    const char *plane = plane_of(w, image, tap / d->kw / d->kh);
    const int64_t left = j * d->dilation[1] - d->pad[2], top = i * d->dilation[0] - d->pad[0];
    if (plane && d->kh * d->kw == 1 && p->oh == d->h && p->ow == d->w && left == 0 && top == 0 &&
        d->stride[0] == 1 && d->stride[1] == 1 && x->h == d->w * x->w) {
        const struct fc_weight_side *s = w->b->turned ? &w->b->lanes : &w->b->spread;
        put_pixels(w, s, w->b->turned ? w->lanes : w->spread, at, plane + begin * x->w * io_size,
                   x->c, x->w, end - begin);
        return;
    }
    if (collects(p)) {
        collect_tap(w, plane, top, left, begin, end, at);
        return;
    }
    int64_t count;
    for (int64_t q = begin; q < end; q += count) {
        const int64_t oh = q / p->ow, ow = q % p->ow, ih = oh * d->stride[0] + top;
        count = fc_min(end - q, p->ow - ow);
        pack_columns(w, plane && ih >= 0 && ih < d->h ? plane + ih * x->h * io_size : NULL,
                     ow * d->stride[1] + left, d->stride[1], count, at + q - begin);
    }
}

/* A packed row of an image of the chunk. */
static void pack_x_row(const struct fc_weight_worker *w, int64_t image, int64_t row)
{
    const fc_plan *p = w->p;
    const fc_conv_desc *d = &p->desc;
    const struct fc_weight_blocking *b = w->b;
    const int64_t gap = d->kh == 1 ? d->stride[0] : 1;
    const int64_t ih = w->row0 * d->stride[0] - d->pad[0] + row * gap;
    const char *plane = plane_of(w, w->image + image, w->stage);
    pack_columns(
        w, plane && ih >= 0 && ih < d->h ? plane + ih * w->io->x.h * (int64_t)p->io_bytes : NULL,
        w->col0 * d->stride[1] - d->pad[2], 1,
        (w->cols - 1) * d->stride[1] + (d->kw - 1) * d->dilation[1] + 1,
        (image * b->x_rows + row) * b->x_cols);
}

static int64_t x_rows_of(const struct fc_weight_worker *w)
{
    const fc_conv_desc *d = &w->p->desc;
    return (w->rows - 1) * w->b->row_step + (d->kh - 1) * d->dilation[0] + 1;
}

/* Items of packing: pieces of dy, with the first stage, and pieces or rows of x. */
static int64_t y_items(const struct fc_weight_worker *w)
{
    return w->images * fc_ceil_div(w->rows * w->cols, FC_WEIGHT_PIECE);
}

int64_t fc_weight_pack_items(const struct fc_weight_worker *w)
{
    const int64_t y = y_items(w);
    return (w->stage == 0 ? y : 0) + (w->b->by_tap ? y : w->images * x_rows_of(w));
}

void fc_weight_pack_item(const struct fc_weight_worker *w, int64_t item)
{
    const int64_t pixels = w->rows * w->cols, pieces = fc_ceil_div(pixels, FC_WEIGHT_PIECE);
    const int64_t y = w->stage == 0 ? y_items(w) : 0, own = item < y ? item : item - y;
    if (item >= y && !w->b->by_tap) {
        const int64_t rows = x_rows_of(w);
        pack_x_row(w, own / rows, own % rows);
        return;
    }
    const int64_t image = own / pieces, begin = own % pieces * FC_WEIGHT_PIECE;
    const int64_t end = fc_min(begin + FC_WEIGHT_PIECE, pixels),
                  first = w->row0 * w->b->ow + w->col0;
    (item < y ? pack_y : pack_tap)(w, w->image + image, first + begin, first + end,
                                   image * pixels + begin);
}
