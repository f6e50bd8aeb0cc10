/* The gradient of a convolution's weights by dense tiles.
 *
 * dW[k][c][tap] sums over all output pixels what dy[k] has there times what the tap saw of x[c]: a
 * product of matrices whose reduction runs over the pixels.  The kernel is the convolution's, in
 * other roles: lanes are output channels, input channels are broadcast, and what it takes for taps
 * are the pixels.  dy is packed [block][pixel][lane]; x [block][row][column][channel] with the
 * zeros of the padding, so that a tap of the window is an offset and the packed input serves them
 * all:
 *
 *   for group: for chunk: some images, or rows, or columns of one
 *       for stage: a plane of the window
 *           pack the chunk                                                  (parallel, claimed)
 *           for item: a block of lanes, one of input channels, rows of the window
 *               for tap: a tile over all pixels of the chunk                (parallel, claimed)
 *               add it to the sums, with the last chunk write them out
 *
 * With few input channels, those and the taps of a row of the window are broadcast together.  Where
 * the packed input would be much more than the pixels that are read (wide strides and dilations),
 * and for 1x1 windows, a stage is a single tap, whose pixels are packed without gaps.  There the
 * lanes may be the input channels, in whose order 1x1 weights lie.
 *
 * The cut depends on the plan alone, and so do the bits. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "ops/dense.h"
#include "ops/grad_weight.h"
#include "ops/ops.h"
#include "ops/parallel.h"

/* Packed operands of a chunk.  Tiles stream them, each block of the input once for all taps of the
 * window; with small chunks the sums would be read and written too often. */
static const int64_t CHUNK_BYTES = (int64_t)3500 << 10;
/* Output pixels of a chunk's row under which its packed input is mostly overlap. */
static const int64_t COLUMNS_LEAST = 16;
/* Packed pixels for each one of the output up to which the window's taps share them. */
static const double SHARED_MAX = 4;
/* Sums of an item, which its taps fill one after the other. */
static const int64_t SUMS_BYTES = 64 << 10;
/* Items that a stage is cut into at least, if it has rows enough. */
static const int64_t ITEMS_LEAST = 16;
/* Input channels under which tiles of them alone would idle. */
static const int64_t SPREAD_LEAST = 8;
/* What the packed operands of all threads may take where each has groups of its own. */
static const size_t APART_BYTES = (size_t)32 << 20;

/* ---- blocking ---- */

static int64_t evenly(int64_t total, int64_t most)
{
    return fc_ceil_div(total, fc_ceil_div(total, fc_max(1, most)));
}

static struct fc_weight_side lanes_of(const fc_plan *p, int64_t channels)
{
    const int64_t nr = p->family->nr, blocks = fc_ceil_div(channels, nr);
    const int64_t last = fc_tile_nr(p->family, channels - (blocks - 1) * nr);
    return (struct fc_weight_side){channels, blocks, nr, last, 0};
}

static struct fc_weight_side spread_of(int64_t channels, int64_t most)
{
    const int64_t width = evenly(channels, most);
    return (struct fc_weight_side){channels, fc_ceil_div(channels, width), width, width, 0};
}

static double packed_channels(const struct fc_weight_side *s)
{
    return (double)(s->blocks - 1) * (double)s->width + (double)s->last;
}

static int64_t window_of(const fc_plan *p)
{
    return p->desc.depth.kernel * p->desc.kh * p->desc.kw;
}

/* Vector multiply-adds of one output pixel of a group, idle ones counted. */
static double multiplies(const fc_plan *p, const struct fc_weight_blocking *b)
{
    const int64_t vl = p->family->vl, mr = p->family->mr;
    const int64_t kw = b->merged ? 1 : p->desc.kw;
    const double rows = (double)(window_of(p) / p->desc.kw * kw);
    const int64_t operands = b->merged ? p->desc.kw * b->spread.channels : b->spread.channels;
    const int64_t strips = fc_ceil_div(operands, mr);
    const double each = (double)operands / (double)strips;
    const double full = (double)(b->lanes.width / vl), last = (double)(b->lanes.last / vl);
    return rows * (double)strips *
           ((double)(b->lanes.blocks - 1) * fmax(full * each, FC_CHAINS_LEAST) +
            fmax(last * each, FC_CHAINS_LEAST));
}

static double x_pixels(const fc_plan *p, const struct fc_weight_blocking *b, double rows,
                       double cols)
{
    const fc_conv_desc *d = &p->desc;
    if (b->by_tap)
        return rows * cols;
    if (d->kh > 1)
        rows = (rows - 1) * (double)d->stride[0] + (double)(d->kh - 1) * (double)d->dilation[0] + 1;
    return rows *
           ((cols - 1) * (double)d->stride[1] + (double)(d->kw - 1) * (double)d->dilation[1] + 1);
}

static double chunk_bytes(const fc_plan *p, const struct fc_weight_blocking *b, int64_t images,
                          int64_t rows, int64_t cols)
{
    const double y = (double)rows * (double)cols, x = x_pixels(p, b, (double)rows, (double)cols);
    const double lanes = b->turned ? x : y, spread = b->turned ? y : x;
    return (double)images * (double)p->element_bytes *
           (lanes * packed_channels(&b->lanes) + spread * packed_channels(&b->spread));
}

/* How many of `total` fit, of which one takes `first` bytes and each further one `more`. */
static int64_t fitting(int64_t total, double first, double more)
{
    const double most = 1 + floor(((double)CHUNK_BYTES - first) / more);
    return most >= (double)total ? total : evenly(total, (int64_t)fmax(1, most));
}

static void cut_chunks(const fc_plan *p, struct fc_weight_blocking *b)
{
    const double image = chunk_bytes(p, b, 1, b->oh, b->ow), row = chunk_bytes(p, b, 1, 1, b->ow);
    b->images = 1;
    b->rows = b->oh;
    b->cols = b->ow;
    if (image <= (double)CHUNK_BYTES) {
        b->images = fitting(fc_max(1, p->images), image, image);
    } else if (row <= (double)CHUNK_BYTES) {
        b->rows = fitting(b->oh, row, chunk_bytes(p, b, 1, 2, b->ow) - row);
    } else {
        const double column = chunk_bytes(p, b, 1, 1, 1);
        b->rows = 1;
        b->cols = fitting(b->ow, column, chunk_bytes(p, b, 1, 1, 2) - column);
    }
    b->image_chunks = fc_ceil_div(fc_max(1, p->images), b->images);
    b->row_chunks = fc_ceil_div(b->oh, b->rows);
    b->col_chunks = fc_ceil_div(b->ow, b->cols);
    b->chunks = b->image_chunks * b->row_chunks * b->col_chunks;
}

/* Whether the taps of a window may share the packed input, chunks being cut for that. */
static int shares_input(const fc_plan *p, const struct fc_weight_blocking *b)
{
    const double pixels = (double)b->rows * (double)b->cols;
    return chunk_bytes(p, b, b->images, b->rows, b->cols) <= (double)CHUNK_BYTES &&
           b->cols >= fc_min(b->ow, COLUMNS_LEAST) &&
           x_pixels(p, b, (double)b->rows, (double)b->cols) <=
               pixels * fmax(SHARED_MAX, (double)(p->desc.kh * p->desc.kw));
}

/* Everything that the estimate needs too. */
static void shape(const fc_plan *p, struct fc_weight_blocking *b)
{
    const fc_conv_desc *d = &p->desc;
    const int64_t mr = p->family->mr;
    const int plain = window_of(p) == 1;
    *b = (struct fc_weight_blocking){.by_tap = plain, .oh = p->oh, .ow = p->ow};
    b->lanes = lanes_of(p, p->kg);
    b->spread = spread_of(d->cg, mr);
    if (!plain) {
        if (d->cg < SPREAD_LEAST && d->kw > 1 && d->dilation[1] == 1) {
            b->merged = 1;
            b->spread = spread_of(d->cg, d->cg);
        }
        cut_chunks(p, b);
        if (shares_input(p, b))
            return;
        b->by_tap = 1;
        b->merged = 0;
        b->spread = spread_of(d->cg, mr);
    }
    if (plain) {
        struct fc_weight_blocking turned = *b;
        turned.turned = 1;
        turned.lanes = lanes_of(p, d->cg);
        turned.spread = spread_of(p->kg, mr);
        if (multiplies(p, &turned) <= 1.1 * multiplies(p, b))
            *b = turned;
    }
    b->oh = 1;
    b->ow = p->oh * p->ow;
    cut_chunks(p, b);
}

static int tiles_serve(const fc_plan *p)
{
    (void)p;
    return 1;
}

static void tiles_count(const fc_plan *p, double work[FC_WORK_COUNT])
{
    const fc_conv_desc *d = &p->desc;
    struct fc_weight_blocking b;
    shape(p, &b);
    const double each = (double)d->groups * (double)p->images, vl = (double)p->family->vl;
    const double y = (double)p->oh * (double)p->ow;
    const double x = x_pixels(p, &b, (double)p->oh, (double)p->ow);
    const double stages = (double)(b.by_tap ? window_of(p) : d->depth.kernel);
    const double calls = (double)d->groups * (double)window_of(p) * (double)b.lanes.blocks *
                         (double)b.spread.blocks * (double)b.chunks;
    work[FC_WORK_TILE] += each * y * multiplies(p, &b);
    work[FC_WORK_CALL] += 2 * calls;
    work[FC_WORK_STORE] += calls * (double)b.spread.width * (double)(b.lanes.width / p->family->vl);
    work[FC_WORK_SLAB] += each * (y * (double)p->kg + stages * x * (double)d->cg) / vl;
}

/* Whether an item's only tile is its result. */
static int straight(const struct fc_weight_blocking *b)
{
    return b->chunks == 1 && b->piece_rows * b->kw == 1;
}

/* The pixels of a chunk as the kernels' taps: of a row each; of all rows when they have one. */
static fc_status list_pixels(fc_plan *p, struct fc_weight_blocking *b)
{
    const int64_t width = b->spread.width, row = b->row_step * b->x_cols * width;
    const int down = b->ow == 1;
    const int64_t rows = down ? 1 : b->rows;
    b->run_step = down ? row : p->desc.stride[1] * width;
    p->run_count = b->images * rows;
    p->runs = fc_object_new((size_t)p->run_count * sizeof *p->runs);
    if (!p->runs)
        return FC_NO_MEMORY;
    for (int64_t i = 0; i < p->run_count; i++)
        p->runs[i] =
            (struct fc_run){(int32_t)(i / rows * b->x_rows * b->x_cols * width + i % rows * row),
                            (int32_t)(down ? b->rows : b->cols)};
    return FC_OK;
}

static void cut_items(const fc_plan *p, struct fc_weight_blocking *b)
{
    const int64_t row = b->spread.width * b->kw * p->family->nr * (int64_t)p->element_bytes;
    const int64_t blocks = b->lanes.blocks * b->spread.blocks;
    const int64_t fit = fc_max(1, SUMS_BYTES / row), wanted = fc_ceil_div(ITEMS_LEAST, blocks);
    b->pieces = fc_max(fc_ceil_div(b->kh, fit), fc_min(b->kh, wanted));
    b->piece_rows = fc_ceil_div(b->kh, b->pieces);
    b->pieces = fc_ceil_div(b->kh, b->piece_rows);
}

static size_t packed_bytes(const fc_plan *p, const struct fc_weight_side *s)
{
    return fc_align((size_t)(s->blocks * s->stride) * p->element_bytes);
}

static size_t sums_bytes(const fc_plan *p, const struct fc_weight_blocking *b)
{
    return fc_align((size_t)b->sums_stride * p->element_bytes);
}

static size_t tile_bytes(const fc_plan *p)
{
    /* Whole vectors of pixels are read from a tile. */
    return fc_align((size_t)((p->family->mr + p->family->vl) * p->family->nr) * p->element_bytes);
}

static fc_status tiles_prepare(fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    struct fc_weight_blocking *b = p->blocking;
    shape(p, b);
    b->stages = b->by_tap ? window_of(p) : d->depth.kernel;
    b->kh = b->by_tap ? 1 : d->kh;
    b->kw = b->by_tap ? 1 : d->kw;
    b->row_step = d->kh == 1 ? 1 : d->stride[0];
    const int64_t y = b->rows * b->cols;
    int64_t x = y;
    b->run_step = b->spread.width;
    if (!b->by_tap) {
        b->x_rows = (b->rows - 1) * b->row_step + (d->kh - 1) * d->dilation[0] + 1;
        b->x_cols = (b->cols - 1) * d->stride[1] + (d->kw - 1) * d->dilation[1] + 1;
        x = b->x_rows * b->x_cols;
        const fc_status status = list_pixels(p, b);
        if (status)
            return status;
    }
    b->lanes.stride = b->images * (b->turned ? x : y) * b->lanes.width;
    b->spread.stride = b->images * (b->turned ? y : x) * b->spread.width;
    cut_items(p, b);
    b->sums_stride = (b->spread.width * b->piece_rows * b->kw + p->family->vl) * p->family->nr;
    /* Beyond any memory, and not to be computed with. */
    if ((double)p->desc.k * (double)p->taps * (double)(b->sums_stride * 8) > 1e18)
        return FC_NO_MEMORY;
    const size_t items = (size_t)(b->stages * b->lanes.blocks * b->spread.blocks * b->pieces);
    b->group_bytes = packed_bytes(p, &b->lanes) + packed_bytes(p, &b->spread) +
                     (b->chunks > 1 ? items * sums_bytes(p, b) : 0);
    if (d->dtype == FC_FLOAT16 || b->by_tap)
        b->row_elements = fc_max(p->family->vl * FC_WEIGHT_PIECE, fc_max(d->cg, p->kg));
    b->thread_bytes = fc_align(FC_NR_MAX * sizeof(double)) + tile_bytes(p) + sums_bytes(p, b) +
                      fc_align((size_t)b->row_elements * p->element_bytes);
    snprintf(p->blocking_text, sizeof p->blocking_text,
             "tiles of %lld %s x %d %s channels; %lld chunks of %lld x %lld x %lld pixels",
             (long long)b->spread.width, b->turned ? "output" : "input",
             (int)fc_tile_nr(p->family, b->lanes.channels), b->turned ? "input" : "output",
             (long long)b->chunks, (long long)b->images, (long long)b->rows, (long long)b->cols);
    return FC_OK;
}

/* Whether each thread takes groups of its own. */
static int works_apart(const fc_plan *p, int threads)
{
    const struct fc_weight_blocking *b = p->blocking;
    return threads > 1 && p->desc.groups >= 4 * threads &&
           b->group_bytes <= APART_BYTES / (size_t)threads;
}

static size_t tiles_scratch(const fc_plan *p, int threads)
{
    const struct fc_weight_blocking *b = p->blocking;
    return (size_t)(works_apart(p, threads) ? threads : 1) * b->group_bytes +
           (size_t)threads * b->thread_bytes;
}

/* ---- computing ---- */

/* One item: some rows of the window of a block of lanes and one of broadcast channels. */
struct item {
    int64_t lane_block, spread_block, row0, row1;
    int64_t nr, lanes, channels; /* lanes of a tile, those that count, broadcast channels */
    int64_t taps;
    char *sums; /* [channel][tap][nr] */
};

/* Rows of a tile, `every` apart, to the item's sums. */
static void add_tile(const struct fc_weight_worker *w, const struct item *t, char *tile,
                     int64_t every, int64_t rows, char *sums, int64_t step)
{
    struct fc_store store = {.tile = tile,
                             .nr = every * t->nr,
                             .pixels = rows,
                             .channels = t->nr,
                             .y = sums,
                             .y_pixel = step * t->nr,
                             .y_channel = 1,
                             .residual = w->chunk ? sums : NULL,
                             .r_pixel = step * t->nr,
                             .r_channel = 1,
                             .act = fc_act_of(FC_ACT_NONE, 0, 0)};
    w->p->family->store(&store);
}

/* The sums of an item as weights. */
static void deliver(const struct fc_weight_worker *w, const struct item *t, char *sums)
{
    const fc_plan *p = w->p;
    const struct fc_weight_blocking *b = w->b;
    const int64_t window = window_of(p), io_size = (int64_t)p->io_bytes;
    struct fc_store store = {.tile = sums,
                             .nr = t->nr,
                             .channels = t->lanes,
                             .act = fc_act_of(FC_ACT_NONE, 0, 0),
                             .half = p->desc.dtype == FC_FLOAT16};
    const int64_t lane = t->lane_block * b->lanes.width, c0 = t->spread_block * b->spread.width;
    char *const weights = (char *)w->io->grad_weight + w->group * p->kg * p->taps * io_size;
    if (b->turned) {
        store.pixels = t->channels;
        store.y = weights + (c0 * p->taps + lane) * io_size;
        store.y_pixel = p->taps;
        store.y_channel = 1;
        p->family->store(&store);
        return;
    }
    const int64_t first = w->stage * b->kh * b->kw + t->row0 * b->kw;
    const int whole = t->taps == window; /* then channels follow each other */
    store.y_pixel = 1;
    store.y_channel = p->taps;
    store.pixels = whole ? t->channels * window : t->taps;
    for (int64_t c = 0; c < (whole ? 1 : t->channels); c++) {
        store.tile = sums + c * t->taps * t->nr * (int64_t)p->element_bytes;
        store.y = weights + (lane * p->taps + (c0 + c) * window + first) * io_size;
        p->family->store(&store);
    }
}

static void compute_item(const struct fc_weight_worker *w, int64_t index)
{
    const fc_plan *p = w->p;
    const struct fc_weight_blocking *b = w->b;
    const fc_conv_desc *d = &p->desc;
    const int64_t size = (int64_t)p->element_bytes;
    const int64_t piece = index % b->pieces, block = index / b->pieces;
    struct item t = {.lane_block = block / b->spread.blocks,
                     .spread_block = block % b->spread.blocks};
    t.row0 = piece * b->piece_rows;
    t.row1 = fc_min(t.row0 + b->piece_rows, b->kh);
    t.taps = (t.row1 - t.row0) * b->kw;
    t.nr = t.lane_block + 1 == b->lanes.blocks ? b->lanes.last : b->lanes.width;
    t.lanes = fc_min(t.nr, b->lanes.channels - t.lane_block * b->lanes.width);
    t.channels = fc_min(b->spread.width, b->spread.channels - t.spread_block * b->spread.width);
    const int64_t items = b->lanes.blocks * b->spread.blocks * b->pieces;
    t.sums = b->chunks == 1 ? w->own_sums
                            : w->sums + (w->stage * items + index) * (int64_t)sums_bytes(p, b);

    const int64_t pixels = w->rows * w->cols;
    const struct fc_run run = {0, (int32_t)(b->by_tap ? w->images * pixels : pixels)};
    const int single = b->by_tap || w->cols < b->cols || (b->ow == 1 && w->rows < b->rows);
    struct fc_dense dense = {.w = w->lanes + t.lane_block * b->lanes.stride * size,
                             .bias = w->zeros,
                             .tile = w->tile,
                             .runs = single ? &run : p->runs,
                             .run_count = single       ? 1
                                          : b->ow == 1 ? w->images
                                                       : w->images * w->rows,
                             .step = b->run_step,
                             .prefetch = w->zeros};
    const char *x = w->spread + t.spread_block * b->spread.stride * size;
    const int64_t width = b->spread.width;
    for (int64_t i = t.row0; i < t.row1; i++) {
        const int64_t row = b->by_tap ? 0 : i * d->dilation[0] * b->x_cols;
        char *const sums = t.sums + (i - t.row0) * b->kw * t.nr * size;
        for (int64_t j = 0; !b->merged && j < b->kw; j++) {
            dense.x = x + (row + (b->by_tap ? 0 : j * d->dilation[1])) * width * size;
            fc_tile_kernel(p->family, t.nr, 1, t.channels)(&dense);
            if (!straight(b))
                add_tile(w, &t, w->tile, 1, t.channels, sums + j * t.nr * size, t.taps);
        }
        /* Broadcast together: tap by tap all channels. */
        const int64_t operands = b->merged ? b->kw * width : 0;
        const int64_t strips = fc_ceil_div(operands, p->family->mr);
        for (int64_t strip = 0; strip < strips; strip++) {
            const int64_t begin = operands * strip / strips;
            const int64_t end = operands * (strip + 1) / strips;
            dense.x = x + (row * width + begin) * size;
            fc_tile_kernel(p->family, t.nr, 1, end - begin)(&dense);
            for (int64_t u = begin; u < fc_min(end, begin + width); u++)
                add_tile(w, &t, w->tile + (u - begin) * t.nr * size, width,
                         fc_ceil_div(end - u, width),
                         sums + (u % width * t.taps + u / width) * t.nr * size, 1);
        }
    }
    if (w->chunk + 1 == b->chunks)
        deliver(w, &t, straight(b) ? w->tile : t.sums);
}

/* ---- running ---- */

static void run_stage(const struct fc_weight_worker *w)
{
    const int64_t packs = fc_weight_pack_items(w);
    const int64_t items = w->b->lanes.blocks * w->b->spread.blocks * w->b->pieces;
    if (!w->member) {
        for (int64_t i = 0; i < packs; i++)
            fc_weight_pack_item(w, i);
        for (int64_t i = 0; i < items; i++)
            compute_item(w, i);
        return;
    }
    const double seconds =
        w->p->seconds / (double)(w->p->desc.groups * w->b->chunks * w->b->stages);
    struct fc_items packing = fc_begin(w->member, packs, 1);
    for (int64_t i; (i = fc_next(&packing)) >= 0;)
        fc_weight_pack_item(w, i);
    fc_meet(w->member);
    struct fc_items computing =
        fc_begin(w->member, items, fc_claim(seconds, items, w->io->threads));
    for (int64_t i; (i = fc_next(&computing)) >= 0;)
        compute_item(w, i);
    fc_meet(w->member);
}

static void run_group(struct fc_weight_worker *w, int64_t group)
{
    const struct fc_weight_blocking *b = w->b;
    w->group = group;
    for (w->chunk = 0; w->chunk < b->chunks; w->chunk++) {
        w->col0 = w->chunk % b->col_chunks * b->cols;
        w->row0 = w->chunk / b->col_chunks % b->row_chunks * b->rows;
        w->image = w->chunk / b->col_chunks / b->row_chunks * b->images;
        w->cols = fc_min(b->cols, b->ow - w->col0);
        w->rows = fc_min(b->rows, b->oh - w->row0);
        w->images = fc_min(b->images, w->p->images - w->image);
        for (w->stage = 0; w->stage < b->stages; w->stage++)
            run_stage(w);
    }
}

struct job {
    const fc_plan *p;
    const struct fc_weight_io *io;
    int apart;
};

static void run_member(const void *arg, struct fc_member *me)
{
    const struct job *const job = arg;
    const fc_plan *const p = job->p;
    const struct fc_weight_io *const io = job->io;
    const struct fc_weight_blocking *b = p->blocking;
    const size_t thread = (size_t)me->thread, owners = job->apart ? (size_t)io->threads : 1;
    struct fc_weight_worker w = {.p = p, .b = b, .io = io};
    w.lanes = io->scratch + (job->apart ? thread * b->group_bytes : 0);
    w.spread = w.lanes + packed_bytes(p, &b->lanes);
    w.sums = w.spread + packed_bytes(p, &b->spread);
    w.zeros = io->scratch + owners * b->group_bytes + thread * b->thread_bytes;
    w.tile = w.zeros + fc_align(FC_NR_MAX * sizeof(double));
    w.own_sums = w.tile + tile_bytes(p);
    w.row = w.own_sums + sums_bytes(p, b);
    memset(w.zeros, 0, FC_NR_MAX * sizeof(double));
    if (io->threads > 1 && !job->apart) {
        w.member = me;
        for (int64_t g = 0; g < p->desc.groups; g++)
            run_group(&w, g);
    } else {
        struct fc_items groups = fc_begin(me, p->desc.groups, 1);
        for (int64_t g; (g = fc_next(&groups)) >= 0;)
            run_group(&w, g);
    }
}

static void tiles_run(const fc_plan *p, const struct fc_weight_io *io)
{
    const struct fc_weight_blocking *b = p->blocking;
    const struct job job = {p, io, works_apart(p, io->threads)};
    const size_t lanes_bytes = packed_bytes(p, &b->lanes);
    const size_t owners = job.apart ? (size_t)io->threads : 1;
    /* Idle lanes are computed and dropped: no denormals in them, which are slow. */
    if (b->lanes.channels - (b->lanes.blocks - 1) * b->lanes.width < b->lanes.last)
        for (size_t owner = 0; owner < owners; owner++) {
            const size_t last =
                (size_t)((b->lanes.blocks - 1) * b->lanes.stride) * p->element_bytes;
            memset(io->scratch + owner * b->group_bytes + last, 0, lanes_bytes - last);
        }
    fc_together(io->threads, run_member, &job);
}

const struct fc_weight_way fc_weight_tiles = {
    .name = "tiles",
    .serves = tiles_serve,
    .count = tiles_count,
    .blocking_bytes = sizeof(struct fc_weight_blocking),
    .prepare = tiles_prepare,
    .scratch = tiles_scratch,
    .run = tiles_run,
};
