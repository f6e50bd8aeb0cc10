/* Pooling, both layouts and every element type.
 *
 * planes   NCHW: vectors along the width, through a line of joined rows in L1
 * beside   NCHW: small planes side by side in L1, as pixels of so many channels
 * pixels   NHWC: vectors along the channels
 * whole    NCHW: one window that is the image
 * windows  the definition, by scalars: integers, indices, and windows too wide for the line
 * pieces   averages over windows too wide for the line, by the sum kernel
 *
 * An item is a block of output rows and columns of one image and, in NCHW, of one channel or a
 * group of them. */
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "ops/ops.h"
#include "ops/parallel.h"

/* Lines of joined rows.  Short rows go together, for a line that is read back at once waits for its
 * stores; wide ones by the few, so that memory is read along the rows.  The longest line is a
 * quarter of the smallest L1 (32 KB). */
static const int64_t LINES_BYTES = 6 << 10, LINE_BYTES = 8 << 10, LINES_MAX = 64;
/* Columns between windows are joined and dropped; with this many for each that is used, windows are
 * taken one by one instead. */
static const int64_t SPARSE = 8;
/* Output elements of one item: large enough for long runs through memory, small enough that the
 * last item is no long wait. */
static const int64_t ITEM_OUTPUTS = 16 << 10;
static const int64_t ITEM_ROWS_MAX = 512, ITEM_COLS_MAX = 4096;
/* Output elements of small planes that go together: what is the same for all of them is found once,
 * without which 2x2 maxima at 14x14 took 1.7 times as long.  Two thousand are 1 us of work. */
static const int64_t PLANES_OUTPUTS = 2 << 10;
/* Planes of one item of whole planes: a line of outputs for each of 16 vectors' lanes. */
static const int64_t WHOLE_PLANES = 64;
/* Planes that go side by side with their outputs: as many vectors of them, up to four, which the
 * kernel takes at once, as fit three quarters of the smallest L1. */
static const int64_t BESIDE_BYTES = 24 << 10, BESIDE_VECTORS = 4;
/* Output columns up to which they do: 5x5 averages at 5x3 take a sixth of the time of rows so; 3x3
 * maxima at 7x7 0.63 of it, at 14x14 1.36 (AVX2, while planes still went one by one). */
static const int64_t BESIDE_COLS = 8;
/* Elements of float16 that are converted and summed at once. */
static const int64_t PIECE = 2048;

static struct fc_axis axis_of(const fc_pool_desc *d, int axis)
{
    const int64_t taps = axis ? d->kw : d->kh;
    return (struct fc_axis){axis ? d->w : d->h, d->pad[2 * axis], taps, d->stride[axis],
                            d->dilation[axis]};
}

/* Positions from a window's first to its last. */
static int64_t reach_of(const struct fc_axis *a)
{
    return (a->taps - 1) * a->dilation + 1;
}

static int covers(const struct fc_axis *a, int64_t windows)
{
    const struct fc_span span = fc_span_at(a, 0);
    return windows == 1 && span.count == a->size;
}

static int64_t beside_bytes(const fc_pool_plan *p, int64_t planes)
{
    const int64_t pixels = p->desc.h * p->desc.w + p->oh * p->ow + p->family->vl;
    return pixels * planes * (int64_t)p->element_bytes;
}

/* Short rows of outputs, other than those that need no lines: of pairs of pixels, and of 3 x 3
 * with stride 2 (pool_planes.inc), which took 0.62 to 0.82 of this way's time at 13x13 and 14x14 on
 * AVX-512 and AVX2. */
static int goes_beside(const fc_pool_plan *p)
{
    const fc_pool_desc *d = &p->desc;
    const int64_t stride = d->stride[1];
    const int direct = d->dilation[1] == 1 &&
                       ((d->kw == 2 && stride == 2) || (d->kw == 3 && stride == 2 && d->kh == 3 &&
                                                        d->stride[0] == 2 && d->dilation[0] == 1));
    return d->dtype != FC_FLOAT16 && d->c >= p->family->vl && p->ow <= BESIDE_COLS && !direct &&
           d->h <= BESIDE_BYTES && d->w <= BESIDE_BYTES && p->oh <= BESIDE_BYTES &&
           beside_bytes(p, p->family->vl) <= BESIDE_BYTES;
}

static enum fc_pool_path path_of(const fc_pool_plan *p, const struct fc_axis *height,
                                 const struct fc_axis *width)
{
    if (!p->family)
        return FC_POOL_WINDOWS;
    if (p->desc.channels_last)
        return FC_POOL_PIXELS;
    if (covers(height, p->oh) && covers(width, p->ow))
        return FC_POOL_WHOLE;
    if (goes_beside(p))
        return FC_POOL_BESIDE;
    const int64_t reach = reach_of(width);
    if (reach > LINE_BYTES / 2 / (int64_t)p->element_bytes || width->stride / SPARSE > width->taps)
        return p->desc.kind == FC_POOL_MAX ? FC_POOL_WINDOWS : FC_POOL_PIECES;
    return FC_POOL_PLANES;
}

void fc_pool_prepare(fc_pool_plan *p)
{
    const fc_pool_desc *d = &p->desc;
    const struct fc_axis height = axis_of(d, 0), width = axis_of(d, 1);
    const int64_t size = (int64_t)p->element_bytes;
    p->path = path_of(p, &height, &width);
    p->item_cols = fc_min(p->ow, ITEM_COLS_MAX);
    p->item_planes = 1;
    size_t line = 0;
    if (p->path == FC_POOL_PLANES) {
        const int64_t most = LINE_BYTES / size, reach = reach_of(&width);
        p->item_cols = fc_min(p->item_cols, (most - reach) / width.stride + 1);
        const int64_t length = (p->item_cols - 1) * width.stride + reach;
        const int64_t pitch_bytes = (length + 4 * p->family->vl) * size;
        p->lines = fc_max(1, fc_min(LINES_MAX, LINES_BYTES / pitch_bytes - 1));
        line = fc_align((size_t)((p->lines + 1) * pitch_bytes));
        p->item_planes = fc_max(1, fc_min(d->c, PLANES_OUTPUTS / (p->oh * p->ow)));
    } else if (p->path == FC_POOL_BESIDE) {
        const int64_t vl = p->family->vl;
        p->item_planes =
            fc_min(BESIDE_VECTORS, fc_min(BESIDE_BYTES / beside_bytes(p, vl), d->c / vl)) * vl;
        line = fc_align((size_t)beside_bytes(p, p->item_planes));
    } else if (p->path == FC_POOL_WHOLE) {
        p->item_planes = WHOLE_PLANES;
    } else if (p->path == FC_POOL_PIECES && d->dtype == FC_FLOAT16) {
        line = fc_align((size_t)PIECE * sizeof(float));
    }
    const int64_t outputs = p->item_cols * (d->channels_last ? d->c : 1);
    p->item_rows = p->path == FC_POOL_BESIDE
                       ? p->oh
                       : fc_max(1, fc_min(fc_min(p->oh, ITEM_ROWS_MAX), ITEM_OUTPUTS / outputs));
    p->scratch_bytes =
        line + fc_align((size_t)(p->item_rows * 8)) + fc_align((size_t)(p->item_cols * 8));

    /* By bytes through L3 for vectors, by taps for scalars. */
    const double images = (double)d->n * (double)d->c, out = (double)p->oh * (double)p->ow;
    const double taps = (double)fc_min(d->kh, d->h) * (double)fc_min(d->kw, d->w);
    const double bytes = (double)p->io_bytes * images * ((double)d->h * (double)d->w + out);
    p->seconds = p->path == FC_POOL_WINDOWS ? images * out * taps * 1.0e-9
                                            : bytes / 15e9 + images * out * taps * 0.05e-9;
}

/* ---- the divisor of an average ---- */

/* Positions of window q that count, along one axis. */
static double count_at(const fc_pool_plan *p, const struct fc_axis *a, int axis, int64_t q)
{
    const fc_pool_desc *d = &p->desc;
    if (d->divisor)
        return axis ? 1 : (double)d->divisor;
    if (d->count_include_pad) {
        const int64_t end = a->size + d->pad[2 * axis + 1], start = q * a->stride - a->before;
        return (double)fc_min(a->taps, end - start);
    }
    /* Nothing divided by nothing is 0 here: a window without any pixel. */
    return (double)fc_max(1, fc_span_at(a, q).count);
}

static void fill_counts(const fc_pool_plan *p, const struct fc_axis *a, int axis, int64_t q0,
                        int64_t count, void *counts)
{
    for (int64_t q = 0; q < count; q++) {
        const double value = count_at(p, a, axis, q0 + q);
        if (p->element_bytes == sizeof(double))
            ((double *)counts)[q] = value;
        else
            ((float *)counts)[q] = (float)value;
    }
}

/* ---- items ---- */

struct item {
    int64_t image, channel, row0, rows, col0, cols;
};

/* What one thread needs for its items. */
struct worker {
    const fc_pool_plan *p;
    const fc_array *x, *y;
    int64_t *indices;
    struct fc_axis height, width;
    char *line, *row_count, *col_count;
    struct item held; /* whose counts stand in row_count and col_count */
};

static const char *input_at(const struct worker *w, int64_t image, int64_t c, int64_t ih,
                            int64_t iw)
{
    const fc_array *x = w->x;
    return (const char *)x->data +
           (image * x->n + c * x->c + ih * x->h + iw * x->w) * (int64_t)w->p->io_bytes;
}

static char *output_at(const struct worker *w, int64_t image, int64_t c, int64_t oh, int64_t ow)
{
    const fc_array *y = w->y;
    return (char *)y->data +
           (image * y->n + c * y->c + oh * y->h + ow * y->w) * (int64_t)w->p->io_bytes;
}

static void hold_counts(struct worker *w, const struct item *t)
{
    if (w->p->desc.kind == FC_POOL_MAX)
        return;
    if (w->held.row0 != t->row0 || w->held.rows != t->rows)
        fill_counts(w->p, &w->height, 0, t->row0, t->rows, w->row_count);
    if (w->held.col0 != t->col0 || w->held.cols != t->cols)
        fill_counts(w->p, &w->width, 1, t->col0, t->cols, w->col_count);
    w->held = *t;
}

/* channel counts blocks of item_planes. */
static void run_planes(struct worker *w, const struct item *t)
{
    const fc_pool_plan *p = w->p;
    const struct fc_axis *a = &w->width;
    hold_counts(w, t);
    /* The line is [begin, end) of the row, of which [first, last) lies in the image. */
    const int64_t begin = t->col0 * a->stride - a->before;
    const int64_t end = begin + (t->cols - 1) * a->stride + reach_of(a);
    const int64_t before = fc_min(fc_max(begin, 0), end) - begin;
    const int64_t first = fc_min(begin + before, a->size), last = fc_min(end, a->size);
    const int64_t inside = fc_max(last - first, 0);
    const int64_t c = t->channel * p->item_planes;
    const struct fc_pool_plane plane = {.x = input_at(w, t->image, c, 0, first),
                                        .planes = fc_min(p->item_planes, p->desc.c - c),
                                        .x_plane = w->x->c,
                                        .x_row = w->x->h,
                                        .height = w->height,
                                        .row0 = t->row0,
                                        .rows = t->rows,
                                        .before = before,
                                        .inside = inside,
                                        .after = end - begin - before - inside,
                                        .kw = a->taps,
                                        .stride = a->stride,
                                        .dilation = a->dilation,
                                        .line = w->line,
                                        .lines = p->lines,
                                        .row_count = w->row_count,
                                        .col_count = w->col_count,
                                        .y = output_at(w, t->image, c, t->row0, t->col0),
                                        .y_plane = w->y->c,
                                        .y_row = w->y->h,
                                        .cols = t->cols,
                                        .half = p->desc.dtype == FC_FLOAT16};
    (p->desc.kind == FC_POOL_MAX ? p->family->max_plane : p->family->avg_plane)(&plane);
}

static void run_pixels(struct worker *w, const struct item *t)
{
    const fc_pool_plan *p = w->p;
    hold_counts(w, t);
    for (int64_t i = t->row0; i < t->row0 + t->rows; i++) {
        const struct fc_span rows = fc_span_at(&w->height, i);
        const struct fc_pool_pixels pixels = {
            .x = input_at(w, t->image, 0, rows.first, 0),
            .x_row = rows.count > 1 ? w->height.dilation * w->x->h : 0,
            .x_pixel = w->x->w,
            .kh = rows.count,
            .width = w->width,
            .q0 = t->col0,
            .cols = t->cols,
            .channels = p->desc.c,
            .row_count = p->desc.kind == FC_POOL_AVG ? count_at(p, &w->height, 0, i) : 1,
            .col_count = w->col_count,
            .y = output_at(w, t->image, 0, i, t->col0),
            .y_pixel = w->y->w,
            .half = p->desc.dtype == FC_FLOAT16};
        (p->desc.kind == FC_POOL_MAX ? p->family->max_pixels : p->family->avg_pixels)(&pixels);
    }
}

/* An item is all rows of its planes, here and in run_whole. */
static void run_beside(struct worker *w, const struct item *t)
{
    const fc_pool_plan *p = w->p;
    const fc_pool_desc *d = &p->desc;
    const int64_t planes = p->item_planes, size = (int64_t)p->element_bytes;
    const int64_t c = t->channel * planes, count = fc_min(planes, d->c - c);
    char *const out = w->line + d->h * d->w * planes * size;
    const int whole_rows = w->x->h == d->w, whole_y = w->y->h == p->ow;
    hold_counts(w, t);
    if (count % p->family->vl) /* no denormals in lanes that are computed and dropped */
        memset(w->line, 0, (size_t)(d->h * d->w * planes * size));
    struct fc_panel panel = {.mr = planes,
                             .count = count,
                             .src_channel = 1,
                             .src_pixel = w->x->c,
                             .channels = whole_rows ? d->h * d->w : d->w};
    for (int64_t i = 0; i < (whole_rows ? 1 : d->h); i++) {
        panel.dst = w->line + i * d->w * planes * size;
        panel.src = input_at(w, t->image, c, i, 0);
        p->family->panel(&panel);
    }
    for (int64_t i = 0; i < p->oh; i++) {
        const struct fc_span rows = fc_span_at(&w->height, i);
        const struct fc_pool_pixels pixels = {
            .x = w->line + rows.first * d->w * planes * size,
            .x_row = rows.count > 1 ? w->height.dilation * d->w * planes : 0,
            .x_pixel = planes,
            .kh = rows.count,
            .width = w->width,
            .cols = p->ow,
            .channels = fc_ceil_div(count, p->family->vl) * p->family->vl,
            .row_count = d->kind == FC_POOL_AVG ? count_at(p, &w->height, 0, i) : 1,
            .col_count = w->col_count,
            .y = out + i * p->ow * planes * size,
            .y_pixel = planes};
        (d->kind == FC_POOL_MAX ? p->family->max_pixels : p->family->avg_pixels)(&pixels);
    }
    struct fc_store store = {.nr = planes,
                             .pixels = whole_y ? p->oh * p->ow : p->ow,
                             .channels = count,
                             .y_pixel = 1,
                             .y_channel = w->y->c,
                             .act = {FC_ACT_NONE, 0, 0}};
    for (int64_t i = 0; i < (whole_y ? 1 : p->oh); i++) {
        store.tile = out + i * p->ow * planes * size;
        store.y = output_at(w, t->image, c, i, 0);
        p->family->store(&store);
    }
}

static void run_whole(struct worker *w, const struct item *t)
{
    const fc_pool_plan *p = w->p;
    const int64_t c = t->channel * p->item_planes;
    const struct fc_pool_whole whole = {.x = input_at(w, t->image, c, 0, 0),
                                        .planes = fc_min(p->item_planes, p->desc.c - c),
                                        .x_plane = w->x->c,
                                        .rows = p->desc.h,
                                        .cols = p->desc.w,
                                        .x_row = w->x->h,
                                        .count = p->desc.kind == FC_POOL_AVG
                                                     ? count_at(p, &w->height, 0, 0) *
                                                           count_at(p, &w->width, 1, 0)
                                                     : 1,
                                        .y = output_at(w, t->image, c, 0, 0),
                                        .y_step = w->y->c,
                                        .half = p->desc.dtype == FC_FLOAT16};
    (p->desc.kind == FC_POOL_MAX ? p->family->max_whole : p->family->avg_whole)(&whole);
}

static void run_windows(struct worker *w, const struct item *t)
{
    const fc_pool_plan *p = w->p;
    const int last = p->desc.channels_last;
    const int64_t channels = last ? p->desc.c : 1;
    struct fc_pool_window window = {.x = input_at(w, t->image, t->channel, 0, 0),
                                    .x_row = w->x->h,
                                    .x_col = w->x->w,
                                    .height = w->height,
                                    .width = w->width,
                                    .q0 = t->col0,
                                    .cols = t->cols,
                                    .channels = channels,
                                    .y_col = w->y->w,
                                    .index_col = channels};
    for (int64_t i = t->row0; i < t->row0 + t->rows; i++) {
        const int64_t planes = last ? t->image : t->image * p->desc.c + t->channel;
        window.row = i;
        window.y = output_at(w, t->image, t->channel, i, t->col0);
        if (w->indices)
            window.indices = w->indices + ((planes * p->oh + i) * p->ow + t->col0) * channels;
        p->kernels->window[p->desc.dtype](&window);
    }
}

/* The sum over the rows and columns of a window that lie in the image. */
static double sum_pieces(const struct worker *w, const struct item *t, struct fc_span rows,
                         struct fc_span columns)
{
    const fc_pool_plan *p = w->p;
    const char *x = input_at(w, t->image, t->channel, rows.first, columns.first);
    if (p->desc.dtype != FC_FLOAT16)
        return p->family->sum(x, rows.count, columns.count, w->x->h);
    double sum = 0;
    for (int64_t i = 0; i < rows.count; i++)
        for (int64_t j = 0; j < columns.count; j += PIECE) {
            const int64_t n = fc_min(PIECE, columns.count - j);
            p->kernels->half_to_float((const uint16_t *)x + i * w->x->h + j, (float *)w->line, n);
            sum += p->family->sum(w->line, 1, n, n);
        }
    return sum;
}

static void run_pieces(struct worker *w, const struct item *t)
{
    const fc_pool_plan *p = w->p;
    for (int64_t i = t->row0; i < t->row0 + t->rows; i++) {
        const struct fc_span rows = fc_span_at(&w->height, i);
        const double row_count = count_at(p, &w->height, 0, i);
        for (int64_t q = t->col0; q < t->col0 + t->cols; q++) {
            const struct fc_span columns = fc_span_at(&w->width, q);
            double mean = 0;
            if (rows.count && columns.count)
                mean = sum_pieces(w, t, rows, columns) / (row_count * count_at(p, &w->width, 1, q));
            char *y = output_at(w, t->image, t->channel, i, q);
            const float rounded = (float)mean;
            if (p->desc.dtype == FC_FLOAT64)
                *(double *)y = mean;
            else if (p->desc.dtype == FC_FLOAT32)
                *(float *)y = rounded;
            else
                p->kernels->float_to_half(&rounded, (uint16_t *)y, 1);
        }
    }
}

void fc_pool_run(const fc_pool_plan *p, const fc_array *x, const fc_array *y, int64_t *indices,
                 char *scratch, int threads)
{
    typedef void run_fn(struct worker *, const struct item *);
    static run_fn *const run[] = {[FC_POOL_PLANES] = run_planes,   [FC_POOL_BESIDE] = run_beside,
                                  [FC_POOL_PIXELS] = run_pixels,   [FC_POOL_WHOLE] = run_whole,
                                  [FC_POOL_WINDOWS] = run_windows, [FC_POOL_PIECES] = run_pieces};
    const fc_pool_desc *d = &p->desc;
    const enum fc_pool_path path = indices ? FC_POOL_WINDOWS : p->path;
    const int64_t planes = indices ? 1 : p->item_planes;
    const int64_t channels = d->channels_last ? 1 : fc_ceil_div(d->c, planes);
    const int64_t row_blocks = fc_ceil_div(p->oh, p->item_rows);
    const int64_t col_blocks = fc_ceil_div(p->ow, p->item_cols);
    const int64_t items = d->n * channels * row_blocks * col_blocks;
    const int64_t claim = fc_claim(p->seconds, items, threads);
    (void)claim;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        char *const own = scratch + (size_t)fc_thread_index() * p->scratch_bytes;
        struct worker w = {.p = p,
                           .x = x,
                           .y = y,
                           .indices = indices,
                           .height = axis_of(d, 0),
                           .width = axis_of(d, 1),
                           .row_count = own,
                           .col_count = own + fc_align((size_t)(p->item_rows * 8)),
                           .held = {.rows = 0, .cols = 0}};
        w.line = w.col_count + fc_align((size_t)(p->item_cols * 8));
#pragma omp for schedule(dynamic, claim)
        for (int64_t i = 0; i < items; i++) {
            struct item t = {.col0 = i % col_blocks * p->item_cols,
                             .row0 = i / col_blocks % row_blocks * p->item_rows,
                             .channel = i / col_blocks / row_blocks % channels,
                             .image = i / col_blocks / row_blocks / channels};
            t.cols = fc_min(p->item_cols, p->ow - t.col0);
            t.rows = fc_min(p->item_rows, p->oh - t.row0);
            run[path](&w, &t);
        }
    }
}
