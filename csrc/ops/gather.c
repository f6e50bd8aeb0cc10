/* Planes gathered from others (gather.h): every plane is cut into items, every item into the blocks
 * in which neither axis changes its stretch. */
#include "ops/gather.h"

#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "ops/elements.h"
#include "ops/parallel.h"

/* An item: what is written stays in L1 with what is read until it is complete. */
static const int64_t ITEM_BYTES = 16 << 10;

/* From this size on what is written goes past the caches: half of a large last-level cache, beyond
 * which little of it would be found there afterwards. */
static const int64_t STREAM_BYTES = 16 << 20;

/* How far ahead the source of these is fetched, of an item that is about to be streamed: without
 * it, reading waits while an item is written, and pads took 1.2 to 1.7 times as long (Zen 5). */
static const int64_t AHEAD_BYTES = 8 << 10;

struct item {
    int64_t plane0, planes, row0, rows, col0, cols;
};

/* How a gather is cut; all sizes at least 1. */
struct cut {
    int64_t planes, rows, cols; /* of an item */
    int64_t plane_blocks, row_blocks, col_blocks;
    int streams;
};

static struct cut cut_of(const struct fc_gather *g)
{
    const int64_t size = (int64_t)g->element_bytes;
    const int64_t row_bytes = g->cols * size, plane_bytes = g->rows * row_bytes;
    struct cut cut = {.planes = 1};
    cut.cols = fc_min(g->cols, ITEM_BYTES / size);
    cut.rows = fc_max(1, fc_min(g->rows, ITEM_BYTES / row_bytes));
    if (g->contiguous)
        cut.planes = fc_max(1, fc_min(g->planes, ITEM_BYTES / plane_bytes));
    cut.plane_blocks = fc_ceil_div(g->planes, cut.planes);
    cut.row_blocks = fc_ceil_div(g->rows, cut.rows);
    cut.col_blocks = fc_ceil_div(g->cols, cut.cols);
    cut.streams = g->contiguous && g->planes * plane_bytes >= STREAM_BYTES;
    return cut;
}

/* ---- one block ---- */

/* Elements `step` bytes apart, or one that is repeated. */
static void pick(const struct fc_gather *g, const struct fc_copy *c, int64_t step)
{
    const int64_t size = (int64_t)g->element_bytes;
    const struct fc_elements e = {.dst = c->dst,
                                  .dst_row = c->dst_step,
                                  .dst_step = size,
                                  .src = c->src,
                                  .src_row = c->src_step,
                                  .src_step = step,
                                  .rows = c->rows,
                                  .count = c->bytes / size};
    fc_copy_elements(&e, g->element_bytes);
}

static void fill(const struct fc_gather *g, struct fc_copy *c)
{
    static const char zeros[8];
    if (c->dst_step == c->bytes) {
        c->bytes *= c->rows;
        c->rows = 1;
    }
    /* Borders are a few elements wide: a call of memset would take longer than they do. */
    if (c->bytes >= 64 && memcmp(g->value, zeros, g->element_bytes) == 0) {
        for (int64_t r = 0; r < c->rows; r++)
            memset(c->dst + r * c->dst_step, 0, (size_t)c->bytes);
        return;
    }
    c->src = g->value;
    c->src_step = 0;
    pick(g, c, 0);
}

/* The part of an item in one plane, to y. */
static void gather(const struct fc_gather *g, const struct fc_gather_plane *p, const struct item *t,
                   char *y, int64_t y_row, int64_t ahead)
{
    const int64_t size = (int64_t)g->element_bytes;
    const int64_t row_end = t->row0 + t->rows, col_end = t->col0 + t->cols;
    struct fc_copy c = {.dst_step = y_row, .ahead = ahead};
    if (!p->x) {
        c.dst = y;
        c.rows = t->rows;
        c.bytes = t->cols * size;
        fill(g, &c);
        return;
    }
    for (int i = 0; i < 3; i++) {
        const struct fc_stretch *rows = &p->rows.of[i];
        const int64_t r0 = fc_max(rows->begin, t->row0), r1 = fc_min(rows->end, row_end);
        if (r0 >= r1)
            continue;
        for (int j = 0; j < 3; j++) {
            const struct fc_stretch *cols = &p->cols.of[j];
            const int64_t c0 = fc_max(cols->begin, t->col0), c1 = fc_min(cols->end, col_end);
            if (c0 >= c1)
                continue;
            c.dst = y + (r0 - t->row0) * y_row + (c0 - t->col0) * size;
            c.dst_step = y_row;
            c.rows = r1 - r0;
            c.bytes = (c1 - c0) * size;
            if (rows->constant || cols->constant) {
                fill(g, &c);
                continue;
            }
            c.src = p->x + (rows->from + (r0 - rows->begin) * rows->step) * p->x_row +
                    (cols->from + (c0 - cols->begin) * cols->step) * p->x_col;
            c.src_step = rows->step * p->x_row;
            if (cols->step * p->x_col == size)
                g->kernels->copy(&c);
            else
                pick(g, &c, cols->step * p->x_col);
        }
    }
}

/* ---- all of them ---- */

double fc_gather_seconds(const struct fc_gather *g)
{
    const double bytes =
        (double)g->planes * (double)g->rows * (double)g->cols * (double)g->element_bytes;
    /* From L3 and to it, and what the blocks of a plane take. */
    return bytes / 15e9 + (double)g->planes * 40e-9;
}

size_t fc_gather_scratch(const struct fc_gather *g)
{
    return cut_of(g).streams ? (size_t)ITEM_BYTES : FC_ALIGNMENT;
}

static void run_item(const struct fc_gather *g, const struct item *t, char *stage)
{
    const int64_t size = (int64_t)g->element_bytes, plane_bytes = g->rows * g->cols * size;
    const int64_t staged_row = t->cols * size;
    struct fc_gather_plane p;
    char *first = NULL;
    for (int64_t i = 0; i < t->planes; i++) {
        g->plane(g->operation, t->plane0 + i, &p);
        char *const y = p.y + t->row0 * g->y_row + t->col0 * size;
        if (i == 0)
            first = y;
        if (stage)
            gather(g, &p, t, stage + i * plane_bytes, staged_row, AHEAD_BYTES);
        else
            gather(g, &p, t, y, g->y_row, 0);
    }
    if (stage)
        g->kernels->stream(first, stage, t->planes * t->rows * staged_row);
}

struct job {
    const struct fc_gather *g;
    struct cut cut;
    char *scratch;
};

static void run_share(const void *arg, struct fc_items *items)
{
    const struct job *const job = arg;
    const struct fc_gather *const g = job->g;
    const struct cut cut = job->cut;
    char *const stage = cut.streams ? job->scratch + items->thread * ITEM_BYTES : NULL;
    for (int64_t i; (i = fc_next(items)) >= 0;) {
        struct item t = {.col0 = i % cut.col_blocks * cut.cols,
                         .row0 = i / cut.col_blocks % cut.row_blocks * cut.rows,
                         .plane0 = i / cut.col_blocks / cut.row_blocks * cut.planes};
        t.cols = fc_min(cut.cols, g->cols - t.col0);
        t.rows = fc_min(cut.rows, g->rows - t.row0);
        t.planes = fc_min(cut.planes, g->planes - t.plane0);
        run_item(g, &t, stage);
    }
    if (stage)
        g->kernels->stream_end();
}

void fc_gather_run(const struct fc_gather *g, char *scratch, int threads)
{
    const struct job job = {g, cut_of(g), scratch};
    const int64_t items = job.cut.plane_blocks * job.cut.row_blocks * job.cut.col_blocks;
    fc_share(threads, items, fc_claim(fc_gather_seconds(g), items, threads), run_share, &job);
}
