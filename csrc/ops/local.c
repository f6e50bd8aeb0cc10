/* Layers without shared weights: every output pixel has a matrix of its own, k rows of as many
 * weights as its window has elements.  A dense layer is the one with a single pixel.
 *
 * Weights are read once, in their own order, and never packed: with few images they are most of
 * what is read.  An item is a block of one pixel's rows for a block of images, whose windows are
 * copied side by side first, unless they stand so already. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "ops/elements.h"
#include "ops/ops.h"
#include "ops/parallel.h"
#include "ops/target.h"

/* Images whose windows and partial sums stay in L2 and L1 while the weights pass. */
static const int64_t COLUMNS_BYTES = 256 << 10, IMAGES_MAX = 32;
/* Of an item's weights: a few microseconds' reading, and no less than a turn of the kernel. */
static const int64_t ITEM_BYTES = 1 << 20, ITEM_ROWS_MAX = 256;
/* Elements of the rows that stay in L1 while more than two columns pass: 16 KB of floats. */
static const int64_t CHUNK = 1024;
/* For the number of threads alone: what one of them reads and multiplies, in the order of the
 * machines at hand. */
static const double READ_BYTES = 30e9, FLOPS = 60e9;

/* Whether the elements of a window are neighbours, as the kernels want them. */
static int stands_ready(const fc_local_plan *p)
{
    const fc_local_desc *d = &p->desc;
    return d->dtype != FC_FLOAT16 && d->channels_last && d->kh == 1 && d->kw == 1 && !d->pad[0] &&
           !d->pad[1] && !d->pad[2] && !d->pad[3];
}

/* Where each part of a worker's scratch begins, and where the last one ends. */
struct layout {
    size_t columns, window, rows, partial, bias, tile, end;
};

static struct layout layout_of(const fc_local_plan *p)
{
    const int half = p->desc.dtype == FC_FLOAT16;
    const int64_t size = (int64_t)p->element_bytes;
    const int64_t images = fc_ceil_div(p->item_images, FC_DOT_COLUMNS) * FC_DOT_COLUMNS;
    struct layout l = {0};
    l.window = stands_ready(p) ? 0 : fc_align((size_t)(p->item_images * p->length * size));
    l.rows = l.window + (half ? fc_align((size_t)p->length * p->io_bytes) : 0);
    l.partial = l.rows + (half ? fc_align((size_t)(FC_DOT_ROWS * p->length * size)) : 0);
    l.bias = l.partial + fc_align((size_t)(images * FC_DOT_ROWS * p->family->vl * size));
    l.tile = l.bias + fc_align((size_t)(p->item_rows * size));
    /* The store kernel may read a vector past the last row. */
    l.end = l.tile + fc_align((size_t)((p->item_images * p->item_rows + p->family->vl) * size));
    return l;
}

void fc_local_prepare(fc_local_plan *p)
{
    const fc_local_desc *d = &p->desc;
    const int64_t row = p->length * (int64_t)p->element_bytes;
    const int64_t rows = fc_ceil_div(fc_min(d->k, ITEM_ROWS_MAX), FC_DOT_ROWS) * FC_DOT_ROWS;
    p->item_rows = fc_min(rows, fc_ceil_div(ITEM_BYTES, row * FC_DOT_ROWS) * FC_DOT_ROWS);
    p->item_images = fc_max(1, fc_min(fc_min(d->n, IMAGES_MAX), COLUMNS_BYTES / row));
    p->scratch_bytes = layout_of(p).end;
    p->seconds = (double)(p->oh * p->ow) * (double)d->k * (double)p->length * (double)p->io_bytes /
                     READ_BYTES +
                 (double)p->flops / FLOPS;
    snprintf(p->blocking_text, sizeof p->blocking_text, "blocks of %lld rows and %lld images",
             (long long)p->item_rows, (long long)p->item_images);
}

/* The window of output pixel (i, j) in one image, as (channel, row, column), zeros outside. */
static void copy_window(const fc_local_plan *p, const fc_array *x, int64_t image, int64_t i,
                        int64_t j, char *dst)
{
    const fc_local_desc *d = &p->desc;
    const struct fc_axis height = {d->h, d->pad[0], d->kh, d->stride[0], d->dilation[0]};
    const struct fc_axis width = {d->w, d->pad[2], d->kw, d->stride[1], d->dilation[1]};
    const struct fc_span rows = fc_span_at(&height, i), columns = fc_span_at(&width, j);
    const int64_t size = (int64_t)p->io_bytes, window = d->kh * d->kw;
    if (rows.count * columns.count < window)
        memset(dst, 0, (size_t)(p->length * size));
    if (rows.count == 0 || columns.count == 0)
        return;
    const int64_t row0 = fc_span_tap(&height, i, rows);
    const int64_t column0 = fc_span_tap(&width, j, columns);
    const char *src =
        (const char *)x->data + (image * x->n + rows.first * x->h + columns.first * x->w) * size;
    /* Steps that are never taken may be too large to compute. */
    const int64_t row_step = rows.count > 1 ? d->dilation[0] * x->h : 0;
    const int64_t column_step = columns.count > 1 ? d->dilation[1] * x->w : 0;
    const int64_t channel_step = d->c > 1 ? x->c : 0;
    struct fc_elements e = {.dst = dst + (row0 * d->kw + column0) * size, .src = src};
    /* The longer of channels and columns in the inner loop. */
    if (columns.count < d->c) {
        e.rows = columns.count, e.dst_row = size, e.src_row = column_step * size;
        e.count = d->c, e.dst_step = window * size, e.src_step = channel_step * size;
    } else {
        e.rows = d->c, e.dst_row = window * size, e.src_row = channel_step * size;
        e.count = columns.count, e.dst_step = size, e.src_step = column_step * size;
    }
    for (int64_t r = 0; r < rows.count; r++, e.src += row_step * size, e.dst += d->kw * size)
        fc_copy_elements(&e, p->io_bytes);
}

/* What one thread works with. */
struct worker {
    const fc_local_plan *p;
    const struct fc_local_io *io;
    char *columns, *window, *rows, *partial, *bias, *tile;
    int64_t held; /* the block of windows in `columns`, -1 for none */
};

/* Rows row0 ... of one output pixel, for images image0 ... */
struct item {
    int64_t block, pixel, image0, images, row0, rows;
};

/* The windows of the item's images, `*step` elements apart. */
static const char *columns_of(struct worker *w, const struct item *t, int64_t *step)
{
    const fc_local_plan *p = w->p;
    const fc_local_desc *d = &p->desc;
    const fc_array *x = &w->io->x;
    const int64_t i = t->pixel / p->ow, j = t->pixel % p->ow;
    if (stands_ready(p)) {
        *step = x->n;
        return (const char *)x->data +
               (t->image0 * x->n + i * d->stride[0] * x->h + j * d->stride[1] * x->w) *
                   (int64_t)p->io_bytes;
    }
    *step = p->length;
    for (int64_t image = 0; w->held != t->block && image < t->images; image++) {
        char *column = w->columns + image * p->length * (int64_t)p->element_bytes;
        if (d->dtype != FC_FLOAT16) {
            copy_window(p, x, t->image0 + image, i, j, column);
        } else {
            copy_window(p, x, t->image0 + image, i, j, w->window);
            p->kernels->half_to_float((const uint16_t *)w->window, (float *)column, p->length);
        }
    }
    w->held = t->block;
    return w->columns;
}

static void load_bias(const struct worker *w, const struct item *t)
{
    const fc_local_plan *p = w->p;
    memset(w->bias, 0, (size_t)p->item_rows * p->element_bytes);
    if (!w->io->bias)
        return;
    const int64_t at = t->row0 + (p->desc.bias_per_pixel ? t->pixel * p->desc.k : 0);
    const char *bias = (const char *)w->io->bias + at * (int64_t)p->io_bytes;
    if (p->desc.dtype == FC_FLOAT16)
        p->kernels->half_to_float((const uint16_t *)bias, (float *)w->bias, t->rows);
    else
        memcpy(w->bias, bias, (size_t)t->rows * p->io_bytes);
}

/* Weights of the rows j, j + step, ... of the item, the last one in place of those past it. */
static void find_rows(const struct worker *w, const struct item *t, int64_t j, int64_t step,
                      const char *rows[FC_DOT_ROWS])
{
    const fc_local_plan *p = w->p;
    const int64_t first = t->pixel * p->desc.k + t->row0;
    for (int64_t i = 0; i < FC_DOT_ROWS; i++) {
        const int64_t row = first + fc_min(j + i * step, t->rows - 1);
        rows[i] = (const char *)w->io->weight + row * p->length * (int64_t)p->io_bytes;
        if (p->desc.dtype == FC_FLOAT16) {
            float *converted = (float *)w->rows + i * p->length;
            p->kernels->half_to_float((const uint16_t *)rows[i], converted, p->length);
            rows[i] = (const char *)converted;
        }
    }
}

static void run_item(struct worker *w, const struct item *t)
{
    const fc_local_plan *p = w->p;
    const fc_array *y = &w->io->y, *r = &w->io->residual;
    const int64_t size = (int64_t)p->element_bytes, vl = p->family->vl;
    const int64_t chunk = t->images > FC_DOT_COLUMNS ? CHUNK : p->length;
    /* Rows that go together are this far apart, so that each continues where the last one of its
     * kind ended: 4096 rows of 4096 floats took 0.92 of the time of neighbours. */
    const int64_t apart = fc_ceil_div(t->rows, FC_DOT_ROWS);
    int64_t step;
    const char *columns = columns_of(w, t, &step);
    load_bias(w, t);
    for (int64_t j = 0; j < apart; j++) {
        const char *rows[FC_DOT_ROWS];
        find_rows(w, t, j, apart, rows);
        memset(w->partial, 0, (size_t)((char *)w->bias - w->partial));
        for (int64_t at = 0; at < p->length; at += chunk) {
            const int64_t length = fc_min(chunk, p->length - at);
            const void *from[FC_DOT_ROWS];
            for (int i = 0; i < FC_DOT_ROWS; i++)
                from[i] = rows[i] + at * size;
            for (int64_t s = 0; s < t->images; s += FC_DOT_COLUMNS) {
                const void *beside[FC_DOT_COLUMNS]; /* the last one in place of those past it */
                for (int i = 0; i < FC_DOT_COLUMNS; i++)
                    beside[i] = columns + (fc_min(s + i, t->images - 1) * step + at) * size;
                p->family->dots(from, beside, length, w->partial + s * FC_DOT_ROWS * vl * size);
            }
        }
        for (int64_t s = 0; s < t->images; s++)
            p->family->dots_finish(w->partial + s * FC_DOT_ROWS * vl * size, w->bias + j * size,
                                   w->tile + (s * p->item_rows + j) * size, apart);
    }
    const int64_t i = t->pixel / p->ow, q = t->pixel % p->ow, io = (int64_t)p->io_bytes;
    const struct fc_store store = {
        .tile = w->tile,
        .nr = p->item_rows,
        .pixels = t->images,
        .channels = t->rows,
        .y = (char *)y->data + (t->image0 * y->n + i * y->h + q * y->w + t->row0) * io,
        .y_pixel = y->n,
        .y_channel = 1,
        .residual = r->data ? (const char *)r->data +
                                  (t->image0 * r->n + i * r->h + q * r->w + t->row0) * io
                            : NULL,
        .r_pixel = r->n,
        .r_channel = 1,
        .act = fc_last_act(&p->desc.activation),
        .half = p->desc.dtype == FC_FLOAT16};
    p->family->store(&store);
}

struct job {
    const fc_local_plan *p;
    const struct fc_local_io *io;
};

static void run_share(const void *arg, struct fc_items *items)
{
    const struct job *const job = arg;
    const fc_local_plan *const p = job->p;
    const int64_t row_blocks = fc_ceil_div(p->desc.k, p->item_rows);
    const int64_t image_blocks = fc_ceil_div(p->desc.n, p->item_images);
    const struct layout l = layout_of(p);
    char *const own = job->io->scratch + (size_t)items->thread * p->scratch_bytes;
    struct worker w = {.p = p,
                       .io = job->io,
                       .columns = own + l.columns,
                       .window = own + l.window,
                       .rows = own + l.rows,
                       .partial = own + l.partial,
                       .bias = own + l.bias,
                       .tile = own + l.tile,
                       .held = -1};
    for (int64_t i; (i = fc_next(items)) >= 0;) {
        struct item t = {.block = i / row_blocks, .row0 = i % row_blocks * p->item_rows};
        t.pixel = t.block / image_blocks;
        t.image0 = t.block % image_blocks * p->item_images;
        t.images = fc_min(p->item_images, p->desc.n - t.image0);
        t.rows = fc_min(p->item_rows, p->desc.k - t.row0);
        run_item(&w, &t);
    }
}

void fc_local_run_items(const fc_local_plan *p, const struct fc_local_io *io)
{
    const int64_t row_blocks = fc_ceil_div(p->desc.k, p->item_rows);
    const int64_t image_blocks = fc_ceil_div(p->desc.n, p->item_images);
    const int64_t items = p->oh * p->ow * image_blocks * row_blocks;
    const struct job job = {p, io};
    fc_share(io->threads, items, fc_claim(p->seconds, items, io->threads), run_share, &job);
}
