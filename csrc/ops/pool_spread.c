/* The gradient of an average pooling: each pixel takes its share of every window that holds it.
 *
 * A row of pixels sums the rows of windows that hold it into a line of doubles, and each of its
 * pixels the windows that hold that.  No two threads write one pixel, so there is no order of
 * additions for them to change. */
#include <string.h>

#include "ops/parallel.h"
#include "ops/pooling.h"

/* Rows of pixels of one item: neighbours that lie in the same windows are copied. */
static const int64_t ITEM_ROWS = 64;

/* The windows of an axis that hold position i. */
static struct fc_span windows_of(const struct fc_axis *a, int64_t out, int64_t i)
{
    if (a->stride == 0) {
        const int64_t first = i * out / a->size;
        return (struct fc_span){first, fc_ceil_div((i + 1) * out, a->size) - first};
    }
    const int64_t at = i + a->before, last = fc_min(at / a->stride, out - 1);
    const int64_t first = at < a->taps ? 0 : (at - a->taps) / a->stride + 1;
    return (struct fc_span){first, fc_max(last - first + 1, 0)};
}

/* What one thread needs. */
struct spreader {
    const fc_pool_plan *p;
    struct fc_axis axis[3];
    int64_t channels;        /* side by side */
    double *line, *pixels;   /* of one row of windows, of one row of the image */
    double *share;           /* of each window of a row in its gradient: one over its columns */
    struct fc_span *columns; /* the windows of a row that hold each pixel of one */
};

static int64_t channels_of(const fc_pool_plan *p)
{
    return p->desc.channels_last ? p->desc.c : 1;
}

/* Bytes of the arrays of a spreader, and where they begin. */
static size_t lay_out(const fc_pool_plan *p, char *block, struct spreader *s)
{
    const size_t channels = (size_t)channels_of(p), out = (size_t)p->out[2];
    const size_t width = (size_t)p->desc.size[2];
    const size_t bytes[4] = {
        fc_align(out * channels * sizeof(double)), fc_align(width * channels * sizeof(double)),
        fc_align(out * sizeof(double)), fc_align(width * sizeof(struct fc_span))};
    if (s) {
        s->line = (double *)block;
        s->pixels = (double *)(block + bytes[0]);
        s->share = (double *)(block + bytes[0] + bytes[1]);
        s->columns = (struct fc_span *)(block + bytes[0] + bytes[1] + bytes[2]);
    }
    return bytes[0] + bytes[1] + bytes[2] + bytes[3];
}

static void add_row(const fc_pool_plan *p, double *restrict line, const char *row, double share,
                    int64_t count)
{
    float converted[FC_HALVES];
    const double *const doubles = (const double *)row;
    const float *floats = (const float *)row;
    if (p->desc.dtype == FC_FLOAT64) {
#pragma omp simd
        for (int64_t i = 0; i < count; i++)
            line[i] += share * doubles[i];
    } else if (p->desc.dtype == FC_FLOAT32) {
#pragma omp simd
        for (int64_t i = 0; i < count; i++)
            line[i] += share * (double)floats[i];
    } else {
        for (int64_t i = 0; i < count; i += FC_HALVES) {
            const int64_t n = fc_min(FC_HALVES, count - i);
            p->kernels->half_to_float((const uint16_t *)row + i, converted, n);
            for (int64_t j = 0; j < n; j++)
                line[i + j] += share * (double)converted[j];
        }
    }
}

static void store_row(const fc_pool_plan *p, char *row, const double *pixels, int64_t count)
{
    float rounded[FC_HALVES];
    double *const doubles = (double *)row;
    float *const floats = (float *)row;
    if (p->desc.dtype == FC_FLOAT64) {
        memcpy(doubles, pixels, (size_t)count * sizeof(double));
    } else if (p->desc.dtype == FC_FLOAT32) {
#pragma omp simd
        for (int64_t i = 0; i < count; i++)
            floats[i] = (float)pixels[i];
    } else {
        for (int64_t i = 0; i < count; i += FC_HALVES) {
            const int64_t n = fc_min(FC_HALVES, count - i);
            for (int64_t j = 0; j < n; j++)
                rounded[j] = (float)pixels[i + j];
            p->kernels->float_to_half(rounded, (uint16_t *)row + i, n);
        }
    }
}

/* From the line to the pixels. */
static void spread_columns(const struct spreader *s)
{
    const int64_t channels = s->channels, width = s->p->desc.size[2];
    for (int64_t iw = 0; iw < width; iw++) {
        const struct fc_span columns = s->columns[iw];
        const double *line = s->line + columns.first * channels;
        double *const restrict pixel = s->pixels + iw * channels;
        if (channels == 1) {
            double sum = columns.count ? line[0] : 0;
            for (int64_t q = 1; q < columns.count; q++)
                sum += line[q];
            *pixel = sum;
            continue;
        }
        if (columns.count)
            memcpy(pixel, line, (size_t)channels * sizeof(double));
        else
            memset(pixel, 0, (size_t)channels * sizeof(double));
        for (int64_t q = 1; q < columns.count; q++) {
            const double *const other = line + q * channels;
#pragma omp simd
            for (int64_t c = 0; c < channels; c++)
                pixel[c] += other[c];
        }
    }
}

/* The row of pixels (id, ih) from the windows of one image, and in NCHW of one channel. */
static void spread_row(const struct spreader *s, const char *windows, int64_t id, int64_t ih,
                       char *row)
{
    const fc_pool_plan *p = s->p;
    const int64_t channels = s->channels, count = p->out[2] * channels;
    const struct fc_span planes = windows_of(&s->axis[0], p->out[0], id);
    const struct fc_span rows = windows_of(&s->axis[1], p->out[1], ih);
    memset(s->line, 0, (size_t)count * sizeof(double));
    for (int64_t z = planes.first; z < planes.first + planes.count; z++)
        for (int64_t i = rows.first; i < rows.first + rows.count; i++) {
            const double divisor =
                fc_pool_count(p, &s->axis[0], 0, z) * fc_pool_count(p, &s->axis[1], 1, i);
            add_row(p, s->line, windows + (z * p->out[1] + i) * count * (int64_t)p->io_bytes,
                    1 / divisor, count);
        }
    for (int64_t q = 0; q < p->out[2]; q++)
        for (int64_t c = 0; c < channels; c++)
            s->line[q * channels + c] *= s->share[q];
    spread_columns(s);
    store_row(p, row, s->pixels, p->desc.size[2] * channels);
}

static int same_span(struct fc_span a, struct fc_span b)
{
    return a.first == b.first && a.count == b.count;
}

double fc_spread_seconds(const fc_pool_plan *p)
{
    const int64_t *const size = p->desc.size;
    double windows = 1; /* that hold a pixel, at most */
    for (int i = 0; i < 3; i++)
        windows *= p->adaptive[i] ? 2.0 : (double)fc_ceil_div(p->desc.kernel[i], p->desc.stride[i]);
    return 1e-9 * (double)(p->desc.n * p->desc.c) * (double)(size[0] * size[1]) * (double)size[2] *
           (1 + windows);
}

size_t fc_spread_bytes(const fc_pool_plan *p)
{
    return lay_out(p, NULL, NULL);
}

struct job {
    const fc_pool_plan *p;
    const void *output;
    void *input;
    char *scratch;
};

static void run_share(const void *arg, struct fc_items *items)
{
    const struct job *const job = arg;
    const fc_pool_plan *const p = job->p;
    const fc_pool_desc *d = &p->desc;
    const int64_t channels = channels_of(p), bytes = (int64_t)p->io_bytes;
    const int64_t row_bytes = d->size[2] * channels * bytes;
    const int64_t window_bytes = p->out[0] * p->out[1] * p->out[2] * channels * bytes;
    const int64_t blocks = fc_ceil_div(d->size[1], ITEM_ROWS);
    struct spreader s = {.p = p,
                         .axis = {fc_pool_axis(p, 0), fc_pool_axis(p, 1), fc_pool_axis(p, 2)},
                         .channels = channels};
    lay_out(p, job->scratch + (size_t)items->thread * fc_spread_bytes(p), &s);
    for (int64_t q = 0; q < p->out[2]; q++)
        s.share[q] = 1 / fc_pool_count(p, &s.axis[2], 2, q);
    for (int64_t iw = 0; iw < d->size[2]; iw++)
        s.columns[iw] = windows_of(&s.axis[2], p->out[2], iw);
    for (int64_t item; (item = fc_next(items)) >= 0;) {
        const int64_t image = item / blocks / d->size[0], id = item / blocks % d->size[0];
        const int64_t row0 = item % blocks * ITEM_ROWS;
        const int64_t row1 = fc_min(row0 + ITEM_ROWS, d->size[1]);
        const char *windows = (const char *)job->output + image * window_bytes;
        char *pixels =
            (char *)job->input + ((image * d->size[0] + id) * d->size[1] + row0) * row_bytes;
        for (int64_t ih = row0; ih < row1; ih++, pixels += row_bytes) {
            if (ih > row0 && same_span(windows_of(&s.axis[1], p->out[1], ih),
                                       windows_of(&s.axis[1], p->out[1], ih - 1)))
                memcpy(pixels, pixels - row_bytes, (size_t)row_bytes);
            else
                spread_row(&s, windows, id, ih, pixels);
        }
    }
}

void fc_spread_run(const fc_pool_plan *p, const void *output, void *input, char *scratch,
                   int threads)
{
    const fc_pool_desc *d = &p->desc;
    const int64_t images = d->channels_last ? d->n : d->n * d->c;
    const int64_t items = images * d->size[0] * fc_ceil_div(d->size[1], ITEM_ROWS);
    const struct job job = {p, output, input, scratch};
    fc_share(threads, items, fc_claim(fc_spread_seconds(p), items, threads), run_share, &job);
}
