/* The loop nest of dense tiles and lines (ops/dense.h):
 *
 *   for item: image or batch, group, some lines, some blocks                   (parallel, claimed)
 *       pack the lines' input into a slab, unless this thread holds it already
 *       for blocks whose weights fit L2 together
 *           for a band of lines whose packed input fits L2
 *               for block: for tile in band
 *                   the whole reduction in registers, then the epilogue
 *
 * Reduction order depends on the plan alone, so the bits do not depend on who computes which item.
 */
#include "ops/dense.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "ops/parallel.h"
#include "ops/target.h"
#include "ops/weights.h"
#include "simd/target.h"

/* What a core may hope to find in L3, which is shared: with 20 MB here F(4, 3) was chosen for 192
 * to 384 channels at 7x7, whose 10 MB of weights took 3.5 times as long as the 5 MB of F(2, 3). */
static const double L3_BYTES = 8 << 20;

/* A pixel by itself, in vectors of pixels: its loads of the weights come from L2.  With it the 49
 * of 7x7 take 0.90 of the time that they took with a lone vector (seven layers on Zen 3). */
static const double SINGLE_FACTOR = 0.6;

/* Cycles of copying a piece of a vector at most to a panel, and of storing a vector of results:
 * from a tile, which is transposed for it, and from a line.  Fitted on Sapphire Rapids with tiles
 * of 28 x 1; AVX2 and Zen 5 chose well by them. */
static const double PIECE_CYCLES = 6, TILE_STORE_CYCLES = 5, LINE_STORE_CYCLES = 1.5;

/* Items for each thread, so that one that is held up by the system does not hold up the call. */
static const int64_t ITEMS_PER_THREAD = 4;

/* The next block's weights are fetched to L2 during this one's tiles where the tiles are few, so
 * that the hardware has no time to, and the block is more than L1's half. */
static const int64_t PREFETCH_TILES_MAX = 32, PREFETCH_BYTES_MIN = 8 << 10;

/* Pixels at the end of a line that are taken one by one. */
static int64_t singles_of(const fc_plan *p, int64_t pixels)
{
    const int64_t rest = pixels % p->family->vl;
    return rest <= p->family->line_singles ? rest : 0;
}

/* Vector multiply-adds of the output channels of a group for a tap of a stretch of pixels in lines,
 * idle ones counted. */
static double line_multiplies(const fc_plan *p, int64_t pixels)
{
    const int64_t wide = p->family->line_vectors, each = p->family->line_channels;
    const int64_t singles = singles_of(p, pixels);
    const int64_t vectors = fc_ceil_div(pixels - singles, p->family->vl),
                  lone = wide > 1 && vectors % wide == 1;
    return ((double)(vectors - lone) +
            p->family->lone_cycles / p->family->line_cycles * (double)lone +
            SINGLE_FACTOR * (double)singles) *
           (double)(fc_ceil_div(p->kg, each) * each);
}

int fc_dense_by_line(const fc_plan *p, int64_t taps, int64_t pixels, int64_t images,
                     double tile_pieces, double line_pieces)
{
    if (p->desc.channels_last)
        return 0;
    /* Cycles for the pixels and output channels of a group: for each tap, and for the results. */
    const struct fc_family *f = p->family;
    const double stored = (double)(fc_tile_channels(p) / f->vl) * (double)pixels;
    const double count = (double)images;
    const double tile = f->tile_cycles * fc_tile_multiplies(p, count * (double)pixels) / count +
                        PIECE_CYCLES * tile_pieces;
    const double line = f->line_cycles * line_multiplies(p, pixels) + PIECE_CYCLES * line_pieces;
    return line * (double)taps + LINE_STORE_CYCLES * stored <
           tile * (double)taps + TILE_STORE_CYCLES * stored;
}

int64_t fc_tile_rows(const fc_plan *p, int64_t lines, int64_t line_pixels)
{
    if (line_pixels > p->family->mr)
        return 1;
    return fc_min(fc_min(p->family->rows, p->family->mr / line_pixels), lines);
}

static int64_t packed_bytes_of(const fc_plan *p, int64_t lines)
{
    const struct fc_dense_blocking *b = p->blocking;
    return ((lines - 1) * b->row_step + b->row_span) * b->slab_row * (int64_t)p->element_bytes;
}

/* The most lines, at least one tile's, whose packed input stays within `bytes`, cut evenly. */
static int64_t lines_within(const fc_plan *p, int64_t bytes)
{
    const struct fc_dense_blocking *b = p->blocking;
    const int64_t row_bytes = b->slab_row * (int64_t)p->element_bytes;
    int64_t lines = (bytes / row_bytes - b->row_span) / b->row_step + 1;
    lines = fc_max(lines - lines % b->tile_rows, b->tile_rows);
    if (lines >= b->lines)
        return b->lines;
    lines = fc_ceil_div(b->lines, fc_ceil_div(b->lines, lines));
    return fc_ceil_div(lines, b->tile_rows) * b->tile_rows;
}

void fc_dense_prepare(fc_plan *p)
{
    struct fc_dense_blocking *b = p->blocking;
    const int64_t nr = p->family->nr;
    const int64_t block_bytes = p->taps * nr * (int64_t)p->element_bytes;
    b->blocks = fc_ceil_div(p->kg, nr);
    p->packed_channels = b->by_line ? p->family->line_channels : nr;
    /* Shares of L2, as they were found on one of 2 MB.  Weights of a group of blocks, and they
     * together with the packed input of a band, leave room for the output between them.  Panels
     * share no rows with their neighbours, so nothing is packed twice in smaller bands, and the
     * same part of L2 serves them all.  Where the input is read in place, all blocks of channels
     * take their turn on a band that leaves room for the next one, which is fetched meanwhile. */
    const int64_t weights_bytes = p->l2_bytes * 3 / 10, working_bytes = p->l2_bytes * 6 / 10;
    const int64_t panel_bytes = p->l2_bytes / 10, in_place_bytes = p->l2_bytes / 16;
    b->group_blocks = fc_max(1, fc_min(b->blocks, weights_bytes / block_bytes));
    b->group_blocks = fc_ceil_div(b->blocks, fc_ceil_div(b->blocks, b->group_blocks));
    const int64_t band_bytes =
        b->row_span <= b->row_step
            ? panel_bytes
            : working_bytes - fc_min(weights_bytes, b->group_blocks * block_bytes);
    b->band_lines = lines_within(p, b->in_place ? in_place_bytes : band_bytes);
    /* Where the whole image stays in L2 beside two blocks of weights, these come there once, each
     * fetched during the one before. */
    if (b->group_blocks < b->blocks && !b->in_place &&
        packed_bytes_of(p, b->lines) + 2 * block_bytes <= working_bytes)
        b->band_lines = b->lines;
    /* Weights that all fit are read once for each band.  Otherwise they are read once for each
     * item, which is therefore as large as scratch may be. */
    b->item_lines = lines_within(p, b->group_blocks == b->blocks ? band_bytes : FC_SLAB_BYTES_MAX);
    p->packed_bytes =
        fc_align((size_t)(p->desc.groups * fc_tile_channels(p) * p->taps) * p->element_bytes);
    p->scratch_bytes = fc_align((size_t)packed_bytes_of(p, b->item_lines));
    snprintf(p->blocking_text, sizeof p->blocking_text,
             "%s %lldx%lld pixels x %d channels; %lld of %lld channel blocks with %lld of %lld "
             "lines in L2",
             b->by_line ? "lines of" : "tiles of", (long long)b->tile_rows,
             (long long)fc_ceil_div(b->line_pixels, b->strips), (int)fc_tile_nr(p->family, p->kg),
             (long long)b->group_blocks, (long long)b->blocks, (long long)b->band_lines,
             (long long)b->lines);
}

void fc_dense_reserve_row(fc_plan *p, int64_t elements)
{
    if (p->desc.dtype == FC_FLOAT16)
        p->scratch_bytes += fc_align((size_t)elements * sizeof(float));
}

/* Whether the weights of the other way are wanted with all their taps, from last to first. */
static int turned(const fc_plan *p)
{
    const fc_conv_desc *d = &p->desc;
    const int64_t counts[3] = {d->depth.kernel, d->kh, d->kw};
    for (int axis = 0; axis < 3; axis++) {
        const fc_taps *t = &d->taps[axis];
        if (counts[axis] != t->size || (t->size > 1 && t->step != -1))
            return 0;
    }
    return 1;
}

/* A 1x1 weight of the other way has its output channels beside each other. */
static void pack_row(const struct fc_weights *w, size_t size)
{
    for (int64_t j = 0; j < w->nr; j += w->columns) {
        char *to =
            (char *)w->dst + (size_t)((j / w->columns * w->taps + *w->place) * w->columns) * size;
        const int64_t given = fc_max(0, fc_min(w->columns, w->channels - j));
        memcpy(to, (const char *)w->src + (size_t)j * size, (size_t)given * size);
        memset(to + (size_t)given * size, 0, (size_t)(w->columns - given) * size);
    }
}

/* A block of weights of the other way: those of an input channel are beside each other for all
 * output channels, and are taken from there or, where only some taps are wanted, gathered in L1. */
static void pack_transposed(const fc_plan *p, const char *weight, int64_t group, int64_t k0,
                            struct fc_weights *w)
{
    enum { GATHERED = 4096, AHEAD = 4 }; /* input channels, which are pages apart */
    double gathered[GATHERED];
    const int64_t size = (int64_t)p->element_bytes, window = p->taps / p->desc.cg;
    if (turned(p)) {
        w->count = w->src_channel = window;
        w->place_step = -1;
        for (int64_t c = 0; c < p->desc.cg; c++) {
            w->src = weight + ((group * p->desc.cg + c) * p->kg + k0) * window * size;
            if (c + AHEAD < p->desc.cg)
                for (int64_t at = 0; at < w->channels * window * size; at += 64)
                    FC_PREFETCH_L1((const char *)w->src + AHEAD * p->kg * window * size + at);
            w->place = p->place + (c + 1) * window - 1;
            if (window == 1)
                pack_row(w, p->element_bytes);
            else
                p->family->weights(w);
        }
        return;
    }
    for (int64_t first = 0; first < p->taps; first += w->count) {
        w->count = w->src_channel = fc_min(GATHERED / w->channels, p->taps - first);
        fc_weights_gather(p, weight, group, k0, w->channels, first, w->count, gathered);
        w->src = gathered;
        w->place = p->place + first;
        p->family->weights(w);
    }
}

/* One block of a group. */
static void pack_block(const fc_plan *p, const void *weight, int64_t group, int64_t block,
                       void *dst)
{
    const int64_t size = (int64_t)p->element_bytes, k0 = block * p->family->nr;
    struct fc_weights w = {.dst = dst,
                           .src = (const char *)weight + (group * p->kg + k0) * p->taps * size,
                           .src_channel = p->taps,
                           .place = p->place,
                           .place_step = 1,
                           .count = p->taps,
                           .taps = p->taps,
                           .nr = fc_block_nr(p, block),
                           .columns = fc_min(p->packed_channels, fc_block_nr(p, block)),
                           .channels = fc_min(p->family->nr, p->kg - k0)};
    if (p->desc.transposed)
        pack_transposed(p, weight, group, k0, &w);
    else
        p->family->weights(&w);
}

struct packing {
    const fc_plan *p;
    const void *weight;
    char *packed;
};

static void pack_share(const void *job, struct fc_items *items)
{
    const struct packing *const w = job;
    const fc_plan *const p = w->p;
    const struct fc_dense_blocking *b = p->blocking;
    for (int64_t item; (item = fc_next(items)) >= 0;) {
        const int64_t group = item / b->blocks, block = item % b->blocks;
        const int64_t channel = group * fc_tile_channels(p) + block * p->family->nr;
        pack_block(p, w->weight, group, block,
                   w->packed + channel * p->taps * (int64_t)p->element_bytes);
    }
}

void fc_dense_pack_weights(const fc_plan *p, const void *weight, void *packed, int threads)
{
    const struct fc_dense_blocking *b = p->blocking;
    const struct packing w = {p, weight, packed};
    fc_share(threads, p->desc.groups * b->blocks, 1, pack_share, &w);
}

int64_t fc_block_nr(const fc_plan *p, int64_t block)
{
    return fc_tile_nr(p->family, p->kg - block * p->family->nr);
}

int64_t fc_tile_channels(const fc_plan *p)
{
    const int64_t last = (p->kg - 1) / p->family->nr;
    return last * p->family->nr + fc_block_nr(p, last);
}

double fc_tile_multiplies(const fc_plan *p, double pixels)
{
    const struct fc_family *f = p->family;
    const double tiles = ceil(pixels / (double)f->mr);
    const int64_t channels = fc_tile_channels(p), rest = channels % f->nr;
    const double each = pixels / tiles / (double)f->vl;
    return tiles * ((double)(channels / f->nr) * fmax(each * (double)f->nr, FC_CHAINS_LEAST) +
                    (rest ? fmax(each * (double)rest, FC_CHAINS_LEAST) : 0));
}

void fc_weights_count(const fc_plan *p, double bytes, double passes, double work[FC_WORK_COUNT])
{
    if (bytes > 0.5 * (double)p->l2_bytes)
        work[FC_WORK_WEIGHTS] += bytes * passes / 1024;
    if (bytes > L3_BYTES)
        work[FC_WORK_FAR] += bytes * passes / 1024;
}

void fc_dense_count(const fc_plan *p, int64_t images, int64_t lines, int64_t line_pixels,
                    int by_line, double work[FC_WORK_COUNT])
{
    const double each = (double)images * (double)p->desc.groups;
    const double blocks = each * (double)fc_ceil_div(p->kg, p->family->nr);
    const double channels = (double)fc_tile_channels(p);
    const double taps = (double)p->taps;
    if (by_line) {
        const double vectors = (double)fc_ceil_div(line_pixels, p->family->vl);
        work[FC_WORK_LINE] += each * taps * (double)lines * line_multiplies(p, line_pixels);
        work[FC_WORK_CALL] += blocks * (double)lines * vectors;
    } else {
        const int64_t rows = fc_tile_rows(p, lines, line_pixels);
        const double stretches = (double)fc_ceil_div(lines, rows);
        const double pixels = (double)(rows * line_pixels);
        work[FC_WORK_TILE] += each * taps * stretches * fc_tile_multiplies(p, pixels);
        work[FC_WORK_CALL] += blocks * stretches * ceil(pixels / (double)p->family->mr);
        work[FC_WORK_STORE] +=
            each * channels / (double)p->family->vl * (double)(lines * line_pixels);
    }
    fc_weights_count(p, (double)p->desc.groups * channels * taps * (double)p->element_bytes,
                     (double)images, work);
}

/* ---- running ---- */

/* How the work of one call is cut; depends on the threads, unlike the blocking. */
struct cut {
    int64_t item_lines, line_items, parts, part_blocks, items;
};

/* Whether a tile has one pixel, which takes several blocks of channels together. */
static int is_lone(const struct fc_dense_blocking *b)
{
    return b->pixels == 1 && !b->by_line;
}

static struct cut cut_work(const fc_plan *p, int threads)
{
    const struct fc_dense_blocking *b = p->blocking;
    struct cut c = {b->item_lines, fc_ceil_div(b->lines, b->item_lines), 1, b->blocks, 0};
    const int64_t images = b->images * p->desc.groups, wanted = threads * ITEMS_PER_THREAD;
    if (threads > 1 && images * c.line_items < wanted) {
        const int64_t weight_bytes = fc_tile_channels(p) * p->taps * (int64_t)p->element_bytes;
        if (weight_bytes > packed_bytes_of(p, b->lines)) {
            /* Each thread reads its own share of the weights and packs the input for itself. */
            const int64_t parts = fc_ceil_div(wanted, images * c.line_items);
            /* Rather more parts than these than fewer, which may divide badly: 5 of 10 blocks. */
            c.part_blocks = fc_max(1, b->blocks / parts);
            if (is_lone(b))
                c.part_blocks = fc_ceil_div(c.part_blocks, FC_LONE_BLOCKS) * FC_LONE_BLOCKS;
            c.parts = fc_ceil_div(b->blocks, c.part_blocks);
        } else {
            const int64_t tiles = fc_ceil_div(b->lines, b->tile_rows);
            const int64_t cuts = fc_min(tiles, fc_ceil_div(wanted, images));
            c.item_lines = fc_min(c.item_lines, fc_ceil_div(tiles, cuts) * b->tile_rows);
            c.line_items = fc_ceil_div(b->lines, c.item_lines);
        }
    }
    c.items = images * c.line_items * c.parts;
    return c;
}

/* Stores `count` pixels of a tile, the flat output pixels from q on. */
static void store_pixels(const fc_plan *p, struct fc_target *t, char *tile, int64_t q,
                         int64_t count)
{
    while (count > 0) {
        const int64_t pixels = fc_target_at(p, t, q, count, &t->store);
        t->store.tile = tile;
        t->store.pixels = pixels;
        p->family->store(&t->store);
        tile += pixels * t->store.nr * (int64_t)p->element_bytes;
        q += pixels;
        count -= pixels;
    }
}

/* Nobody has copied an input that is read in place, so while one band is computed the next is
 * fetched to L2.  Each block of channels fetches for its share of the taps: all at once they would
 * wait for the few lines that L1 may have under way, and hold up the loads of the first block. */
static int fetch_share(int64_t block, int64_t blocks)
{
    int taps = 0;
    for (int u = 0; u < 2; u++)
        taps |= (u * blocks / 2 == block) << u;
    return taps;
}

/* One block of channels over the lines [line0, line1) by dense lines. */
static void run_lines(const fc_plan *p, struct fc_target *t, const struct fc_dense_slab *s,
                      const void *bias, const char *weights, int fetch, int64_t line0,
                      int64_t line1)
{
    const struct fc_dense_blocking *b = p->blocking;
    const int64_t size = (int64_t)p->element_bytes, pixels = b->pixels;
    struct fc_line d = {.w = weights,
                        .bias = bias,
                        .runs = p->runs,
                        .run_count = p->run_count,
                        .taps = p->taps,
                        .step = s->tap_step,
                        .ahead = (line1 - line0) * s->line_step,
                        .fetch = fetch,
                        .out = t->store};
    for (int64_t line = line0; line < line1; line++) {
        const char *x = (const char *)s->slab + (line - s->line0) * s->line_step * size;
        const int64_t first = line * b->line_pixels;
        const int64_t last = fc_min(first + b->line_pixels, pixels);
        const int64_t singles = last - singles_of(p, last - first);
        for (int64_t q = first; q < last; q += d.out.pixels) {
            d.out.pixels = fc_target_at(p, t, q, last - q, &d.out);
            d.singles = fc_max(0, q + d.out.pixels - fc_max(singles, q));
            d.x = x + (q - first) * size;
            p->family->line(&d);
        }
    }
}

/* Rows of the next tile when `left` lines are left: not every shape below the full one is built. */
static int64_t tile_rows(const fc_plan *p, int64_t left)
{
    const struct fc_dense_blocking *b = p->blocking;
    int64_t rows = fc_min(b->tile_rows, left);
    while (rows > 1 && !p->family->dense[rows][b->line_pixels])
        rows--;
    return rows;
}

/* One block of channels over the lines [line0, line1) by dense tiles.  The weights that are wanted
 * next follow this block's: next_bytes, or 0 for none. */
static void run_tiles(const fc_plan *p, struct fc_target *t, const struct fc_dense_slab *s,
                      const void *bias, const char *weights, int64_t next_bytes, int64_t line0,
                      int64_t line1)
{
    const struct fc_dense_blocking *b = p->blocking;
    const int64_t size = (int64_t)p->element_bytes, pixels = b->pixels;
    /* The epilogue reads up to a vector of pixels more than the tile holds. */
    FC_ALIGNED char tile[(FC_MR_MAX + FC_VL_MAX) * FC_NR_MAX * sizeof(double)];
    struct fc_dense d = {.w = weights,
                         .bias = bias,
                         .tile = tile,
                         .runs = p->runs,
                         .run_count = p->run_count,
                         .step = s->tap_step,
                         .row = b->line_step,
                         .prefetch = weights};
    const char *const next = weights + p->taps * t->store.nr * size;
    const int64_t tiles = fc_ceil_div(line1 - line0, b->tile_rows) * b->strips;
    const int fetch = tiles <= PREFETCH_TILES_MAX && next_bytes > PREFETCH_BYTES_MIN;
    const int64_t tile_bytes = fc_ceil_div(next_bytes, tiles);
    d.prefetch_step = fetch ? fc_ceil_div(tile_bytes, fc_max(p->taps / 2, 1)) : 0;

    int64_t done = 0, rows;
    for (int64_t line = line0; line < line1; line += rows) {
        rows = tile_rows(p, line1 - line);
        const char *x = (const char *)s->slab + (line - s->line0) * b->line_step * size;
        for (int64_t strip = 0; strip < b->strips; strip++, done++) {
            /* A line is cut evenly: 16 pixels are 8 + 8, not 14 + 2. */
            const int64_t begin = b->line_pixels * strip / b->strips;
            const int64_t end = b->line_pixels * (strip + 1) / b->strips;
            const int64_t q = line * b->line_pixels + begin;
            /* The last panel may hold fewer pixels than the others. */
            const int64_t cols = fc_min(end - begin, pixels - q);
            d.x = x + begin * size;
            if (fetch)
                d.prefetch = next + fc_min(done * tile_bytes, next_bytes - tile_bytes);
            fc_tile_kernel(p->family, t->store.nr, rows, cols)(&d);
            store_pixels(p, t, tile, q, rows * cols);
        }
    }
}

/* A lone pixel by the blocks of channels from `block` on, as many as go together; returns their
 * number, or 0.  Three are the same work as four, the last one twice. */
static int64_t run_lone(const fc_plan *p, const struct fc_conv_io *io,
                        const struct fc_dense_slab *s, const char *weights, int64_t block,
                        int64_t last)
{
    const int64_t nr = p->family->nr, whole = last - (fc_block_nr(p, last - 1) < nr);
    const int64_t count = fc_min(FC_LONE_BLOCKS, whole - block);
    if (count < FC_LONE_BLOCKS - 1)
        return 0;
    const int64_t k0 = s->group * p->kg + block * nr;
    const int64_t channels = fc_min(count * nr, p->kg - block * nr);
    struct fc_target t = fc_target_of(p, io, s->image, k0, channels);
    FC_ALIGNED double bias[FC_LONE_BLOCKS * FC_NR_MAX] = {0};
    FC_ALIGNED double tile[(1 + FC_VL_MAX) * FC_LONE_BLOCKS * FC_NR_MAX];
    fc_load_bias(p, io->bias, k0, channels, bias);
    const struct fc_dense d = {.x = s->slab,
                               .w = weights + block * nr * p->taps * (int64_t)p->element_bytes,
                               .bias = bias,
                               .tile = tile,
                               .runs = p->runs,
                               .run_count = p->run_count,
                               .step = s->tap_step,
                               .block = nr * p->taps,
                               .last = (count - 1) * nr * p->taps};
    p->family->lone(&d);
    t.store.nr = FC_LONE_BLOCKS * nr;
    store_pixels(p, &t, (char *)tile, 0, 1);
    return count;
}

static void run_item(const fc_plan *p, const struct fc_conv_io *io, const struct fc_dense_slab *s,
                     int64_t block0, int64_t block1)
{
    const struct fc_dense_blocking *b = p->blocking;
    const int64_t nr = p->family->nr, k_bytes = p->taps * (int64_t)p->element_bytes;
    const char *weights = (const char *)io->packed + s->group * fc_tile_channels(p) * k_bytes;
    union {
        float f32[FC_NR_MAX];
        double f64[FC_NR_MAX];
    } bias;
    if (is_lone(b) && io->packed)
        for (int64_t done; block0 < block1; block0 += done)
            if (!(done = run_lone(p, io, s, weights, block0, block1)))
                break;
    for (int64_t first = block0; first < block1; first += b->group_blocks) {
        const int64_t last = fc_min(first + b->group_blocks, block1);
        for (int64_t line0 = s->line0; line0 < s->line1; line0 += b->band_lines) {
            const int64_t line1 = fc_min(line0 + b->band_lines, s->line1);
            for (int64_t block = first; block < last; block++) {
                const int64_t k0 = s->group * p->kg + block * nr;
                const int64_t channels = fc_min(nr, p->kg - block * nr);
                struct fc_target t = fc_target_of(p, io, s->image, k0, channels);
                fc_load_bias(p, io->bias, k0, channels, &bias);
                const char *w = weights + block * nr * k_bytes;
                if (io->weight) {
                    pack_block(p, io->weight, s->group, block, s->block);
                    w = s->block;
                }
                if (b->by_line)
                    run_lines(p, &t, s, &bias, w,
                              s->in_place ? fetch_share(block - first, last - first) : 0, line0,
                              line1);
                else
                    run_tiles(p, &t, s, &bias, w,
                              io->packed && block + 1 < block1 ? fc_block_nr(p, block + 1) * k_bytes
                                                               : 0,
                              line0, line1);
            }
        }
    }
}

size_t fc_dense_block_bytes(const fc_plan *p, int threads)
{
    const struct fc_dense_blocking *b = p->blocking;
    const struct cut c = cut_work(p, threads);
    const int once = b->images == 1 && c.line_items == 1 && b->band_lines >= b->lines;
    if (!once || p->desc.dtype == FC_FLOAT16)
        return 0;
    return fc_align((size_t)(p->family->nr * p->taps) * p->element_bytes);
}

struct job {
    const fc_plan *p;
    const struct fc_conv_io *io;
    fc_dense_pack_fn *pack;
    struct cut cut;
};

static void run_share(const void *arg, struct fc_items *items)
{
    const struct job *const job = arg;
    const fc_plan *const p = job->p;
    const struct fc_conv_io *const io = job->io;
    const struct fc_dense_blocking *b = p->blocking;
    const struct cut c = job->cut;
    char *scratch = io->scratch + (size_t)items->thread * io->scratch_bytes;
    struct fc_dense_slab s = {
        .scratch = scratch,
        .block = scratch + p->scratch_bytes,
        .row = (float *)(scratch + fc_align((size_t)packed_bytes_of(p, b->item_lines)))};
    int64_t held = -1;
    for (int64_t item; (item = fc_next(items)) >= 0;) {
        const int64_t slab = item / c.parts, part = item % c.parts;
        if (slab != held) {
            const int64_t line_item = slab % c.line_items, rest = slab / c.line_items;
            s.image = rest / p->desc.groups;
            s.group = rest % p->desc.groups;
            s.line0 = line_item * c.item_lines;
            s.line1 = fc_min(s.line0 + c.item_lines, b->lines);
            s.slab = s.scratch;
            s.tap_step = b->tap_step;
            s.line_step = b->line_step;
            s.in_place = 0;
            job->pack(p, io, &s);
            held = slab;
        }
        const int64_t block0 = part * c.part_blocks;
        run_item(p, io, &s, block0, fc_min(block0 + c.part_blocks, b->blocks));
    }
}

void fc_dense_run(const fc_plan *p, const struct fc_conv_io *io, fc_dense_pack_fn *pack)
{
    const struct job job = {p, io, pack, cut_work(p, io->threads)};
    fc_share((int)fc_min(io->threads, job.cut.items), job.cut.items, 1, run_share, &job);
}
