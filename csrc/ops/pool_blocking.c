/* The way that a pooling takes, and the blocks that it works in. */
#include "ops/pooling.h"

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
/* Bytes of planes that are joined for one item: a quarter of the smallest L2.  Items that need more
 * at their smallest go window by window beyond the second, which bounds the workspace. */
static const int64_t JOINED_BYTES = 64 << 10, JOINED_BYTES_MAX = 4 << 20;

static int covers(const struct fc_axis *a, int64_t windows)
{
    const struct fc_span span = fc_span_at(a, 0);
    return windows == 1 && span.count == a->size;
}

static int64_t beside_bytes(const fc_pool_plan *p, int64_t planes)
{
    const int64_t *const size = p->desc.size, *const out = p->out;
    const int64_t pixels = size[1] * size[2] + out[1] * out[2] + p->family->vl;
    return pixels * planes * (int64_t)p->element_bytes;
}

/* Short rows of outputs, other than those that need no lines: of pairs of pixels, and of 3 x 3
 * with stride 2 (pool_planes.inc), which took 0.62 to 0.82 of this way's time at 13x13 and 14x14 on
 * AVX-512 and AVX2. */
static int goes_beside(const fc_pool_plan *p)
{
    const fc_pool_desc *d = &p->desc;
    const int64_t *const kernel = d->kernel, *const stride = d->stride;
    const int direct = !p->adaptive[2] && d->dilation[2] == 1 &&
                       ((kernel[2] == 2 && stride[2] == 2) ||
                        (kernel[2] == 3 && stride[2] == 2 && !p->adaptive[1] && kernel[1] == 3 &&
                         stride[1] == 2 && d->dilation[1] == 1));
    return d->dtype != FC_FLOAT16 && d->c >= p->family->vl && p->out[2] <= BESIDE_COLS && !direct &&
           d->size[1] <= BESIDE_BYTES && d->size[2] <= BESIDE_BYTES && p->out[1] <= BESIDE_BYTES &&
           beside_bytes(p, p->family->vl) <= BESIDE_BYTES;
}

static enum fc_pool_path path_of(const fc_pool_plan *p, const struct fc_axis axis[3])
{
    const fc_pool_desc *d = &p->desc;
    if (!p->family)
        return FC_POOL_WINDOWS;
    /* A joined plane of float16 would be rounded. */
    if (d->axes == 3 && d->kind == FC_POOL_AVG && d->dtype == FC_FLOAT16)
        return FC_POOL_PIECES;
    if (d->channels_last)
        return FC_POOL_PIXELS;
    if (covers(&axis[0], p->out[0]) && covers(&axis[1], p->out[1]) && covers(&axis[2], p->out[2]))
        return FC_POOL_WHOLE;
    if (goes_beside(p))
        return FC_POOL_BESIDE;
    if (p->adaptive[2])
        return d->dtype == FC_FLOAT16 ? fc_pool_by_window(p) : FC_POOL_SPANS;
    if (fc_pool_reach(&axis[2]) > LINE_BYTES / 2 / (int64_t)p->element_bytes ||
        axis[2].stride / SPARSE > axis[2].taps)
        return fc_pool_by_window(p);
    return FC_POOL_PLANES;
}

/* Positions that `windows` neighbouring windows lie in, at most. */
static int64_t taken(const struct fc_axis *a, int64_t windows)
{
    if (a->stride == 0)
        return fc_min(a->size, windows * a->size / a->before + 2);
    return fc_min(a->size, (windows - 1) * a->stride + fc_pool_reach(a));
}

/* Of the planes that are joined for an item. */
static double joined_bytes(const fc_pool_plan *p, const struct fc_axis axis[3])
{
    const int whole = p->path == FC_POOL_BESIDE;
    const int64_t rows = whole ? axis[1].size : taken(&axis[1], p->item_rows);
    const int64_t cols = whole ? axis[2].size : taken(&axis[2], p->item_cols);
    const int64_t planes = p->desc.channels_last ? p->desc.c : p->item_planes;
    return (double)rows * (double)cols * (double)planes * (double)p->io_bytes;
}

static void choose_blocking(fc_pool_plan *p, const struct fc_axis axis[3])
{
    const fc_pool_desc *d = &p->desc;
    const struct fc_axis *const width = &axis[2];
    const int64_t oh = p->out[1], ow = p->out[2], size = (int64_t)p->element_bytes;
    p->item_cols = fc_min(ow, ITEM_COLS_MAX);
    p->item_planes = 1;
    p->line_bytes = 0;
    if (p->path == FC_POOL_PLANES) {
        const int64_t most = LINE_BYTES / size, reach = fc_pool_reach(width);
        p->item_cols = fc_min(p->item_cols, (most - reach) / width->stride + 1);
        const int64_t length = (p->item_cols - 1) * width->stride + reach;
        const int64_t pitch_bytes = (length + 4 * p->family->vl) * size;
        p->lines = fc_max(1, fc_min(LINES_MAX, LINES_BYTES / pitch_bytes - 1));
        p->line_bytes = fc_align((size_t)((p->lines + 1) * pitch_bytes));
        p->item_planes = fc_max(1, fc_min(d->c, PLANES_OUTPUTS / (oh * ow)));
    } else if (p->path == FC_POOL_BESIDE) {
        const int64_t vl = p->family->vl;
        p->item_planes =
            fc_min(BESIDE_VECTORS, fc_min(BESIDE_BYTES / beside_bytes(p, vl), d->c / vl)) * vl;
        p->line_bytes = fc_align((size_t)beside_bytes(p, p->item_planes));
    } else if (p->path == FC_POOL_WHOLE) {
        p->item_planes = WHOLE_PLANES;
    }
    const int64_t outputs = p->item_cols * (d->channels_last ? d->c : 1);
    p->item_rows = p->path == FC_POOL_BESIDE
                       ? oh
                       : fc_max(1, fc_min(fc_min(oh, ITEM_ROWS_MAX), ITEM_OUTPUTS / outputs));
    if (p->path == FC_POOL_BESIDE || !fc_pool_joins_planes(p))
        return;
    for (int64_t *block = &p->item_planes; joined_bytes(p, axis) > (double)JOINED_BYTES;
         *block = (*block + 1) / 2) {
        block = p->item_planes > 1 ? &p->item_planes : &p->item_rows;
        if (*block == 1)
            block = &p->item_cols;
        if (*block == 1)
            break;
    }
}

void fc_pool_prepare(fc_pool_plan *p)
{
    const fc_pool_desc *d = &p->desc;
    const struct fc_axis axis[3] = {fc_pool_axis(p, 0), fc_pool_axis(p, 1), fc_pool_axis(p, 2)};
    p->path = path_of(p, axis);
    choose_blocking(p, axis);
    if (fc_pool_joins_planes(p) && joined_bytes(p, axis) > (double)JOINED_BYTES_MAX) {
        p->path = fc_pool_by_window(p);
        choose_blocking(p, axis);
    }
    /* Volumes that one window covers go by windows where their strides are not those of a plane. */
    if (p->path == FC_POOL_PIECES || (p->path == FC_POOL_WHOLE && d->axes == 3))
        p->line_bytes = fc_align(fc_pool_pieces_bytes());
    if (fc_pool_joins_planes(p) || p->path == FC_POOL_SPANS) {
        const size_t line = (size_t)(2 * (FC_POOL_JOIN + 4 * p->family->vl)) * p->element_bytes;
        p->line_bytes = fc_align(line > p->line_bytes ? line : p->line_bytes);
        p->scratch_bytes = fc_align((size_t)FC_POOL_JOIN * p->element_bytes);
    }
    if (p->path == FC_POOL_SPANS)
        p->scratch_bytes += fc_align((size_t)taken(&axis[2], p->item_cols) * p->io_bytes);
    if (fc_pool_joins_planes(p))
        p->joined_bytes = fc_align((size_t)joined_bytes(p, axis));
    p->scratch_bytes += p->joined_bytes + p->line_bytes + fc_align((size_t)(p->item_rows * 8)) +
                        fc_align((size_t)(p->item_cols * 8));

    /* By bytes through L3 for vectors, by taps for scalars. */
    const double images = (double)d->n * (double)d->c;
    double in = 1, out = 1, taps = 1;
    for (int i = 0; i < 3; i++) {
        in *= (double)d->size[i];
        out *= (double)p->out[i];
        taps *= (double)fc_min(d->kernel[i] + p->adaptive[i], d->size[i]);
    }
    const double bytes = (double)p->io_bytes * images * (in + out);
    p->index_seconds = images * out * taps * 1.0e-9;
    p->seconds = p->path == FC_POOL_WINDOWS ? p->index_seconds
                                            : bytes / 15e9 + images * out * taps * 0.05e-9;
}
