/* Winograd convolution: fewer multiplications for more additions (contracts of the transforms:
 * struct fc_wino_input and its kin).
 *
 *   for block: some tiles of one or more images               (parallel, claimed)
 *       V = B^T d B of every tile and input channel
 *       for some blocks of output channels
 *           for point: for block of channels: M = V U by dense tiles
 *           A^T M A, bias and epilogue
 *
 * A tile's pixels are broadcast and output channels are the lanes, so the products are dense tiles
 * with one run of taps, the input channels.  Blocks that do not divide evenly among the threads are
 * cut by output channels, and V is computed by each thread that has a part: to read it from another
 * one's cache took as long or, on two far cores of Zen 5, up to twice as long.
 *
 * A dilated window sees each phase of the dilation as an image of its own; the phases of a row are
 * packed side by side (struct fc_slab) and their results interleaved before they are stored.
 *
 * A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks, 2016. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "ops/dense.h"
#include "ops/ops.h"
#include "ops/parallel.h"
#include "ops/planes.h"
#include "ops/slab.h"
#include "ops/target.h"
#include "ops/weights.h"

/* Tiles of a block: a whole number of AVX-512's register tiles of 14, and of tile rows of images
 * 28, 56, 112 and 224 wide; half of them where V and M would leave too little of L2 to the weights
 * (64 and 128 channels with an L2 of 1 MB: 1.07 to 1.14 times as fast).  Fewer than TILES_LEAST
 * would read the weights too often. */
enum { TILES_WANTED = 56, TILES_LEAST = 24 };

/* V, and M of all groups together, where they cannot stay in L2: a thread may use 10 MB. */
static const int64_t V_BYTES_MAX = 5 << 20, M_BYTES_MAX = 4 << 20;

/* Channels that are packed at once where the input cannot be read in place: a vector of them is
 * what a transpose takes. */
enum { SLAB_CHANNELS = 16 };

/* Phases of a dilation beside each other in a slab. */
enum { DILATION_MAX = 16 };

/* More transformed weights than that overflow a size in bytes. */
static const double WEIGHTS_MAX = 0x1p60;

/* Pixels that leave at once: 32 of 32 channels are 4 KB a row. */
enum { STRIP_PIXELS = 32 };

/* With so many blocks for each thread, one more for some of them counts for little.  Fewer are cut
 * into this many times the parts that divide evenly: one that is held up holds up little. */
static const int64_t BLOCKS_PER_THREAD = 8, PARTS_TIMES = 2;

/* Points at the same place of neighbouring planes would compete for the same sets of L1. */
enum { POINT_PADDING = 16 };

struct winograd_blocking {
    const struct fc_wino *wino;
    int64_t points;               /* squared: of both axes */
    int64_t phases[2];            /* of the dilation, that have outputs */
    int64_t grid_rows, grid_cols; /* tiles of an image's phase */
    int64_t images, rows, cols;   /* of a block: more than one image only if they are whole */
    int64_t tiles;                /* of a block, all its images and phases of a row together */
    int64_t blocks;               /* of nr output channels in a group of the convolution */
    int64_t group_blocks;         /* whose products are held at once */
    int64_t v_point, m_point;     /* elements */
    int64_t strip;                /* tiles of an output strip */
    int64_t slab_width;           /* 0: the input is read in place */
    size_t v_bytes, m_bytes, slab_bytes, row_bytes, out_bytes;
};

/* ---- planning ---- */

static const char *supports(const fc_plan *p, const struct fc_wino *wino, int64_t r,
                            const char *wrong_window)
{
    const fc_conv_desc *d = &p->desc;
    if (d->dtype == FC_FLOAT64)
        return "it computes in float32";
    if (!wino)
        return "this level has no vectors for it";
    if (d->stride[0] != 1 || d->stride[1] != 1)
        return "it takes stride 1";
    if (d->dilation[0] > DILATION_MAX || d->dilation[1] > DILATION_MAX)
        return "it takes dilations up to 16";
    if (d->kh != r || d->kw != r)
        return wrong_window;
    const int64_t points = (wino->m + r - 1) * (wino->m + r - 1);
    if (p->channels > V_BYTES_MAX / (points * (int64_t)sizeof(float)) / DILATION_MAX)
        return "its transformed input does not fit 5 MB";
    /* Each channel may stand for a block of nr at most. */
    if ((double)d->k * (double)p->channels * (double)points * p->family->nr > WEIGHTS_MAX)
        return "its transformed weights are larger than any memory";
    return NULL;
}

static const char *supports_43(const fc_plan *p)
{
    return supports(p, p->family->wino_43, 3, "it takes 3x3 windows");
}
static const char *supports_23(const fc_plan *p)
{
    return supports(p, p->family->wino_23, 3, "it takes 3x3 windows");
}
static const char *supports_25(const fc_plan *p)
{
    return supports(p, p->family->wino_25, 5, "it takes 5x5 windows");
}

/* `count` cut into the fewest equal parts of at most `most`. */
static int64_t even_part(int64_t count, int64_t most)
{
    return fc_ceil_div(count, fc_ceil_div(count, fc_max(1, fc_min(most, count))));
}

/* Cuts the grid into equal blocks of at most `tiles` tiles. */
static void cut_grid(const fc_plan *p, struct winograd_blocking *b, int64_t tiles)
{
    const int64_t row_tiles = b->grid_cols * b->phases[1];
    b->images = 1;
    b->cols = even_part(b->grid_cols, tiles / b->phases[1]);
    b->rows = b->cols < b->grid_cols ? 1 : even_part(b->grid_rows, tiles / row_tiles);
    if (b->cols == b->grid_cols && b->rows == b->grid_rows)
        b->images = even_part(fc_max(p->images, 1), tiles / (row_tiles * b->rows));
    b->tiles = b->images * b->phases[1] * b->rows * b->cols;
}

/* Fills in all of a blocking but wino, which is set. */
static void find_blocks(const fc_plan *p, struct winograd_blocking *b)
{
    const fc_conv_desc *d = &p->desc;
    const int64_t m = b->wino->m, halo = b->wino->r - 1, nr = p->family->nr;
    const int64_t size = (int64_t)sizeof(float);
    b->points = (m + halo) * (m + halo);
    b->phases[0] = fc_min(d->dilation[0], p->oh);
    b->phases[1] = fc_min(d->dilation[1], p->ow);
    b->grid_rows = fc_ceil_div(fc_ceil_div(p->oh, d->dilation[0]), m);
    b->grid_cols = fc_ceil_div(fc_ceil_div(p->ow, d->dilation[1]), m);
    b->blocks = fc_ceil_div(p->kg, nr);

    /* V stays in L2, and beside it M of as many blocks of channels as a quarter of L2 takes, whose
     * weights are read in one long stretch; or, with so many channels that few tiles would fit, one
     * point of V stays there, and M is held for all. */
    const int64_t tile_bytes = b->points * p->channels * size;
    int64_t tiles = p->l2_bytes * 9 / 10 / tile_bytes, held_bytes = p->l2_bytes / 4;
    int64_t wanted = TILES_WANTED;
    if (tiles < TILES_LEAST) {
        tiles = fc_max(1, V_BYTES_MAX / tile_bytes);
        held_bytes = M_BYTES_MAX;
    } else if (wanted * b->points * (p->channels + nr) * size > p->l2_bytes * 6 / 10) {
        wanted /= 2;
    }
    cut_grid(p, b, fc_min(tiles, wanted));
    /* What equal parts leave of half a block may be too little. */
    if (wanted < TILES_WANTED && b->tiles < TILES_LEAST)
        cut_grid(p, b, fc_min(tiles, TILES_WANTED));

    b->v_point = p->channels * b->tiles + POINT_PADDING;
    b->m_point = b->tiles * nr + POINT_PADDING;
    const int64_t m_bytes = b->points * b->m_point * size;
    b->group_blocks = even_part(b->blocks, held_bytes / m_bytes);
    b->v_bytes = fc_align((size_t)(b->points * b->v_point * size));
    b->m_bytes = fc_align((size_t)(b->group_blocks * m_bytes));

    const int in_place = !d->channels_last && d->dilation[1] == 1 && d->dtype != FC_FLOAT16;
    b->slab_width = in_place ? 0 : b->cols * m + halo;
    b->slab_bytes = fc_align(
        (size_t)((b->rows * m + halo) * SLAB_CHANNELS * d->dilation[1] * b->slab_width * size));
    const int64_t row = b->slab_width * d->dilation[1] * (d->channels_last ? SLAB_CHANNELS : 1);
    b->row_bytes = d->dtype == FC_FLOAT16 ? fc_align((size_t)(row * size)) : 0;
    b->strip = fc_max(1, fc_min(b->cols, STRIP_PIXELS / (m * d->dilation[1])));
    const int64_t out_row = (b->strip * m * d->dilation[1] + p->family->vl) * nr;
    b->out_bytes = fc_align((size_t)(m * out_row * size));
}

static fc_status prepare(fc_plan *p, const struct fc_wino *wino)
{
    const fc_conv_desc *d = &p->desc;
    struct winograd_blocking *b = p->blocking;
    const int64_t size = (int64_t)sizeof(float);
    b->wino = wino;
    find_blocks(p, b);
    p->packed_bytes =
        fc_align((size_t)(d->groups * b->points * p->channels * fc_tile_channels(p) * size));
    p->scratch_bytes = b->v_bytes + b->m_bytes + b->slab_bytes + b->row_bytes + b->out_bytes;
    snprintf(p->blocking_text, sizeof p->blocking_text,
             "F(%d, %d), blocks of %lld tiles (%lld x %lld of %lld x %lld), %lld of %lld channel "
             "blocks at once",
             wino->m, wino->r, (long long)b->tiles, (long long)b->rows, (long long)b->cols,
             (long long)b->grid_rows, (long long)b->grid_cols, (long long)b->group_blocks,
             (long long)b->blocks);
    return FC_OK;
}

static fc_status prepare_43(fc_plan *p)
{
    return prepare(p, p->family->wino_43);
}
static fc_status prepare_23(fc_plan *p)
{
    return prepare(p, p->family->wino_23);
}
static fc_status prepare_25(fc_plan *p)
{
    return prepare(p, p->family->wino_25);
}

/* U: [group][point][block][c][nr]. */
static int64_t packed_at(const fc_plan *p, int64_t group, int64_t point, int64_t block)
{
    const struct winograd_blocking *b = p->blocking;
    const int64_t channels = (group * b->points + point) * fc_tile_channels(p);
    return (channels + block * p->family->nr) * p->channels;
}

/* Points lie so far apart that their lines would compete for the same sets of every cache: some
 * channels are transformed in L1 and leave in longer stretches. */
static void pack_block(const fc_plan *p, const float *weight, int64_t group, int64_t block,
                       float *packed)
{
    enum { CHANNELS = 8 };
    float stretch[36 * CHANNELS * FC_NR_MAX], gathered[25 * FC_NR_MAX];
    const fc_conv_desc *d = &p->desc;
    const struct winograd_blocking *b = p->blocking;
    const int64_t window = d->kh * d->kw, first = block * p->family->nr;
    struct fc_wino_weights w = {.src_k = d->transposed ? window : p->taps,
                                .channels = fc_min(p->family->nr, p->kg - first),
                                .nr = fc_block_nr(p, block)};
    w.point = CHANNELS * w.nr;
    for (int64_t c0 = 0; c0 < p->channels; c0 += CHANNELS) {
        const int64_t count = fc_min(CHANNELS, p->channels - c0);
        for (int64_t c = 0; c < count; c++) {
            const int64_t at = fc_weight_channel(p, c0 + c) * window;
            w.src = weight + (group * p->kg + first) * p->taps + at;
            if (d->transposed) {
                fc_weights_gather(p, weight, group, first, w.channels, at, window, gathered);
                w.src = gathered;
            }
            w.dst = stretch + c * w.nr;
            b->wino->weights(&w);
        }
        for (int64_t point = 0; point < b->points; point++)
            memcpy(packed + packed_at(p, group, point, block) + c0 * w.nr,
                   stretch + point * w.point, (size_t)(count * w.nr) * sizeof(float));
    }
}

struct packing {
    const fc_plan *p;
    const float *weight;
    float *packed;
};

static void pack_share(const void *job, struct fc_items *items)
{
    const struct packing *const w = job;
    const struct winograd_blocking *b = w->p->blocking;
    for (int64_t i; (i = fc_next(items)) >= 0;)
        pack_block(w->p, w->weight, i / b->blocks, i % b->blocks, w->packed);
}

static void pack(const fc_plan *p, const void *weight, void *packed, int threads)
{
    const struct winograd_blocking *b = p->blocking;
    const struct packing w = {p, weight, packed};
    fc_share(threads, p->desc.groups * b->blocks, 1, pack_share, &w);
}

/* ---- running ---- */

/* A block of tiles: rows and columns of tiles of the same phase of the rows, in some images. */
struct block {
    int64_t image, images, group, phase;
    int64_t row, rows, col, cols;
    int64_t tiles;
};

static int64_t count_blocks(const fc_plan *p)
{
    const struct winograd_blocking *b = p->blocking;
    return fc_ceil_div(p->images, b->images) * p->desc.groups * b->phases[0] *
           fc_ceil_div(b->grid_rows, b->rows) * fc_ceil_div(b->grid_cols, b->cols);
}

static struct block block_at(const fc_plan *p, int64_t index)
{
    const struct winograd_blocking *b = p->blocking;
    const int64_t across = fc_ceil_div(b->grid_cols, b->cols);
    const int64_t down = fc_ceil_div(b->grid_rows, b->rows);
    struct block k;
    k.col = index % across * b->cols;
    index /= across;
    k.row = index % down * b->rows;
    index /= down;
    k.phase = index % b->phases[0];
    index /= b->phases[0];
    k.group = index % p->desc.groups;
    k.image = index / p->desc.groups * b->images;
    k.images = fc_min(b->images, p->images - k.image);
    k.rows = fc_min(b->rows, b->grid_rows - k.row);
    k.cols = fc_min(b->cols, b->grid_cols - k.col);
    k.tiles = k.images * b->phases[1] * k.rows * k.cols;
    return k;
}

/* A thread's memory. */
struct work {
    float *v, *m, *slab, *row, *out;
};

static struct work work_of(const fc_plan *p, char *scratch)
{
    const struct winograd_blocking *b = p->blocking;
    struct work w;
    w.v = (float *)scratch;
    w.m = (float *)(scratch += b->v_bytes);
    w.slab = (float *)(scratch += b->m_bytes);
    w.row = (float *)(scratch += b->slab_bytes);
    w.out = (float *)(scratch += b->row_bytes);
    return w;
}

/* V of channels [c0, c1) of one image, all of one plane's, whose first tile in the block is `tile`.
 */
static void transform_plane(const fc_plan *p, const struct fc_conv_io *io, const struct block *k,
                            const struct work *work, int64_t image, int64_t tile, int64_t c0,
                            int64_t c1)
{
    const fc_conv_desc *d = &p->desc;
    const struct winograd_blocking *b = p->blocking;
    const int64_t m = b->wino->m, halo = b->wino->r - 1, io_size = (int64_t)p->io_bytes;
    const int64_t dh = d->dilation[0], dw = d->dilation[1];
    /* The block's first input row, and which of its rows, a dilation apart, the image has. */
    const int64_t ih = k->phase - d->pad[0] + dh * k->row * m, left = d->pad[2] - dw * k->col * m;
    const int64_t rows = k->rows * m + halo;
    const char *plane = fc_input_plane(p, &io->x, image, c0 / d->cg);
    const char *src = (plane ? plane : (const char *)io->x.data) +
                      ((k->group * d->cg + c0 % d->cg) * io->x.c + ih * io->x.h) * io_size;
    struct fc_wino_input t = {.row0 = plane && ih < 0 ? fc_ceil_div(-ih, dh) : 0,
                              .row1 = plane && ih < d->h ? fc_ceil_div(d->h - ih, dh) : 0,
                              .rows = k->rows,
                              .cols = k->cols,
                              .v_point = b->v_point,
                              .v_channel = k->tiles};
    float *v = work->v + c0 * k->tiles + tile;
    if (!b->slab_width) {
        t.x = src - left * io_size;
        t.x_channel = io->x.c;
        t.x_row = dh * io->x.h;
        t.col0 = left;
        t.col1 = d->w + left;
        t.channels = c1 - c0;
        t.v = v;
        b->wino->input(&t);
        return;
    }
    const int64_t channel = dw * b->slab_width;
    /* The columns of the image that the slab has room for, of which alone float16 is converted. */
    const int64_t first = fc_max(0, -left), last = fc_min(d->w, channel - left);
    struct fc_slab slab = {.dst_channel = channel,
                           .width = b->slab_width,
                           .src_channel = io->x.c,
                           .src_pixel = io->x.w,
                           .src_width = fc_max(0, last - first),
                           .stride = dw,
                           .left = left + first,
                           .phases = ((uint64_t)1 << b->phases[1]) - 1};
    t.x_channel = channel;
    t.x_row = SLAB_CHANNELS * channel;
    t.row1 = fc_min(t.row1, rows);
    t.col1 = b->slab_width;
    src += first * io->x.w * io_size;
    for (int64_t c = c0; c < c1; c += SLAB_CHANNELS) {
        t.channels = slab.channels = fc_min(SLAB_CHANNELS, c1 - c);
        for (int64_t i = t.row0; i < t.row1; i++) {
            slab.dst = work->slab + i * t.x_row;
            slab.src = src + ((c - c0) * io->x.c + i * dh * io->x.h) * io_size;
            fc_slab_row(p, &slab, work->row);
        }
        for (int64_t phase = 0; phase < b->phases[1]; phase++) {
            t.x = work->slab + phase * b->slab_width;
            t.v = v + (c - c0) * k->tiles + phase * k->rows * k->cols;
            b->wino->input(&t);
        }
    }
}

static void transform(const fc_plan *p, const struct fc_conv_io *io, const struct block *k,
                      const struct work *work)
{
    const int64_t tiles = k->tiles / k->images, cg = p->desc.cg;
    for (int64_t c = 0; c < p->channels; c += cg)
        for (int64_t i = 0; i < k->images; i++)
            transform_plane(p, io, k, work, k->image + i, i * tiles, c, c + cg);
}

/* M of the blocks of channels [first, last). */
static void multiply(const fc_plan *p, const struct fc_conv_io *io, const struct block *k,
                     const struct work *work, int64_t first, int64_t last)
{
    static const float zeros[FC_NR_MAX];
    const struct winograd_blocking *b = p->blocking;
    const int64_t channels = p->channels;
    const int64_t panels = fc_ceil_div(k->tiles, p->family->mr);
    const struct fc_run run = {0, (int32_t)channels};
    struct fc_dense d = {.bias = zeros, .runs = &run, .run_count = 1, .step = k->tiles};
    for (int64_t point = 0; point < b->points; point++)
        for (int64_t block = first; block < last; block++) {
            const float *w = (const float *)io->packed + packed_at(p, k->group, point, block);
            const int64_t nr = fc_block_nr(p, block);
            const int64_t turn = block + 1 == last;
            const int64_t after = fc_min(point + turn, b->points - 1);
            const int64_t next_block = turn ? first : block + 1;
            const char *next = (const char *)((const float *)io->packed +
                                              packed_at(p, k->group, after, next_block));
            /* The next weights are wanted in L2 by the end of these.  Their bytes are spread over
             * the panels, which fetch two lines for every two channels: with two panels, all. */
            d.prefetch_step = 2 * fc_block_nr(p, next_block) * (int64_t)sizeof(float) / panels;
            float *m = work->m + ((block - first) * b->points + point) * b->m_point;
            d.w = w;
            for (int64_t panel = 0; panel < panels; panel++) {
                const int64_t begin = k->tiles * panel / panels;
                const int64_t end = k->tiles * (panel + 1) / panels;
                d.x = work->v + point * b->v_point + begin;
                d.tile = m + begin * nr;
                d.prefetch = next + panel * d.prefetch_step * (channels / 2);
                fc_tile_kernel(p->family, nr, 1, end - begin)(&d);
            }
        }
}

/* Rows of pixels from M of one block of channels and one image, whose first tile is `tile`. */
static void put_image(const fc_plan *p, const struct block *k, const struct work *work,
                      const float *products, const float *bias, struct fc_target *target,
                      int64_t tile)
{
    const struct winograd_blocking *b = p->blocking;
    const int64_t m = b->wino->m, nr = target->store.nr;
    const int64_t dh = p->desc.dilation[0], dw = p->desc.dilation[1];
    const int64_t out_row = (b->strip * m * dw + p->family->vl) * nr;
    struct fc_wino_output o = {
        .bias = bias, .point = b->m_point, .nr = nr, .out_row = out_row, .pixel = dw};
    for (int64_t row = 0; row < k->rows; row++)
        for (int64_t col = 0; col < k->cols; col += b->strip) {
            const int64_t ow = (k->col + col) * m * dw; /* the strip's first output pixel */
            o.tiles = fc_min(b->strip, k->cols - col);
            for (int64_t phase = 0; phase < b->phases[1]; phase++) {
                const int64_t at = tile + (phase * k->rows + row) * k->cols + col;
                o.products = products + at * nr;
                o.out = work->out + phase * nr;
                b->wino->output(&o);
            }
            for (int64_t i = 0; i < m; i++) {
                const int64_t oh = k->phase + dh * ((k->row + row) * m + i);
                const int64_t pixels = fc_min(o.tiles * m * dw, p->ow - ow);
                if (oh >= p->oh)
                    break;
                fc_target_at(p, target, oh * p->ow + ow, pixels, &target->store);
                target->store.tile = work->out + i * out_row;
                target->store.pixels = pixels;
                p->family->store(&target->store);
            }
        }
}

/* The output channels of the blocks [first, last), some at a time. */
static void finish(const fc_plan *p, const struct fc_conv_io *io, const struct block *k,
                   const struct work *work, int64_t first, int64_t last)
{
    const struct winograd_blocking *b = p->blocking;
    const int64_t nr = p->family->nr, tiles = k->tiles / k->images;
    for (int64_t group = first; group < last; group += b->group_blocks) {
        const int64_t end = fc_min(group + b->group_blocks, last);
        multiply(p, io, k, work, group, end);
        for (int64_t block = group; block < end; block++) {
            const float *products = work->m + (block - group) * b->points * b->m_point;
            const int64_t k0 = k->group * p->kg + block * nr;
            const int64_t channels = fc_min(nr, p->kg - block * nr);
            float bias[FC_NR_MAX];
            fc_load_bias(p, io->bias, k0, channels, bias);
            for (int64_t i = 0; i < k->images; i++) {
                struct fc_target target = fc_target_of(p, io, k->image + i, k0, channels);
                put_image(p, k, work, products, bias, &target, i * tiles);
            }
        }
    }
}

struct job {
    const fc_plan *p;
    const struct fc_conv_io *io;
    int64_t parts; /* of the output channels of a block */
};

static void run_share(const void *arg, struct fc_items *items)
{
    const struct job *const job = arg;
    const fc_plan *const p = job->p;
    const struct winograd_blocking *b = p->blocking;
    const struct work work =
        work_of(p, job->io->scratch + (size_t)items->thread * p->scratch_bytes);
    int64_t held = -1;
    for (int64_t i; (i = fc_next(items)) >= 0;) {
        const int64_t index = i / job->parts, part = i % job->parts;
        const struct block k = block_at(p, index);
        if (index != held) {
            transform(p, job->io, &k, &work);
            held = index;
        }
        finish(p, job->io, &k, &work, b->blocks * part / job->parts,
               b->blocks * (part + 1) / job->parts);
    }
}

static void run(const fc_plan *p, const struct fc_conv_io *io)
{
    const struct winograd_blocking *b = p->blocking;
    const int64_t count = count_blocks(p), threads = io->threads;
    int64_t parts = 1;
    while (count * parts % threads)
        parts++;
    const int whole = parts == 1 || count >= BLOCKS_PER_THREAD * threads;
    const struct job job = {p, io, whole ? 1 : fc_min(b->blocks, PARTS_TIMES * parts)};
    fc_share(io->threads, count * job.parts, 1, run_share, &job);
}

static void count(const fc_plan *p, const struct fc_wino *wino, double work[FC_WORK_COUNT])
{
    struct winograd_blocking b = {.wino = wino};
    find_blocks(p, &b);
    const fc_conv_desc *d = &p->desc;
    const double vl = p->family->vl, points = (double)b.points, inputs = (double)p->channels;
    const double tiles = (double)p->images * (double)d->groups * (double)b.phases[0] *
                         (double)b.phases[1] * (double)b.grid_rows * (double)b.grid_cols;
    const double outputs = (double)fc_tile_channels(p);
    const double parts = fmax(1, tiles / (double)b.tiles), part = tiles / parts;
    work[FC_WORK_CALL] += points * parts * (double)b.blocks * ceil(part / (double)p->family->mr);
    work[FC_WORK_TILE] += points * parts * inputs * fc_tile_multiplies(p, part);
    work[FC_WORK_INPUT] += points * inputs * tiles / fmin((double)b.grid_cols, vl);
    work[FC_WORK_OUTPUT] += points * tiles * outputs / vl;
    if (b.slab_width) {
        const double rows = (double)(b.rows * wino->m + wino->r - 1);
        const double vectors = (double)d->dilation[1] * ceil((double)b.slab_width / vl);
        work[FC_WORK_SLAB] += parts * (double)b.images * inputs * rows * vectors;
    }
    fc_weights_count(p, (double)p->desc.groups * points * inputs * outputs * (double)sizeof(float),
                     parts / (double)p->desc.groups, work);
}

static void count_43(const fc_plan *p, double work[FC_WORK_COUNT])
{
    count(p, p->family->wino_43, work);
}
static void count_23(const fc_plan *p, double work[FC_WORK_COUNT])
{
    count(p, p->family->wino_23, work);
}
static void count_25(const fc_plan *p, double work[FC_WORK_COUNT])
{
    count(p, p->family->wino_25, work);
}

const struct fc_algorithm fc_winograd_f43 = {
    .name = "winograd_f43",
    .supports = supports_43,
    .count = count_43,
    .pack_seconds = 3.5e-9, /* 1.6 to 4.2 ns on Zen 5 with AVX-512, 2.4 to 4.8 with AVX2 */
    .blocking_bytes = sizeof(struct winograd_blocking),
    .prepare = prepare_43,
    .pack = pack,
    .run = run,
};

const struct fc_algorithm fc_winograd_f23 = {
    .name = "winograd_f23",
    .supports = supports_23,
    .count = count_23,
    .pack_seconds = 2.5e-9, /* 1.3 and 1.8 to 3.4 there */
    .blocking_bytes = sizeof(struct winograd_blocking),
    .prepare = prepare_23,
    .pack = pack,
    .run = run,
};

const struct fc_algorithm fc_winograd_f25 = {
    .name = "winograd_f25",
    .supports = supports_25,
    .count = count_25,
    .pack_seconds = 2e-9, /* 1.4 and 1.5 */
    .blocking_bytes = sizeof(struct winograd_blocking),
    .prepare = prepare_25,
    .pack = pack,
    .run = run,
};
