/* Pooling, both layouts and every element type.
 *
 * planes   NCHW: vectors along the width, through a line of joined rows in L1
 * spans    NCHW: windows of varying width, taken from a line of joined rows by scalars
 * beside   NCHW: small planes side by side in L1, as pixels of so many channels
 * pixels   NHWC: vectors along the channels
 * whole    NCHW: one window that is the image
 * windows  the definition, by scalars: integers, indices, and windows too wide for the line
 * pieces   averages over windows too wide for the line, by the sum kernel; float16 volumes
 *
 * All but the last three know planes alone: of a volume, the planes that a window takes are joined
 * into one first, with their own types, and pooled then.
 *
 * An item is a block of output rows and columns of one plane of an image and, in NCHW, of one
 * channel or a group of them. */
#include <string.h>

#include "ops/parallel.h"
#include "ops/pooling.h"

typedef void run_fn(struct fc_pool_worker *, const struct fc_pool_item *);

/* ---- the divisor of an average ---- */

double fc_pool_count(const fc_pool_plan *p, const struct fc_axis *a, int axis, int64_t q)
{
    const fc_pool_desc *d = &p->desc;
    if (d->divisor)
        return axis ? 1 : (double)d->divisor;
    if (d->count_include_pad && !d->adaptive) {
        const int64_t end = a->size + d->pad[2 * axis + 1], start = q * a->stride - a->before;
        return (double)fc_min(a->taps, end - start);
    }
    /* Nothing divided by nothing is 0 here: a window without any pixel. */
    return (double)fc_max(1, fc_span_at(a, q).count);
}

static double row_count_at(const struct fc_pool_worker *w, int64_t plane, int64_t i)
{
    if (w->p->desc.kind == FC_POOL_MAX)
        return 1;
    return fc_pool_count(w->p, &w->axis[0], 0, plane) * fc_pool_count(w->p, &w->axis[1], 1, i);
}

static void set_element(const fc_pool_plan *p, void *elements, int64_t i, double value)
{
    if (p->element_bytes == sizeof(double))
        ((double *)elements)[i] = value;
    else
        ((float *)elements)[i] = (float)value;
}

/* Windows within the image all count alike, and of a long row they are nearly all. */
static void fill_columns(struct fc_pool_worker *w, int64_t col0, int64_t cols)
{
    const fc_pool_plan *p = w->p;
    const struct fc_axis *const a = &w->axis[2];
    int64_t first = cols, last = cols;
    if (a->stride) {
        const int64_t room = a->size + a->before - fc_pool_reach(a);
        first = fc_min(cols, fc_max(0, fc_ceil_div(a->before, a->stride) - col0));
        last = room < 0 ? first : fc_min(cols, fc_max(first, room / a->stride + 1 - col0));
    }
    const double inside = first < last ? fc_pool_count(p, a, 2, col0 + first) : 0;
    for (int64_t q = 0; q < cols; q++)
        set_element(p, w->col_count, q,
                    q >= first && q < last ? inside : fc_pool_count(p, a, 2, col0 + q));
}

static void hold_counts(struct fc_pool_worker *w, const struct fc_pool_item *t)
{
    const fc_pool_plan *p = w->p;
    if (p->desc.kind == FC_POOL_MAX)
        return;
    if (w->held.row0 != t->row0 || w->held.rows != t->rows || w->held.plane != t->plane)
        for (int64_t i = 0; i < t->rows; i++)
            set_element(p, w->row_count, i, row_count_at(w, t->plane, t->row0 + i));
    if (w->held.col0 != t->col0 || w->held.cols != t->cols)
        fill_columns(w, t->col0, t->cols);
    w->held = *t;
}

/* ---- planes ---- */

/* channel counts blocks of item_planes. */
static void run_planes(struct fc_pool_worker *w, const struct fc_pool_item *t)
{
    const fc_pool_plan *p = w->p;
    const struct fc_axis *a = &w->axis[2];
    hold_counts(w, t);
    /* The line is [begin, end) of the row, of which [first, last) lies in the image. */
    const int64_t begin = t->col0 * a->stride - a->before;
    const int64_t end = begin + (t->cols - 1) * a->stride + fc_pool_reach(a);
    const int64_t before = fc_min(fc_max(begin, 0), end) - begin;
    const int64_t first = fc_min(begin + before, a->size), last = fc_min(end, a->size);
    const int64_t inside = fc_max(last - first, 0);
    const int64_t c = t->channel * p->item_planes;
    const struct fc_pool_plane plane = {.x = fc_pool_input(w, t->image, c, 0, 0, first),
                                        .planes = fc_min(p->item_planes, p->desc.c - c),
                                        .x_plane = w->x->c,
                                        .x_row = w->x->h,
                                        .height = w->axis[1],
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
                                        .y = fc_pool_output(w, t->image, c, 0, t->row0, t->col0),
                                        .y_plane = w->y->c,
                                        .y_row = w->y->h,
                                        .cols = t->cols,
                                        .half = p->desc.dtype == FC_FLOAT16};
    (p->desc.kind == FC_POOL_MAX ? p->family->max_plane : p->family->avg_plane)(&plane);
}

static void run_pixels(struct fc_pool_worker *w, const struct fc_pool_item *t)
{
    const fc_pool_plan *p = w->p;
    hold_counts(w, t);
    for (int64_t i = t->row0; i < t->row0 + t->rows; i++) {
        const struct fc_span rows = fc_span_at(&w->axis[1], i);
        const struct fc_pool_pixels pixels = {
            .x = fc_pool_input(w, t->image, 0, 0, rows.first, 0),
            .x_row = rows.count > 1 ? w->axis[1].dilation * w->x->h : 0,
            .x_pixel = w->x->w,
            .kh = rows.count,
            .width = w->axis[2],
            .q0 = t->col0,
            .cols = t->cols,
            .channels = p->desc.c,
            .row_count = row_count_at(w, t->plane, i),
            .col_count = w->col_count,
            .y = fc_pool_output(w, t->image, 0, 0, i, t->col0),
            .y_pixel = w->y->w,
            .half = p->desc.dtype == FC_FLOAT16};
        (p->desc.kind == FC_POOL_MAX ? p->family->max_pixels : p->family->avg_pixels)(&pixels);
    }
}

/* An item is all rows of its planes, here and in run_whole. */
static void run_beside(struct fc_pool_worker *w, const struct fc_pool_item *t)
{
    const fc_pool_plan *p = w->p;
    const fc_pool_desc *d = &p->desc;
    const int64_t h = d->size[1], width = d->size[2], oh = p->out[1], ow = p->out[2];
    const int64_t planes = p->item_planes, size = (int64_t)p->element_bytes;
    const int64_t c = t->channel * planes, count = fc_min(planes, d->c - c);
    char *const out = w->line + h * width * planes * size;
    const int whole_rows = w->x->h == width, whole_y = w->y->h == ow;
    hold_counts(w, t);
    if (count % p->family->vl) /* no denormals in lanes that are computed and dropped */
        memset(w->line, 0, (size_t)(h * width * planes * size));
    struct fc_panel panel = {.mr = planes,
                             .count = count,
                             .src_channel = 1,
                             .src_pixel = w->x->c,
                             .channels = whole_rows ? h * width : width};
    for (int64_t i = 0; i < (whole_rows ? 1 : h); i++) {
        panel.dst = w->line + i * width * planes * size;
        panel.src = fc_pool_input(w, t->image, c, 0, i, 0);
        p->family->panel(&panel);
    }
    for (int64_t i = 0; i < oh; i++) {
        const struct fc_span rows = fc_span_at(&w->axis[1], i);
        const struct fc_pool_pixels pixels = {
            .x = w->line + rows.first * width * planes * size,
            .x_row = rows.count > 1 ? w->axis[1].dilation * width * planes : 0,
            .x_pixel = planes,
            .kh = rows.count,
            .width = w->axis[2],
            .cols = ow,
            .channels = fc_ceil_div(count, p->family->vl) * p->family->vl,
            .row_count = row_count_at(w, t->plane, i),
            .col_count = w->col_count,
            .y = out + i * ow * planes * size,
            .y_pixel = planes};
        (d->kind == FC_POOL_MAX ? p->family->max_pixels : p->family->avg_pixels)(&pixels);
    }
    struct fc_store store = {.nr = planes,
                             .pixels = whole_y ? oh * ow : ow,
                             .channels = count,
                             .y_pixel = 1,
                             .y_channel = w->y->c,
                             .act = fc_act_of(FC_ACT_NONE, 0, 0)};
    for (int64_t i = 0; i < (whole_y ? 1 : oh); i++) {
        store.tile = out + i * ow * planes * size;
        store.y = fc_pool_output(w, t->image, c, 0, i, 0);
        p->family->store(&store);
    }
}

/* Of volumes, where planes follow one another as rows do. */
static void run_whole(struct fc_pool_worker *w, const struct fc_pool_item *t)
{
    const fc_pool_plan *p = w->p;
    const fc_pool_desc *d = &p->desc;
    const int64_t c = t->channel * p->item_planes;
    const int max = d->kind == FC_POOL_MAX;
    const struct fc_pool_whole whole = {
        .x = fc_pool_input(w, t->image, c, 0, 0, 0),
        .planes = fc_min(p->item_planes, d->c - c),
        .x_plane = w->x->c,
        .rows = d->size[0] * d->size[1],
        .cols = d->size[2],
        .x_row = d->size[1] > 1 ? w->x->h : w->x->d,
        .count = max ? 1 : row_count_at(w, 0, 0) * fc_pool_count(p, &w->axis[2], 2, 0),
        .y = fc_pool_output(w, t->image, c, 0, 0, 0),
        .y_step = w->y->c,
        .half = d->dtype == FC_FLOAT16};
    (max ? p->family->max_whole : p->family->avg_whole)(&whole);
}

/* ---- rows that are joined into memory ---- */

/* `count` elements each of some planes: y[i] = the rows of window q of an axis, x_row apart, joined
 * as they are in the input's type, undivided. */
static void join_rows(const struct fc_pool_worker *w, const struct fc_axis *a, int64_t q,
                      const char *x, int64_t x_row, int64_t planes, int64_t x_plane, char *y,
                      int64_t y_plane, int64_t count)
{
    const fc_pool_plan *p = w->p;
    for (int64_t i = 0; i < count; i += FC_POOL_JOIN) {
        const int64_t n = fc_min(FC_POOL_JOIN, count - i);
        const struct fc_pool_plane rows = {.x = x + i * (int64_t)p->io_bytes,
                                           .planes = planes,
                                           .x_plane = x_plane,
                                           .x_row = x_row,
                                           .height = *a,
                                           .row0 = q,
                                           .rows = 1,
                                           .inside = n,
                                           .kw = 1,
                                           .stride = 1,
                                           .dilation = 1,
                                           .line = w->line,
                                           .lines = 1,
                                           .row_count = w->ones,
                                           .col_count = w->ones,
                                           .y = y + i * (int64_t)p->io_bytes,
                                           .y_plane = y_plane,
                                           .cols = n,
                                           .half = p->desc.dtype == FC_FLOAT16};
        (p->desc.kind == FC_POOL_MAX ? p->family->max_plane : p->family->avg_plane)(&rows);
    }
}

/* Where the pixels that some neighbouring windows take begin and end; one, where there are none. */
static void range_of(const struct fc_axis *a, int64_t q, int64_t windows, int64_t *begin,
                     int64_t *end)
{
    const struct fc_span last = fc_span_at(a, q + windows - 1);
    *begin = a->stride ? fc_max(q * a->stride - a->before, 0) : fc_span_at(a, q).first;
    *end = a->stride ? fc_min((q + windows - 1) * a->stride - a->before + fc_pool_reach(a), a->size)
                     : last.first + last.count;
    if (*end <= *begin) {
        *begin = fc_min(*begin, a->size - 1);
        *end = *begin + 1;
    }
}

static double element_at(const char *elements, size_t bytes, int64_t i)
{
    return bytes == sizeof(double) ? ((const double *)elements)[i] : ((const float *)elements)[i];
}

static void run_spans(struct fc_pool_worker *w, const struct fc_pool_item *t)
{
    const fc_pool_plan *p = w->p;
    const int max = p->desc.kind == FC_POOL_MAX;
    const size_t bytes = p->io_bytes;
    char *const line = w->ones + fc_align((size_t)FC_POOL_JOIN * bytes);
    int64_t begin, end;
    range_of(&w->axis[2], t->col0, t->cols, &begin, &end);
    hold_counts(w, t);
    for (int64_t i = 0; i < t->rows; i++) {
        join_rows(w, &w->axis[1], t->row0 + i, fc_pool_input(w, t->image, t->channel, 0, 0, begin),
                  w->x->h, 1, 0, line, 0, end - begin);
        for (int64_t q = 0; q < t->cols; q++) {
            const struct fc_span span = fc_span_at(&w->axis[2], t->col0 + q);
            const int64_t first = span.first - begin;
            double joined = element_at(line, bytes, first);
            for (int64_t j = first + 1; j < first + span.count; j++) {
                const double e = element_at(line, bytes, j);
                if (!max)
                    joined += e;
                else if (e > joined || e != e)
                    joined = e;
            }
            if (!max)
                joined /= element_at(w->row_count, bytes, i) * element_at(w->col_count, bytes, q);
            fc_pool_put(p, fc_pool_output(w, t->image, t->channel, 0, t->row0 + i, t->col0 + q),
                        joined);
        }
    }
}

/* Points x at the planes of a volume that an item's windows take, joined into one, as far as the
 * item needs it. */
static void join_planes(struct fc_pool_worker *w, const struct fc_pool_item *t, fc_array *x)
{
    const fc_pool_plan *p = w->p;
    const fc_pool_desc *d = &p->desc;
    const int last = d->channels_last;
    const int64_t c = last ? 0 : t->channel * p->item_planes;
    const int64_t planes = last ? 1 : fc_min(p->item_planes, d->c - c);
    const int64_t chans = last ? d->c : 1, bytes = (int64_t)p->io_bytes;
    int64_t row0 = 0, row1 = d->size[1], col0 = 0, col1 = d->size[2];
    if (p->path != FC_POOL_BESIDE) {
        range_of(&w->axis[1], t->row0, t->rows, &row0, &row1);
        range_of(&w->axis[2], t->col0, t->cols, &col0, &col1);
    }
    const fc_array y = {.data = w->joined,
                        .c = last ? 1 : (row1 - row0) * (col1 - col0),
                        .h = (col1 - col0) * chans,
                        .w = chans};
    /* As many elements at once as lie side by side in x, too. */
    int64_t count = chans, cols = col1 - col0, rows = row1 - row0;
    if (x->w == count) {
        count *= cols;
        cols = 1;
        if (x->h == count) {
            count *= rows;
            rows = 1;
        }
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            join_rows(w, &w->axis[0], t->plane,
                      fc_pool_input(w, t->image, c, 0, row0 + i, col0 + j), x->d, planes, x->c,
                      w->joined + (i * y.h + j * y.w) * bytes, y.c, count);
    *x = y;
    /* Its pixels have the same places as those of the input. */
    x->data = (char *)((uintptr_t)w->joined -
                       (uintptr_t)((c * y.c * !last + row0 * y.h + col0 * y.w) * bytes));
}

/* By the path of planes, for the one plane of the output that the item lies in. */
static void run_volume(struct fc_pool_worker *w, const struct fc_pool_item *t, run_fn *run)
{
    const int64_t bytes = (int64_t)w->p->io_bytes;
    const struct fc_span planes = fc_span_at(&w->axis[0], t->plane);
    const fc_array *const volume = w->x, *const out = w->y;
    fc_array x = *volume, y = *out;
    y.data = (char *)y.data + t->plane * y.d * bytes;
    if (planes.count == 1)
        x.data = (char *)x.data + planes.first * x.d * bytes;
    else
        join_planes(w, t, &x);
    w->x = &x;
    w->y = &y;
    run(w, t);
    w->x = volume;
    w->y = out;
}

static enum fc_pool_path path_now(const fc_pool_plan *p, const fc_array *x, int indices)
{
    if (indices)
        return FC_POOL_WINDOWS;
    const int64_t *const size = p->desc.size;
    if (p->path == FC_POOL_WHOLE && size[0] > 1 && size[1] > 1 && x->d != size[1] * x->h)
        return fc_pool_by_window(p);
    return p->path;
}

struct job {
    const fc_pool_plan *p;
    const fc_array *x, *y;
    int64_t *indices;
    char *scratch;
    enum fc_pool_path path;
    int64_t channels, row_blocks, col_blocks; /* items along each */
};

static void run_share(const void *arg, struct fc_items *items)
{
    static run_fn *const run[] = {
        [FC_POOL_PLANES] = run_planes,    [FC_POOL_SPANS] = run_spans,
        [FC_POOL_BESIDE] = run_beside,    [FC_POOL_PIXELS] = run_pixels,
        [FC_POOL_WHOLE] = run_whole,      [FC_POOL_WINDOWS] = fc_pool_windows,
        [FC_POOL_PIECES] = fc_pool_pieces};
    const struct job *const job = arg;
    const fc_pool_plan *const p = job->p;
    const enum fc_pool_path path = job->path;
    const int joins = path == p->path && fc_pool_joins_planes(p);
    char *const own = job->scratch + (size_t)items->thread * p->scratch_bytes;
    struct fc_pool_worker w = {.p = p,
                               .x = job->x,
                               .y = job->y,
                               .indices = job->indices,
                               .axis = {fc_pool_axis(p, 0), fc_pool_axis(p, 1), fc_pool_axis(p, 2)},
                               .row_count = own,
                               .col_count = own + fc_align((size_t)(p->item_rows * 8)),
                               .held = {.rows = 0, .cols = 0}};
    w.line = w.col_count + fc_align((size_t)(p->item_cols * 8));
    w.ones = w.line + p->line_bytes;
    w.joined = own + p->scratch_bytes - p->joined_bytes;
    if (joins || path == FC_POOL_SPANS)
        for (int64_t i = 0; i < FC_POOL_JOIN; i++)
            set_element(p, w.ones, i, 1);
    for (int64_t i; (i = fc_next(items)) >= 0;) {
        const int64_t row = i % job->row_blocks, plane = i / job->row_blocks;
        const int64_t channel = plane / p->out[0], column = channel / job->channels;
        struct fc_pool_item t = {.row0 = row * p->item_rows,
                                 .plane = plane % p->out[0],
                                 .channel = channel % job->channels,
                                 .col0 = column % job->col_blocks * p->item_cols,
                                 .image = column / job->col_blocks};
        t.cols = fc_min(p->item_cols, p->out[2] - t.col0);
        t.rows = fc_min(p->item_rows, p->out[1] - t.row0);
        if (joins)
            run_volume(&w, &t, run[path]);
        else
            run[path](&w, &t);
    }
}

void fc_pool_run(const fc_pool_plan *p, const fc_array *x, const fc_array *y, int64_t *indices,
                 char *scratch, int threads)
{
    const fc_pool_desc *d = &p->desc;
    struct job job = {.p = p,
                      .x = x,
                      .y = y,
                      .indices = indices,
                      .scratch = scratch,
                      .path = path_now(p, x, indices != NULL),
                      .row_blocks = fc_ceil_div(p->out[1], p->item_rows),
                      .col_blocks = fc_ceil_div(p->out[2], p->item_cols)};
    const int64_t planes = job.path == p->path ? p->item_planes : 1;
    job.channels = d->channels_last ? 1 : fc_ceil_div(d->c, planes);
    const int64_t items = d->n * job.channels * p->out[0] * job.row_blocks * job.col_blocks;
    const double seconds = indices ? p->index_seconds : p->seconds;
    fc_share(threads, items, fc_claim(seconds, items, threads), run_share, &job);
}
